"""Control rows: a method that learns from a teacher, with that teacher replaced.

A row is named after its method, or after method and control, such as "igam-zero".
Robustness comes from the teacher only as far as the method is above all of its
controls.
"""

from collections.abc import Iterable

from igam_tf.training.methods import METHODS

#: Control of --controls -> the controls of its rows.
CONTROLS = {
    "natural_teacher": ("natural_teacher",),
    "random_teacher": ("random_teacher",),
    "zero": ("zero",),
    "shuffled": ("same_class", "other_class"),
}
#: Controls with a teacher of their own, which is made and finetuned as the robust one
#: is; the others use the robust teacher, and change which gradient is matched.
OTHER_TEACHERS = ("natural_teacher", "random_teacher")
_LABELS = {
    "natural_teacher": "natural teacher",
    "random_teacher": "random teacher",
    "zero": "zero gradient",
    "same_class": "same class",
    "other_class": "other class",
}


def split(row: str) -> tuple[str, str]:
    """Method and control of a row's name; the control is "" where there is none."""
    method, _, control = row.partition("-")
    return method, control


def rows_of(method: str, controls: Iterable[str]) -> list[str]:
    """Names of a method's rows: its own, and those of the requested controls."""
    settings = METHODS[method]
    if not settings.has_controls:
        return [method]
    parts = [
        part
        for control in controls
        for part in CONTROLS[control]
        if settings.matches_gradients or part in OTHER_TEACHERS
    ]
    return [method, *(f"{method}-{part}" for part in parts)]


def all_rows() -> list[str]:
    """Names of all rows that a run can have, in the order of a table."""
    return [row for method in METHODS for row in rows_of(method, CONTROLS)]


def stage(name: str, control: str) -> str:
    """Name of a stage of the teacher, or of a control's teacher."""
    return f"{name}-{control}" if control else name


def teacher_stages() -> list[str]:
    """Names of all stages that a run can train before its rows."""
    return [
        stage(name, control)
        for control in ("", *OTHER_TEACHERS)
        for name in ("teacher", "finetuned")
    ]


def label(text: str, control: str) -> str:
    """Label of a row, from that of its method."""
    return f"{text}, {_LABELS[control]}" if control else text


def matched_to(control: str) -> str:
    """The argument `matched_to` of a method for a row of this control."""
    return "teacher" if control in ("", *OTHER_TEACHERS) else control


def check(controls: tuple[str, ...]) -> None:
    """Raises ValueError unless the controls are known and named once."""
    unknown = [name for name in controls if name not in CONTROLS]
    if unknown:
        raise ValueError(
            f"--controls: {unknown[0]!r} is unknown; expected names of "
            f"{tuple(CONTROLS)}, separated by commas."
        )
    if len(set(controls)) < len(controls):
        raise ValueError(f"--controls={','.join(controls)}: name each control once.")
