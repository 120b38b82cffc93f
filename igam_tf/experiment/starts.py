"""Students that start from an earlier row of their table.

That is `--student_checkpoint=row:NAME`.

Settings keep the name of the row, whatever the table's folder is called and wherever it
has been moved; the file is looked up in the table's folder when it is needed.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from igam_tf import files

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment

#: What a --student_checkpoint begins with that names an earlier row of the table.
FROM_ROW = "row:"
#: In the folder of a table: name of a finished row -> its student's file, below it.
STUDENTS = "students.json"


def write(folder: pathlib.Path, students: Mapping[str, str]) -> None:
    """Records where the students of a table's finished rows are.

    Args:
        folder: of the table.
        students: name of a row -> file below the folder.
    """
    if students:
        files.write_json(folder / STUDENTS, dict(students))


def path(experiment: Experiment) -> str:
    """The file that the students of a run start from, or "".

    Raises:
        ValueError: if it is the student of a row that the table has not finished.
    """
    given = experiment.student.checkpoint
    if not given.startswith(FROM_ROW):
        return given
    folder = pathlib.Path(experiment.run.run_dir).expanduser().parent
    way_out = "delete it, and run the table again"
    known = files.read_json(folder / STUDENTS, way_out=way_out) or {}
    if given.removeprefix(FROM_ROW) not in known:
        raise ValueError(
            f"--student_checkpoint={given}: {folder} has finished the rows "
            f"{list(known)}; expected one of these. Run the whole table."
        )
    return str(folder / known[given.removeprefix(FROM_ROW)])


def is_same(experiment: Experiment, recorded: str) -> bool:
    """Whether an earlier version recorded the start of a run as a path.

    Args:
        experiment: the settings.
        recorded: `--student_checkpoint` of the record, a path below the table's folder
            as it was called then.
    """
    if not experiment.student.checkpoint.startswith(FROM_ROW):
        return False
    # RUN/ROW/student.keras
    now = pathlib.PurePath(path(experiment)).parts[-3:]
    return pathlib.PurePath(recorded).parts[-3:] == now
