"""Makes the contents of a card, a dict, from the results of a run."""

import pathlib

import keras

from igam_tf.data import registry
from igam_tf.reports.names import HELD_OUT, public_settings
from igam_tf.reports.recorded import OF_AN_EVALUATION
from igam_tf.reports.transfer import sentences, transfer
from igam_tf.training.methods import METHODS

# The rows of a run that have a teacher, and what says how one is trained.
_TEACHER_TRAINING = ("source_train_examples",)
_OF_ANY_TEACHER = ("teacher_checkpoint", "teacher_batch_norm")
#: Of the entry of an attack: what is not small (pairs of classes, a curve over eps)
#: stays in `results.json`.
_OF_AN_ATTACK = ("accuracy", "interval_95", "num_correct", "num_examples", "attack")


def make_card(results: dict, row: str, model: keras.Model) -> dict:
    """Makes the card of one row of a run.

    Args:
        results: dict as of `results.json`: "rows", "settings", and where it was made.
            A row may hold "method", if that is not its name, and "settings" of its own.
        row: name of the row, such as "igam".
        model: Keras model of that row, from images to logits.

    Returns:
        Dict that is JSON as it stands:
            "method": {"name", "label"};
            "task": {"name", "source", "classes", "num_classes", "input_shape",
                "input_range", "output"}; "classes" are names in order, [] where they
                are not known (or do not fit into the file, which then says
                "classes_left_out"); None in a shape stands for any size;
            "num_parameters";
            "results": the evaluation's threat model and settings, "attacks": a dict
                from name to {"accuracy", "interval_95", "num_correct",
                "num_examples", "attack"}, "held_out_fraction" where they are not of
                test images (`igam_tf.data.hold_out`), "worst_case", "panel" (which
                checks warned; None if it was not run) and "warnings", sentences;
            "transfer": what its controls say of a method that learns from a teacher,
                sentences; "control_of", the row that this one is a control of, or None;
            "training": {"seconds", "train_examples", "teacher_seconds"};
            "teacher": of a teacher from a file: "file", its "sha256", and, if it was
                measured, "num_examples", "clean", "pgd20" and "eps"; else None;
            "settings": the run's flags, without paths of the machine and without those
                of a teacher that was not trained; "changes", where they differ from
                the recipe;
            "versions", "git_revision", "machine".

    Raises:
        ValueError: if there is no such row.
    """
    if row not in results["rows"]:
        raise ValueError(f"row {row!r}: expected one of {list(results['rows'])}.")
    found = results["rows"][row]
    # In a table of several runs, the settings of this row stand in the row.
    settings = {**results["settings"], **found.get("settings", {})}
    shape = model.input_shape[1:]
    return {
        "method": {"name": found.get("method", row), "label": found["label"]},
        "task": {
            "name": registry.short_name(settings["target"]),
            "source": _source(settings),
            "classes": _classes(results),
            "num_classes": int(model.output_shape[-1]),
            "input_shape": list(shape),
            "input_range": [0.0, 1.0],
            "output": "logits",
        },
        "num_parameters": int(model.count_params()),
        "results": _measured(found["evaluation"]),
        "transfer": list(sentences(transfer(results), row)),
        "control_of": found.get("control_of"),
        "training": {
            "seconds": found.get("training_seconds"),
            "train_examples": results.get("train_examples"),
            "teacher_seconds": results.get("teacher_seconds"),
        },
        "teacher": _teacher(found.get("teacher") or results.get("teacher"), settings),
        "settings": public_settings(_used(settings)),
        "changes": list(results.get("changes") or []),
        "versions": results.get("versions"),
        "git_revision": results.get("git_revision"),
        "machine": results.get("machine"),
    }


def _source(settings):
    """The source task; a teacher's file where it was given without its data set."""
    if settings.get("source"):
        return registry.short_name(settings["source"])
    return pathlib.PurePath(settings.get("teacher_checkpoint") or "").name


def _teacher(measured, settings):
    if not measured or not settings.get("teacher_checkpoint"):
        return None
    told = {"file": pathlib.PurePath(measured["file"]).name}
    names = ("sha256", "num_examples", "clean", "pgd20", "eps")
    return {**told, **{name: measured[name] for name in names if name in measured}}


def _used(settings):
    """The settings without those of a teacher that this run did not train or have."""
    names = settings.get("methods", METHODS)
    has_teacher = any(n in METHODS and METHODS[n].needs_teacher for n in names)
    if has_teacher and not settings.get("teacher_checkpoint"):
        return settings
    kept = _OF_ANY_TEACHER if has_teacher else ()
    return {
        name: value
        for name, value in settings.items()
        if name in kept
        or not (name.startswith("teacher_") or name in _TEACHER_TRAINING)
    }


def _classes(results):
    """Names of the classes of data of one's own."""
    return list(results.get("data", {}).get("target", {}).get("classes", []))


def _measured(evaluation):
    panel = evaluation.get("panel")
    if panel:
        panel = {
            "num_examples": panel["num_examples"],
            "checks": list(panel["checks"]),
            "warns": list(panel["warns"]),
        }
    return {
        **{name: evaluation.get(name) for name in OF_AN_EVALUATION},
        **({HELD_OUT: evaluation[HELD_OUT]} if evaluation.get(HELD_OUT) else {}),
        "attacks": {
            name: {key: entry[key] for key in _OF_AN_ATTACK if key in entry}
            for name, entry in evaluation["attacks"].items()
        },
        "worst_case": evaluation.get("worst_case"),
        "panel": panel,
        "warnings": list(evaluation.get("warnings", [])),
    }
