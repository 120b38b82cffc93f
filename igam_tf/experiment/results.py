"""The last stages of a run: evaluation of its students, table and pictures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from igam_tf import cards, data, evaluation, models, reports
from igam_tf.evaluation import outcomes
from igam_tf.experiment import controls, evaluated
from igam_tf.experiment.experiment import as_recorded
from igam_tf.reports.names import FIGURES, OF_A_RUN
from igam_tf.reports.transfer import transfer
from igam_tf.training import callbacks

if TYPE_CHECKING:
    from igam_tf.experiment.folder import Folder
    from igam_tf.experiment.runner import Run

FIGURE_EXAMPLES = 8
PAGE = "report.html"


def is_evaluated(run: Run, row: str) -> bool:
    """Whether the student that is there was evaluated with the settings of this run."""
    way_out = "delete it to evaluate that row again"
    found = run.folder.read_json(f"{row}/evaluation.json", way_out=way_out) or {}
    asked = _asked(run.experiment)
    if as_recorded(found.get("settings") or {}, asked) != asked:
        return False
    return evaluated.is_of(run, row, found.get(evaluated.KEY))


def evaluate(run: Run, row: str) -> None:
    """Writes `evaluation.json` of a row, and then removes intermediate results."""
    experiment, settings = run.experiment, run.experiment.evaluation
    run.say(f"{experiment.label(row)}: evaluation")
    made_of = evaluated.networks(run, row)
    student = _in_traced(
        run, run.folder.load_model(f"{row}/student.keras", run.local_strategy)
    )
    if settings.batch_norm == "batch":
        # The frozen layers of FT would otherwise use their moving statistics.
        models.freeze(student, batch_norm="batch")

    def save(found):
        if settings.statistics:
            found["statistics"] = _statistics(run, student, found)
        found["robustbench"]["dataset"] = run.target.name
        written = {**found, "settings": _asked(experiment), evaluated.KEY: made_of}
        if run.target.held_out_fraction:
            # What these numbers are of, for whoever reads, or compares, them.
            written["held_out_fraction"] = run.target.held_out_fraction
        run.folder.write_json(f"{row}/evaluation.json", written)

    corruptions = settings.asked_corruptions()
    is_of_files = corruptions is not None and corruptions.folder is not None
    of_files = settings.num_examples or None if is_of_files else None
    evaluation.evaluate(
        student,
        data.evaluation_batches(run.target.test, settings.batch_size),
        attacks=settings.attacks,
        eps=experiment.attack.eps,
        step_size=experiment.attack.step_size,
        norm=experiment.attack.norm,
        batch_size=settings.batch_size,
        batch_norm=settings.batch_norm,
        seed=experiment.run.seed,
        corruptions=corruptions,
        # The test images are so many already; the published files of corruptions not.
        max_examples=of_files,
        panel=bool(settings.panel_examples),
        panel_examples=settings.panel_examples or 1,
        transfer_from={
            name: model for name, model in run.transfer_sources.items() if name != row
        },
        checkpoint_dir=run.folder.file(row, "evaluation-unfinished"),
        save=save,
    )


def _in_traced(run, student):
    """The student, in the model of an earlier row where that is the same network.

    What attacks compile belongs to a model, and takes seconds; it sees the weights that
    the model has at the time.
    """
    if len(student.variables) > len(student.weights) or models.derives_state(student):
        # Random layers go on from where an earlier row has left them; compiled
        # attacks keep what a layer had derived from its weights.
        return student
    try:
        network = student.to_json()
    except (NotImplementedError, TypeError, ValueError):
        # A class of the user's own, which says nothing of what it computes.
        return student
    traced = run.traced.setdefault(network, student)
    if traced is not student:
        traced.set_weights(student.get_weights())
    return traced


def transfer_sources(run: Run) -> dict[str, keras.Model]:
    """Models whose adversarial images the masking panel tries on every row.

    The plainly trained student, and the finetuned teacher: IGAM's, or else that of FT.
    """
    found = {}
    for name, file in evaluated.transfer_sources(run.folder).items():
        model = run.folder.load_model(file, run.local_strategy)
        with run.local_strategy.scope():
            # Attacks in half precision would find gradients of zero.
            found[name] = models.in_float32(model)
    return found


def collect(run: Run, rows: tuple[str, ...]) -> dict[str, Any]:
    """Writes `results.json`.

    Args:
        run: the run.
        rows: evaluated rows, in the order of the table.

    Returns:
        Its contents.
    """
    experiment, folder = run.experiment, run.folder
    described = {}
    for row in rows:
        method, control = controls.split(row)
        described[row] = {
            "label": experiment.label(row),
            "method": method,
            **({"control_of": method} if control else {}),
            "training_seconds": _training_seconds(folder, row),
            "evaluation": folder.read_json(f"{row}/evaluation.json"),
        }
    results = {
        "title": " -> ".join(filter(None, (experiment.source_name, run.target.name))),
        "rows": described,
        "teacher_seconds": {
            stage: _training_seconds(folder, stage)
            for stage in controls.teacher_stages()
        },
        "train_examples": len(run.target.train),
        **folder.read_json("flags.json"),
    }
    results["transfer"] = transfer(results)
    write(results, folder)
    return results


def write(results: dict[str, Any], folder: Folder) -> None:
    """Writes `results.json`, after taking away page and figures of other results.

    The page is written last: where it is, everything was drawn of these results.
    """
    try:
        earlier = folder.read_json("results.json")
    except ValueError:
        earlier = None
    if earlier != json.loads(json.dumps(results)):
        for drawn in (PAGE, *(f"{name}.png" for name in FIGURES)):
            (folder.path / drawn).unlink(missing_ok=True)
    folder.write_json("results.json", results)


def report(
    results: dict[str, Any],
    folder: Folder,
    target: data.Task,
    strategy: tf.distribute.Strategy,
) -> None:
    """Writes table, figures, page and a card of each student, and prints the table.

    Figures and page of the same results are not drawn again.

    Args:
        results: contents of `results.json`, as `write` left it.
        folder: `Folder` with the students.
        target: `igam_tf.data.Task`.
        strategy: strategy to load models under.
    """
    table = reports.format_table(results)
    folder.write_text("table.md", table)
    students = {
        name: row.get("student", f"{name}/student.keras")
        for name, row in results["rows"].items()
    }
    models_of = {
        name: folder.load_model(file, strategy) for name, file in students.items()
    }
    page = folder.path / PAGE
    drawn = [page, *(folder.path / f"{name}.png" for name in OF_A_RUN)]
    if not all(path.exists() for path in drawn):
        reports.write_figures(
            results, models_of, target.test, folder.path, examples=FIGURE_EXAMPLES
        )
        examples = reports.examples_of(results, models_of, target.test)
        reports.write_page(page, results, folder.path, examples=examples)
    for name, file in students.items():
        cards.write_card(folder.path / file, results, name, models_of[name])
    print(f"\n{table}\nPage: {page}\nRun folder: {folder.path}", flush=True)


def _asked(experiment):
    """The settings of the evaluation, as JSON gives them back."""
    return json.loads(json.dumps(experiment.evaluation.flags()))


def _statistics(run, student, found):
    """Statistics of a student's input gradients on the images of its evaluation."""
    experiment, test = run.experiment, run.target.test
    attacked = [name for name in found["attacks"] if name != "clean"]
    robust = None
    if attacked:
        text = found["outcomes"]["correct"][attacked[0]]
        robust = outcomes.unpacked(text, found["num_examples"])
    return evaluation.gradient_statistics(
        student,
        # As they are: floats, or streamed images decoded, of one batch at a time.
        test.images,
        test.labels,
        experiment.evaluation.statistics,
        eps=min(experiment.attack.eps, 1.0),
        is_robust=robust,
        batch_size=experiment.evaluation.batch_size,
        seed=experiment.run.seed,
    )


def _training_seconds(folder, stage):
    history = callbacks.History(folder.path / stage / "history.csv")
    return round(sum(float(row["seconds"]) for row in history.rows()), 1)
