"""Flags of the commands `python -m igam_tf.X` about data of one's own."""

import argparse
import pathlib
from typing import Any

from igam_tf.data import registry
from igam_tf.data.own.names import TFDS
from igam_tf.data.own.options import STREAM


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that say how data of one's own are read."""
    add = parser.add_argument
    add("--image_size", metavar="SIZE",
        help="your own images are resized until the shorter side fits, and cropped in "
        "the centre, to this size: 96, or height x width such as 96x128")  # fmt: skip
    add("--test_fraction", type=float, metavar="PART",
        help="part of each class of your own images that is tested on, where they have "
        "no test/; 1: all, none of which the model may have seen (default: 0.2, the "
        "images that run.py tests on)")  # fmt: skip
    add("--split_seed", type=int, metavar="N",
        help="chooses those test images (default: 0)")  # fmt: skip
    add("--skip_unreadable", action="store_true", default=None,
        help="leave out those of your own images that cannot be decoded")  # fmt: skip
    add("--stream", nargs="?", const="true", choices=STREAM,
        help="decode your own images when they are needed, and not into memory once "
        "(default: auto, if all of them would take more than 4 GiB)")  # fmt: skip
    add("--center_crop", type=float, metavar="PART",
        help="part of the side that is kept of your own images, in the centre "
        "(default: 0.875 of streamed test images, the whole of others)")  # fmt: skip


def given(options: argparse.Namespace) -> dict[str, Any]:
    """What was given of them, as `igam_tf.data.read` takes it.

    Args:
        options: parsed, with `dataset`.

    Raises:
        ValueError: if the data set is a registered one, which they do not concern.
    """
    names = (
        "image_size",
        "test_fraction",
        "split_seed",
        "skip_unreadable",
        "stream",
        "center_crop",
    )
    found = {name: getattr(options, name) for name in names}
    found = {name: value for name, value in found.items() if value is not None}
    if found and not registry.is_own(options.dataset):
        flags = ", ".join(f"--{name}" for name in found)
        raise ValueError(
            f"{flags}: only for your own images, given by a path; "
            f"--dataset={options.dataset} is read as it is."
        )
    return found


def recorded(options: argparse.Namespace) -> dict[str, Any]:
    """Which images were read and how, so that a report finds the same ones.

    Args:
        options: parsed, with `dataset` and `data_dir`.

    Returns:
        Dict: "dataset" (of data of one's own the whole path), "data_dir" and "own", as
        `igam_tf.data.read` takes them.
    """
    name = options.dataset
    if registry.is_own(name) and not name.startswith(TFDS):
        parts = [name] if _path(name).exists() else name.split(",")
        name = ",".join(str(_path(part).absolute()) for part in parts)
    place = options.data_dir and str(_path(options.data_dir).absolute())
    return {"dataset": name, "data_dir": place, "own": given(options)}


def _path(text):
    return pathlib.Path(text.strip()).expanduser()


def check_classes(model: str, info: registry.DatasetInfo) -> None:
    """Compares the classes of a student's card with those of the data.

    Labels are the places of classes in their order: with the same names in another
    order a good model looks like a bad one.

    Args:
        model: path as given; one without a card, or whose card names no classes, is
            taken as it is.
        info: of the data.

    Raises:
        ValueError: if they are the same classes in another order.
    """
    from igam_tf.cards import read_card

    try:
        known = read_card(model)["task"]["classes"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    have = list(info.class_names)
    differ = [i for i, (a, b) in enumerate(zip(known, have)) if a != b]
    # Another number of classes is refused with the model itself.
    if not differ or len(known) != len(have):
        return
    place = differ[0]
    if sorted(known) == sorted(have):
        raise ValueError(
            f"{model} was trained on the classes of {info.name} in another order: "
            f"class {place} is {known[place]!r} there, and {have[place]!r} here. "
            "Expected the same order: pass the data in the form that it was trained "
            "on (folders are sorted as text, numbers in a table by value), or rename "
            "the classes."
        )
    print(
        f"Warning: class {place} is {known[place]!r} in the card of {model}, and "
        f"{have[place]!r} in {info.name}: if these are other classes, or in another "
        "order, the accuracies below mean nothing.",
        flush=True,
    )
