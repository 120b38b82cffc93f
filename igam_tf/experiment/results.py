"""The last stages of a run: evaluation of its students, table and pictures."""

from igam_tf import cards, data, evaluation, models, reports
from igam_tf.experiment import controls
from igam_tf.experiment.config import METHODS
from igam_tf.reports.transfer import transfer
from igam_tf.training import callbacks

EVALUATION_SETTINGS = (
    "attacks",
    "eval_examples",
    "eval_batch_size",
    "panel_examples",
    "batch_norm",
)
FIGURE_EXAMPLES = 8


def evaluate(experiment, folder, target, strategy):
    """Evaluates every finished row that has not been, with these settings.

    Args:
        experiment: the settings.
        folder: `RunFolder`, whose earlier rows stand in the table as well.
        target: `igam_tf.data.Task`.
        strategy: strategy to load models under.

    Returns:
        Contents of `results.json`, which is written.
    """
    asked = {name: getattr(experiment, name) for name in EVALUATION_SETTINGS}
    asked["attacks"] = list(asked["attacks"])
    rows, sources = {}, {}
    for row in controls.all_rows(METHODS):
        if not folder.is_finished(f"{row}/student.keras"):
            continue
        name = f"{row}/evaluation.json"
        way_out = "delete it to evaluate that row again"
        if (folder.read_json(name, way_out=way_out) or {}).get("settings") != asked:
            print(f"{experiment.label(row)}: evaluation", flush=True)
            sources = sources or _transfer_sources(folder, strategy)
            others = {k: model for k, model in sources.items() if k != row}
            _evaluate(experiment, folder, row, strategy, target, others, asked)
        method, control = controls.split(row)
        rows[row] = {
            "label": experiment.label(row),
            "method": method,
            **({"control_of": method} if control else {}),
            "training_seconds": _training_seconds(folder, row),
            "evaluation": folder.read_json(name),
        }
    results = {
        "title": f"{experiment.source} -> {experiment.target}",
        "rows": rows,
        "teacher_seconds": {
            stage: _training_seconds(folder, stage)
            for stage in controls.teacher_stages()
        },
        "train_examples": len(target.train),
        **folder.read_json("flags.json"),
    }
    results["transfer"] = transfer(results)
    folder.write_json("results.json", results)
    return results


def report(results, folder, target, strategy):
    """Writes the table, the figures and a card of each student, and prints the table.

    Args:
        results: what `evaluate` returned.
        folder, target, strategy: as in `evaluate`.
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
    reports.write_figures(
        results, models_of, target.test, folder.path, examples=FIGURE_EXAMPLES
    )
    for name, file in students.items():
        cards.write_card(folder.path / file, results, name, models_of[name])
    print(f"\n{table}\nRun folder: {folder.path}", flush=True)


def _evaluate(experiment, folder, row, strategy, target, sources, asked):
    """Writes `evaluation.json` of a row; what is kept meanwhile goes after that."""
    student = folder.load_model(f"{row}/student.keras", strategy)
    if experiment.batch_norm == "batch":
        # The frozen layers of FT would keep to their moving statistics.
        models.freeze(student, batch_norm="batch")

    def save(found):
        found["robustbench"]["dataset"] = experiment.target
        folder.write_json(f"{row}/evaluation.json", {**found, "settings": asked})

    evaluation.evaluate(
        student,
        data.evaluation_batches(target.test, experiment.eval_batch_size),
        attacks=experiment.attacks,
        eps=experiment.eps,
        step_size=experiment.step_size,
        norm=experiment.norm,
        batch_size=experiment.eval_batch_size,
        batch_norm=experiment.batch_norm,
        seed=experiment.seed,
        panel=bool(experiment.panel_examples),
        panel_examples=experiment.panel_examples or 1,
        transfer_from=sources,
        checkpoint_dir=folder.file(row, "evaluation-unfinished"),
        save=save,
    )


def _transfer_sources(folder, strategy):
    """Models whose adversarial images the masking panel tries on every row.

    The plainly trained student, and the finetuned teacher: that of IGAM, else FT.
    """
    found = {"standard": folder.load_model("standard/student.keras", strategy)}
    for name, file in (("teacher", "finetuned"), ("finetune", "finetune/student")):
        if "teacher" not in found:
            found[name] = folder.load_model(f"{file}.keras", strategy)
        found = {name: model for name, model in found.items() if model is not None}
    return found


def _training_seconds(folder, stage):
    history = callbacks.History(folder.path / stage / "history.csv")
    return round(sum(float(row["seconds"]) for row in history.rows()), 1)
