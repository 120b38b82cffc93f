"""What all kinds of own data share: augmentation, classes, and their record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from igam_tf.data.own.options import Options
from igam_tf.data.registry import Augmentation, DatasetInfo

_SHOWN = 5


def augmentation(
    options: Options, image_shape: tuple[int, int, int], *, streamed: bool = False
) -> Augmentation:
    """The `Augmentation` that `Options` ask for.

    Args:
        options: `Options`.
        image_shape: (height, width, channels).
        streamed: whether images are decoded when they are needed.

    Raises:
        ValueError: if resized crops are asked for of images in memory.
    """
    kind = options.augmentation
    if kind == "auto":
        colour = "resized_crop_and_flip" if streamed else "crop_and_flip"
        kind = "none" if image_shape[-1] == 1 else colour
    flip = kind.endswith("flip")
    if not kind.startswith("resized_crop"):
        pad = max(1, min(image_shape[:2]) // 16) if "crop" in kind else 0
        return Augmentation(pad=pad, flip=flip)
    if not streamed:
        raise ValueError(
            f"--augmentation={kind} (augmentation=): random parts are cut out of the "
            "files as they are, and these images are decoded once, at their final "
            "size; pass --stream=true (stream=True), or --augmentation=crop_and_flip."
        )
    return Augmentation(resized_crop=options.crop_area, flip=flip)


def describe(
    info: DatasetInfo, num_train: int, num_test: int, digest: str
) -> dict[str, Any]:
    """The record of own data in a run folder, as JSON gives it back."""
    return {
        "name": info.name,
        "classes": list(info.class_names),
        "image_shape": list(info.image_shape),
        "train": num_train,
        "test": num_test,
        "sha256": digest,
    }


def check_classes(name: str, class_names: Sequence[str], way_out: str = "") -> None:
    """Checks the classes of own data.

    Args:
        name: of the data, for errors.
        class_names: in order.
        way_out: further sentence about a single class.

    Raises:
        ValueError: if there are fewer than two, or names differ in case only.
    """
    if len(class_names) < 2:
        found = f"one class only ({class_names[0]!r})" if class_names else "no class"
        raise ValueError(
            f"{name}: it has {found}; expected two at least.{' ' * bool(way_out)}"
            f"{way_out}"
        )
    by_case: dict[str, list[str]] = {}
    for class_name in class_names:
        by_case.setdefault(class_name.casefold(), []).append(class_name)
    for same in by_case.values():
        if len(same) > 1:
            raise ValueError(
                f"{name}: the names of the classes {shown(same)} differ in case only, "
                "and would be one folder on another system. Rename one, or put their "
                "images together."
            )


def check_same_classes(
    name: str, of_train: Sequence[str], of_test: Sequence[str]
) -> None:
    """Checks that train and test have the same classes.

    Raises:
        ValueError: naming those that one of them lacks.
    """
    texts = []
    for here, there, where in (
        (of_train, of_test, "train only"),
        (of_test, of_train, "test only"),
    ):
        if missing := sorted(set(here) - set(there)):
            texts.append(f"{shown(missing)} in {where}")
    if texts:
        folded = [sorted(n.casefold() for n in set(c)) for c in (of_train, of_test)]
        hint = " They differ in case only." if folded[0] == folded[1] else ""
        raise ValueError(
            f"{name}: train and test have different classes: {'; '.join(texts)}.{hint} "
            "Expected the same ones in both: rename, add or remove them."
        )


def check_left(
    name: str, class_names: Sequence[str], before: Any, after: Any, split: str
) -> None:
    """Checks that no class has lost all images of a split as unreadable.

    Args:
        name: of the data.
        class_names: by label.
        before, after: labels of the split, with and without unreadable images.
        split: "training" or "test".

    Raises:
        ValueError: naming the classes.
    """
    lost = sorted(set(map(int, before)) - set(map(int, after)))
    if lost:
        raise ValueError(
            f"{name}: none of the {split} images of "
            f"{shown([class_names[label] for label in lost])} can be read: repair "
            "some, take the class away, or have other images tested on by --split_seed "
            "(split_seed=)."
        )


def shown(names: Sequence[str]) -> str:
    """The first names of a list, for a sentence."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more
