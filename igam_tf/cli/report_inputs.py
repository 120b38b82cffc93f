"""What a report is made of: recorded results, the models, and which images."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from igam_tf.reports import recorded


def read_results(folder: pathlib.Path, is_folder: bool) -> dict[str, Any]:
    """The results of a run folder, or of the JSON file of an evaluation.

    Raises:
        FileNotFoundError, ValueError: if there are none, or none that a report can be
            made of.
    """
    if is_folder and not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}: expected the run folder of a finished "
            "run.py, or the JSON file of an evaluation."
        )
    path = folder / "results.json" if is_folder else folder
    if not path.exists():
        raise FileNotFoundError(
            f"{folder} has no results.json: the run is not finished, or this is "
            "another folder; run its run.py command again to finish it."
        )
    again = "run its run.py command again" if is_folder else "evaluate again"
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not JSON ({error}): remove it, and {again}."
        ) from None
    if not isinstance(results, dict):
        results = {}
    needed = ("title", "rows", "settings") if is_folder else ("title", "rows")
    made_by = "a run.py" if is_folder else "igam-tf evaluate"
    recorded.check(results, path, needed, made_by)
    return results


def chosen_rows(results: dict, names: Sequence[str] | None) -> dict[str, dict]:
    """The rows of these names, or all; ValueError if there is no such row."""
    rows = results["rows"]
    unknown = [name for name in names or () if name not in rows]
    if unknown:
        raise ValueError(f"--rows: {unknown} not among the rows {list(rows)}.")
    return {name: rows[name] for name in names or rows}


def students_of(
    place: pathlib.Path, results: dict, rows: Mapping[str, dict], is_folder: bool
) -> dict[str, pathlib.Path]:
    """Path of each row's student; all of them must exist.

    An evaluation's model lies beside the JSON file, which names it.
    """
    paths = {
        name: place / row.get("student", f"{name}/student.keras")
        if is_folder
        # Earlier versions did not name it, and took no other files.
        else place.parent / results.get("model", f"{name}.keras")
        for name, row in rows.items()
    }
    missing = [str(path) for path in paths.values() if not _is_there(path)]
    if missing:
        raise FileNotFoundError(
            f"students are missing: {', '.join(missing)}; leave out their rows by "
            "--rows, or train them by the run's command."
            if is_folder
            else f"there is no model {', '.join(missing)} beside the results."
        )
    return paths


def _is_there(path):
    """Whether a model is: a TensorFlow 1 checkpoint may be named by its prefix."""
    return path.exists() or path.with_name(f"{path.name}.index").exists()


def data_of(
    results: dict, rows: Mapping[str, dict]
) -> tuple[str, str | None, dict[str, Any]]:
    """Of test images: their data set, its folder or None, how own data are read."""
    from igam_tf.experiment.settings import own_options

    if images := results.get("images"):
        return images["dataset"], images["data_dir"], images["own"]
    settings = results.get("settings") or {}
    evaluation = next(iter(rows.values()))["evaluation"]
    target = settings.get("target") or evaluation.get("robustbench", {}).get("dataset")
    if not target:
        raise ValueError("the results do not say of which data set they are.")
    own = own_options(settings, "target") if settings.get("target") else {}
    return target, settings.get("data_dir") or None, own
