"""The known data sets, listed without importing TensorFlow.

`run.py` needs the names, sizes and classes to check its flags; a reader (and with it
TensorFlow) is imported only when images are asked for.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import math
import os
import typing
from collections.abc import Callable

from igam_tf.data.own import names

if typing.TYPE_CHECKING:
    from igam_tf.data.task import Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What happens to the images of a training batch, in this order.

    Args:
        pad: pixels of zeros added on each side before a random crop back to the size
            of the image; 0 leaves images in place.
        resized_crop: of streamed images: least part of the area of a random crop, of a
            shape between 3:4 and 4:3, that is resized to the image; 0: the centre.
        flip: whether half of the images are mirrored left to right.
        noise: each pixel gets its own uniform noise in [-noise, noise], a fraction of
            the range such as 8/255, and is then clipped to [0, 1].

    Raises:
        ValueError: if a value is out of its range.

    Source: MadryLab `cifar10_challenge` (pad 2, crop, flip); `image_noise` is
    `train_igam.py` of the authors' code.
    """

    pad: int = 0
    flip: bool = False
    noise: float = 0.0
    resized_crop: float = 0.0

    def __post_init__(self):
        if isinstance(self.pad, bool) or not isinstance(self.pad, int) or self.pad < 0:
            raise ValueError(
                f"pad={self.pad!r}: expected a number of pixels, 0 or more."
            )
        if not isinstance(self.flip, bool):
            raise ValueError(f"flip={self.flip!r}: expected True or False.")
        if not (math.isfinite(self.resized_crop) and 0 <= self.resized_crop <= 1):
            raise ValueError(
                f"resized_crop={self.resized_crop!r}: expected the least part of the "
                "image that a crop keeps, in [0, 1]; 0.08 is usual, 0 is no such crop."
            )
        if not (math.isfinite(self.noise) and 0 <= self.noise <= 1):
            raise ValueError(
                f"noise={self.noise!r}: expected a fraction of the pixel range in "
                "[0, 1]; 8 grey levels are 8/255."
            )


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set before it is read.

    Args:
        name: as given to `read`, to `--source` and to `--target`.
        num_classes: labels are 0 to num_classes - 1.
        image_shape: (height, width, channels).
        augmentation: the `Augmentation` it is trained with unless said otherwise.
        class_names: by label, of data of one's own; () where they are not known.
        train_examples: number of training images, where it is known.
    """

    name: str
    num_classes: int
    image_shape: tuple[int, int, int]
    augmentation: Augmentation = Augmentation()
    class_names: tuple[str, ...] = ()
    train_examples: int | None = None


# Published by name; change it through `register` only.
DATASETS: dict[str, DatasetInfo] = {}
_READERS: dict[str, Callable[..., Task] | str] = {}


def register(info: DatasetInfo, reader: Callable[..., Task] | str) -> None:
    """Adds a data set, which `read`, `load` and `run.py` then know by its name.

    Args:
        info: a `DatasetInfo`.
        reader: called as `reader(info, data_dir, train_examples=, test_examples=,
            download=, progress=)`, with the arguments of `read`; returns a `Task`. A
            string "module:function" is imported when it is first needed.

    Raises:
        ValueError: if the name is taken, by another data set.
    """
    if DATASETS.get(info.name, info) != info:
        raise ValueError(
            f"a data set named {info.name!r} is already registered "
            f"({DATASETS[info.name]}); choose another name."
        )
    DATASETS[info.name] = info
    _READERS[info.name] = reader


def find(
    name: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    **own: typing.Any,
) -> DatasetInfo:
    """The `DatasetInfo` of a name, or of data of one's own.

    Files are looked at (names, headers), and no image is decoded.

    Args:
        name: of a registered data set; or a path, or tfds:NAME (see `read`).
        data_dir: folder of prepared data, for tfds:NAME.
        **own: `igam_tf.data.own.options.Options`, of data of one's own only.

    Raises:
        ValueError: if there is none; names the known ones and the closest. If own data
            are not what they should be.
        OSError: if own data are missing or cannot be read.
    """
    name = os.fspath(name)
    if name in DATASETS:
        check_not_own(name, own)
        return DATASETS[name]
    if names.is_own(name):
        from igam_tf.data.own import opening, options

        return opening.opened(name, data_dir, options.Options(**own)).info
    close = difflib.get_close_matches(str(name).lower(), DATASETS, n=1, cutoff=0.5)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"unknown data set {name!r}.{guess} Known: {', '.join(sorted(DATASETS))}. "
        "Others can be added with igam_tf.data.register; of your own images pass the "
        f"path (there is no folder {name!r} here), of other data of TFDS tfds:NAME."
    )


def is_own(name: str) -> bool:
    """Whether a name means data of one's own: it is not registered, and a path."""
    return name not in DATASETS and names.is_own(name)


