"""A row of a run as a folder that is ready to push to the Hugging Face hub."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import Any

from igam_tf import files
from igam_tf.attacks.fractions import fraction
from igam_tf.cards import front_matter
from igam_tf.cards.archive import attach_card, fitting, read_card
from igam_tf.cards.contents import make_card
from igam_tf.cards.text import format_card
from igam_tf.models.loading import load_keras
from igam_tf.reports import recorded
from igam_tf.reports.names import (
    HELD_OUT,
    attack_title,
    evaluated_images,
    public_settings,
)

#: Name of the model's file, which `igam_tf.load("hf://OWNER/NAME")` looks for.
MODEL = "student.keras"
_FROM_HUB = """\
## From the hub

Once this folder is a repository of the Hugging Face hub,

```python
import igam_tf  # pip install "igam_tf[hub]"

model, card = igam_tf.load("hf://OWNER/NAME")
```
"""


def share(
    folder: str | os.PathLike, row: str, out: str | os.PathLike
) -> list[pathlib.Path]:
    """Writes the model of a row with its card, in the hub's form, and its results.

    Args:
        folder: folder of a finished run.
        row: name of a row, such as "igam".
        out: folder to write, which must not exist or be empty.

    Returns:
        Paths of `README.md` (the card, with YAML in front), `student.keras` and
        `results.json` (the row and its controls, without paths of this machine).

    Raises:
        FileNotFoundError: if the run or the row's student is not there.
        ValueError: if there is no such row, the results or the student are damaged,
            or `out` has something in it. Nothing is written then.
    """
    folder, out = pathlib.Path(folder), pathlib.Path(out)
    way_out = "restore it, or run the run's command again"
    results = files.read_json(folder / "results.json", way_out=way_out)
    if results is None:
        raise FileNotFoundError(
            f"{folder} has no results.json: expected the folder of a finished run.py."
        )
    needed = ("title", "rows", "settings")
    recorded.check(results, folder / "results.json", needed, "a run.py")
    rows = results["rows"]
    if row not in rows:
        raise ValueError(f"{folder} has no row {row!r}: expected one of {list(rows)}.")
    student = folder / rows[row].get("student", f"{row}/student.keras")
    if not student.is_file():
        raise FileNotFoundError(
            f"there is no {student}: train this row by the run's command."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is not empty: expected a new folder.")
    # All of it, whether its card is: a damaged file must not be published.
    files.digest(student)
    card = _card(student, results, row)
    text = _text(card)
    out.mkdir(parents=True, exist_ok=True)
    files.copy(student, out / MODEL)
    attach_card(out / MODEL, fitting(card))
    files.write_json(out / "results.json", _of_row(results, row))
    files.write_text(out / "README.md", text)
    return [out / name for name in ("README.md", MODEL, "results.json")]


def metadata(card: dict) -> dict[str, Any]:
    """What the hub wants to know of a model, from its card.

    Each attack is a metric: accuracy as a fraction, its 95 % interval and the attack
    among its arguments.

    Args:
        card: dict as of `igam_tf.cards.make_card`.

    Returns:
        Dict that is JSON as it stands.

    Source: huggingface.co/docs/hub/model-cards, the specification of `model-index`.
    """
    task, label = card["task"]["name"], card["method"]["label"]
    kind = {"type": "image-classification", "name": "Image classification"}
    dataset = {"name": task, "type": task, "split": "test"}
    if card["results"].get(HELD_OUT):
        name = f"{task}, {evaluated_images(card['results'])}"
        dataset |= {"name": name, "split": "train"}
    result = {
        "task": kind,
        "dataset": dataset,
        "metrics": list(_metrics(card["results"])),
    }
    return {
        "library_name": "keras",
        "pipeline_tag": kind["type"],
        "tags": [kind["type"], "adversarial-robustness", "igam_tf"],
        "datasets": [task],
        "metrics": ["accuracy"],
        "model-index": [{"name": f"{label} for {task}", "results": [result]}],
    }


def _metrics(found: dict) -> Iterator[dict]:
    ball = f"{found['threat_model']}, eps {fraction(found['eps'])}"
    for name, entry in found["attacks"].items():
        low, high = entry["interval_95"]
        # An attack with a radius of its own says it.
        own = name == "clean" or "@" in name
        under = attack_title(name) if own else f"{attack_title(name)}, {ball}"
        yield {
            "type": "accuracy",
            "name": f"accuracy, {under} (95 % interval {100 * low:.1f} to "
            f"{100 * high:.1f} %)",
            "value": round(entry["accuracy"], 6),
            "args": {
                "attack": entry.get("attack", name),
                "interval_95": [round(low, 6), round(high, 6)],
                "num_examples": entry.get("num_examples", found["num_examples"]),
            },
        }


def _card(student, results, row):
    """The card that travels in the file, or one made now where that is not whole.

    Of a run of earlier days there may be none, or one that lacks what is told today.
    """
    try:
        card = read_card(student)
        # One of earlier days may have paths that are left out today.
        card["settings"] = public_settings(card["settings"])
        _text(card)
        return card
    except (ValueError, LookupError, TypeError, AttributeError):
        return make_card(results, row, load_keras(student))


def _text(card):
    """The card as the hub wants it: YAML, then Markdown."""
    front = front_matter.formatted(metadata(card))
    return f"{front}\n{format_card(card, MODEL)}\n{_FROM_HUB}"


def _of_row(results, row):
    """The results of the row and its controls: alone it would seem to have none."""
    rows = {
        name: found
        for name, found in results["rows"].items()
        if row in (name, found.get("control_of"))
    }
    kept = ("train_examples", "changes", "git_revision", "versions", "machine")
    for name, found in rows.items():
        # Where files were on the machine that trained.
        rows[name] = {k: v for k, v in found.items() if k not in ("student", "teacher")}
        if "settings" in found:
            rows[name]["settings"] = public_settings(found["settings"])
        if "settings" in found["evaluation"]:
            asked = public_settings(found["evaluation"]["settings"])
            rows[name]["evaluation"] = {**found["evaluation"], "settings": asked}
    return {
        "title": results["title"],
        "rows": rows,
        "settings": public_settings(results.get("settings") or {}),
        **{name: results[name] for name in kept if name in results},
    }
