"""Of which networks an evaluation is: they may have been made anew since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from igam_tf import files

if TYPE_CHECKING:
    from igam_tf.experiment.folder import Folder
    from igam_tf.experiment.runner import Run

#: Key of `evaluation.json`; one of an earlier version has none, and is believed.
KEY = "networks"
#: Models whose adversarial images the masking panel tries on every row.
_SOURCES = {
    "standard": "standard/student.keras",
    "teacher": "finetuned.keras",
    "finetune": "finetune/student.keras",
}


def transfer_sources(folder: Folder) -> dict[str, str]:
    """Those that are there: name -> file; of IGAM's teacher and that of FT one.

    Args:
        folder: of the run.
    """
    found = {n: file for n, file in _SOURCES.items() if folder.is_finished(file)}
    if "teacher" in found:
        found.pop("finetune", None)
    return found


def networks(run: Run, row: str) -> dict[str, Any]:
    """SHA-256 of the student of a row, and of those whose images it is tried with."""
    sources = transfer_sources(run.folder)
    if not run.experiment.evaluation.panel_examples:
        sources = {}
    return {
        "student": _digest(run.folder, f"{row}/student.keras"),
        "transfer_sources": {
            name: _digest(run.folder, file)
            for name, file in sources.items()
            if name != row
        },
    }


def is_of(run: Run, row: str, recorded: Mapping[str, Any] | None) -> bool:
    """Whether an evaluation is of the networks that are in the folder now.

    A transfer source that came later, or is gone, leaves it as it is: rows are added
    without evaluating all others again, and the record tells which sources there were.

    Args:
        run: the run.
        row: the row.
        recorded: what `networks` returned then; None of an earlier version.
    """
    if recorded is None:
        return True
    now = networks(run, row)
    before = recorded["transfer_sources"]
    return recorded["student"] == now["student"] and all(
        before.get(name, digest) == digest
        for name, digest in now["transfer_sources"].items()
    )


def _digest(folder, file):
    if not folder.is_finished(file):
        return None
    return folder.digest_of(file) or files.digest(folder.path / file)