def short_name(name: str) -> str:
    """A registered name as it is, and the last part of a path."""
    return name if name in DATASETS else names.short_name(name)


def fingerprint(
    name: str, *, data_dir: str | os.PathLike | None = None, **own: typing.Any
) -> dict[str, typing.Any] | None:
    """A record of data of one's own that differs where their contents do.

    Args:
        name, data_dir, **own: as in `find`.

    Returns:
        Dict that is JSON as it stands: "name", "classes", "image_shape", "train" and
        "test" (numbers of images), "sha256"; None of a registered data set.

    Raises:
        ValueError, OSError: as `find`.
    """
    if not is_own(name):
        return None
    from igam_tf.data.own import opening, options

    return opening.opened(name, data_dir, options.Options(**own)).fingerprint()


def check_not_own(name: str, own: dict[str, typing.Any]) -> None:
    """Raises ValueError if a registered data set is given what is for own data only."""
    if own:
        raise ValueError(
            f"{', '.join(sorted(own))}: only for data of one's own, given by a path; "
            f"{name} is read as it is."
        )


def reader_of(name: str) -> Callable[..., Task]:
    """The function that reads a registered data set (see `register`)."""
    reader = _READERS[find(name).name]
    if isinstance(reader, str):
        module, function = reader.split(":")
        reader = getattr(importlib.import_module(module), function)
    return reader


_CROP_AND_FLIP = Augmentation(pad=2, flip=True)
_PREPARED = "igam_tf.data.prepared:read"

register(DatasetInfo("mnist", 10, (28, 28, 1)), _PREPARED)
register(DatasetInfo("cifar10", 10, (32, 32, 3), _CROP_AND_FLIP), _PREPARED)
register(DatasetInfo("cifar100", 100, (32, 32, 3), _CROP_AND_FLIP), _PREPARED)
register(
    DatasetInfo("stl10", 10, (96, 96, 3), Augmentation(pad=6, flip=True)), _PREPARED
)
register(
    # Test images are those of its validation split; the others have no labels.
    DatasetInfo(
        "imagenet2012",
        1000,
        (224, 224, 3),
        Augmentation(resized_crop=0.08, flip=True),
        train_examples=1281167,
    ),
    "igam_tf.data.imagenet:read",
)
register(
    DatasetInfo("tiny_imagenet", 200, (64, 64, 3), _CROP_AND_FLIP),
    "igam_tf.data.tiny_imagenet:read",
)
register(
    # The toy of PAG: a point of the plane is an image of two pixels.
    DatasetInfo("points_on_a_line", 2, (1, 2, 1), train_examples=6000),
    "igam_tf.data.points_on_a_line:read",
)
for _name, _classes, _train_examples in (
    ("digits", 10, 1257),
    ("digits_parity", 2, 1257),
    ("digits_0_to_7", 8, 1009),
):
    register(
        DatasetInfo(_name, _classes, (8, 8, 1), train_examples=_train_examples),
        "igam_tf.data.digits:read",
    )
