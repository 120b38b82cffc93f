"""How the flag file of a table describes its rows.

--row=lambda_diff {difference_weight:g}: mnist_to_cifar10 --difference_weight=0.25x
--paper=61.8 16.3
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment


def split(text: str) -> tuple[str, str, list[str]]:
    """Label, recipe and flags of a row.

    Args:
        text: "label: recipe --flag=value ...".

    Returns:
        Tuple (label, recipe, list of flags); without a recipe it is "".
    """
    label, found, rest = text.partition(": ")
    recipe, *flags = rest.split() if found and rest.strip() else [""]
    return label, recipe, flags


_PART = re.compile(r"--(\w+)=(\d+\.?\d*)x")


def has_parts(flags: list[str]) -> bool:
    """Whether `in_parts` may change any of these flags."""
    return any(_PART.fullmatch(flag) for flag in flags)


def in_parts(flags: list[str], experiment: Experiment) -> list[str]:
    """Flags with values such as 0.25x multiplied out by the experiment's own value.

    Whole numbers are rounded, and are at least 1 unless they are none of it.

    Args:
        flags: list such as ["--difference_weight=0.25x"].
        experiment: `Experiment` of the row's recipe.

    Returns:
        List of flags.
    """
    settings, found = experiment.flags(), []
    for flag in flags:
        part = _PART.fullmatch(flag)
        # Of a text, or of several numbers, there is no part: it stays as it is.
        if part and type(settings.get(part[1])) in (int, float):
            value = float(part[2]) * settings[part[1]]
            if isinstance(settings[part[1]], int):
                value = max(1, round(value)) if value else 0
            # Every digit: 4/255 is not 0.0157, nor 1,234,567 images 1.23e6.
            flag = f"--{part[1]}={value!r}"
        found.append(flag)
    return found


def label_of(label: str, experiment: Experiment) -> str:
    """The label with {settings} filled in.

    Raises:
        ValueError: if it names something that is not a setting.
    """
    try:
        return label.format(**experiment.flags())
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"--row: the label {label!r} cannot be filled in ({error}); expected a "
            "setting and its form, such as 'lambda_diff {difference_weight:g}'."
        ) from error


def published(columns: Sequence[str], numbers: str) -> dict[str, float]:
    """The paper's numbers of a row.

    Args:
        columns: list of attacks.
        numbers: text, in the order of the columns: percents, or the mean of a
            statistic; "-" for a number that was not found; empty for none at all.

    Returns:
        Dict from attack or statistic to number.

    Raises:
        ValueError: if there are not as many numbers as columns, or something else.
    """
    values = [_number(text) for text in numbers.split()]
    if values and len(values) != len(columns):
        raise ValueError(
            f"--paper={numbers}: expected {len(columns)} numbers, one for each of "
            f"--columns={','.join(columns)}."
        )
    found = dict(zip(columns, values))
    return {name: value for name, value in found.items() if value is not None}


def _number(text):
    if text == "-":
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"--paper: {text!r} is no number; expected one for each column, or - for "
            "one that was not found."
        ) from None
