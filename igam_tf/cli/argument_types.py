"""Types of command-line arguments; each raises `argparse.ArgumentTypeError`."""

import argparse

from igam_tf.attacks import names
from igam_tf.attacks.fractions import parse_fraction
from igam_tf.data import registry


def dataset(name: str) -> str:
    """The name of a registered data set, or of one's own."""
    try:
        return name if registry.is_own(name) else registry.find(name).name
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def attacks(text: str) -> list[str]:
    """Names of attacks, separated by commas."""
    found = text.split(",")
    for name in found:
        try:
            names.check(name)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    return found


def names_list(text: str) -> list[str]:
    """Texts separated by commas."""
    return text.split(",")


def severities(text: str) -> tuple[int, ...]:
    """Severities of corruptions, separated by commas."""
    if not all(part in {"1", "2", "3", "4", "5"} for part in text.split(",")):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected numbers from 1 to 5, separated by commas"
        )
    return tuple(int(part) for part in text.split(","))


def fraction(text: str) -> float:
    """A number such as 0.03 or 8/255."""
    try:
        return parse_fraction(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def numbers(text: str) -> tuple[float, ...]:
    """Fractions separated by commas."""
    return tuple(fraction(part) for part in text.split(","))


def count(text: str) -> int:
    """A whole number of 1 or more."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of 1 or more")
    return int(text)


def count_or_none(text: str) -> int:
    """A whole number, 0 for none."""
    return 0 if text == "0" else count(text)
