"""Arrays in files: an .npz, or a pair of .npy."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import pathlib
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from igam_tf.data.labels import class_numbers
from igam_tf.data.own import describing, splits, values
from igam_tf.data.own.options import Options
from igam_tf.data.registry import DatasetInfo
from igam_tf.data.task import Split, Task

_ONE_LEVEL = (("images", "labels"), ("x", "y"), ("image", "label"))
_TWO_LEVELS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)
_EXPECTED = "images and labels, or x_train, y_train, x_test and y_test"


class Arrays:
    """Images and labels of array files; images are read when they are asked for.

    Args:
        name: short name.
        files: key -> path, of which an .npz may hold several.
        options: `Options`; arrays have one size, `image_size` is refused.

    Raises:
        ValueError: if arrays are missing, damaged, or no images and labels.
        OSError: if a file cannot be read.
    """

    def __init__(
        self, name: str, files: Mapping[str, pathlib.Path], options: Options
    ) -> None:
        self.name, self.options = name, options
        self.paths = tuple(dict.fromkeys(files.values()))
        self._files = dict(files)
        for flag, given in (
            ("image_size", options.image_size),
            ("center_crop", options.center_crop),
            ("stream", options.stream == "true"),
        ):
            if given:
                raise ValueError(
                    f"{name}: --{flag} ({flag}=) is for image files; arrays have one "
                    "size already and are read as a whole: resize them before they are "
                    "saved, or save them as images."
                )
        self._keys = self._found()
        labels = {key: self._labels(key) for key in self._keys[1::2]}
        shape = self._shape(self._keys[::2], labels)
        self.num_classes = 1 + max(int(found.max()) for found in labels.values())
        names = tuple(map(str, range(self.num_classes)))
        _check_classes(name, labels, self.num_classes)
        self._parts = self._split(labels, names)
        self.info = DatasetInfo(
            name=name,
            num_classes=self.num_classes,
            image_shape=shape,
            augmentation=describing.augmentation(options, shape),
            class_names=names,
            train_examples=len(self._parts["train"].places),
        )

    def read(
        self,
        *,
        train_examples: int | None,
        test_examples: int | None,
        download: bool,
        progress: bool,
    ) -> Task:
        """Reads the images; the arguments are those of `igam_tf.data.read`.

        Raises:
            ValueError: if the values of the images are neither grey levels nor
                fractions.
        """
        del download, progress
        keys = self._keys[::2]
        images = {key: values.with_channels(self._array(key)) for key in keys}
        scale = values.scale(self.name, images)
        counts = {"train": train_examples, "test": test_examples}
        found = {}
        for split, part in self._parts.items():
            places = part.places[: counts[split]]
            found[split] = Split(scale(images[part.key][places]), part.labels[places])
        return Task(
            name=self.name,
            num_classes=self.num_classes,
            image_shape=self.info.image_shape,
            train=found["train"],
            test=found["test"],
            train_total=len(self._parts["train"].places),
            test_total=len(self._parts["test"].places),
            class_names=self.info.class_names,
        )

    def fingerprint(self) -> dict[str, Any]:
        """What tells these arrays from others: contents of the files, and the split."""
        digest = hashlib.sha256()
        for path in self.paths:
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        for part in self._parts.values():
            digest.update(np.sort(part.places).astype("<i8").tobytes())
        train, test = (len(part.places) for part in self._parts.values())
        return describing.describe(self.info, train, test, digest.hexdigest())

    def _found(self):
        """Keys of (images, labels) or of (images, labels, images, labels)."""
        for keys in (*_TWO_LEVELS, *_ONE_LEVEL):
            if set(keys) <= set(self._files):
                return keys
        raise ValueError(
            f"{self.name}: holds the arrays {describing.shown(sorted(self._files))}; "
            f"expected {_EXPECTED}: np.savez(FILE, images=..., labels=...)."
        )

    def _labels(self, key):
        try:
            found = class_numbers(self._array(key))
        except ValueError as error:
            raise ValueError(f"{self.name}, {key}: {error}") from None
        whole = found.ndim == 1 and np.issubdtype(found.dtype, np.integer)
        if not whole or not len(found) or found.min() < 0:
            raise ValueError(
                f"{self.name}, {key}: {found.dtype} of shape {found.shape}"
                f"{' from ' + str(found.min()) if whole and len(found) else ''}; "
                "expected whole numbers from 0, one an image, or one-hot rows."
            )
        return found.astype(np.int32)

    def _shape(self, keys, labels):
        """(height, width, channels) of all images, from the heads of the arrays."""
        shapes = {}
        for key, of in zip(keys, labels):
            shape = self._head(key)
            shape = (*shape, 1) if len(shape) == 3 else shape
            if len(shape) != 4 or shape[0] != len(labels[of]):
                raise ValueError(
                    f"{self.name}: {key} has shape {shape} and {of} "
                    f"{labels[of].shape}; expected [n, height, width, channels] (or "
                    "without channels, grey) and [n]."
                )
            if shape[1] in (1, 3) and shape[3] > 4:
                raise ValueError(
                    f"{self.name}: {key} has shape {shape}: the channels come first; "
                    "expected them last, np.moveaxis(images, 1, -1)."
                )
            shapes[key] = shape[1:]
        if len(set(shapes.values())) > 1:
            raise ValueError(
                f"{self.name}: train and test images have other shapes: {shapes}."
            )
        return next(iter(shapes.values()))

    def _split(self, labels, names):
        """`_Part` of each split."""
        options = self.options
        if len(labels) == 2:
            parts = {}
            for split, images, key in zip(
                ("train", "test"), self._keys[::2], self._keys[1::2]
            ):
                found = labels[key]
                places = splits.spread(
                    found, list(map(str, range(len(found)))), seed=options.split_seed
                )
                parts[split] = _Part(images, found, places)
            return parts
        (found,) = labels.values()
        keys = list(map(str, range(len(found))))
        chosen = splits.asked_for(self.name, found, keys, names, options)
        both = zip(("train", "test"), chosen)
        return {split: _Part(self._keys[0], found, c) for split, c in both}

    def _array(self, key):
        with _damage_reported(self._files[key]):
            found = np.load(self._files[key], allow_pickle=False)
            return found[key] if isinstance(found, np.lib.npyio.NpzFile) else found

    def _head(self, key):
        """Shape of an array, without its values."""
        path = self._files[key]
        with _damage_reported(path), contextlib.ExitStack() as stack:
            if path.suffix.lower() == ".npz":
                archive = stack.enter_context(zipfile.ZipFile(path))
                file = stack.enter_context(archive.open(f"{key}.npy"))
            else:
                file = stack.enter_context(open(path, "rb"))
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                return np.lib.format.read_array_header_1_0(file)[0]
            return np.lib.format.read_array_header_2_0(file)[0]


@dataclasses.dataclass(frozen=True, eq=False)
class _Part:
    """One split: key of its images, labels of all of them, and which are its own."""

    key: str
    labels: np.ndarray
    places: np.ndarray


def keys_of(path: pathlib.Path) -> dict[str, pathlib.Path]:
    """Names of the arrays in an .npz, each with its path.

    Raises:
        ValueError: if it is no .npz.
    """
    with _damage_reported(path), zipfile.ZipFile(path) as archive:
        return {
            name.removesuffix(".npy"): path
            for name in archive.namelist()
            if name.endswith(".npy")
        }


@contextlib.contextmanager
def _damage_reported(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is damaged, or holds no plain arrays ({error}); expected what "
            f"np.savez or np.save write, with {_EXPECTED}."
        ) from error


def _check_classes(name, labels, num_classes):
    present = [np.unique(found).tolist() for found in labels.values()]
    if len(present) == 2:
        describing.check_same_classes(name, *([str(c) for c in p] for p in present))
    describing.check_classes(name, list(map(str, present[0])))
    missing = sorted(set(range(num_classes)) - set(present[0]))
    if missing:
        raise ValueError(
            f"{name}: labels go up to {num_classes - 1}, and there is no image of "
            f"{describing.shown(missing)}; expected every class from 0: renumber the "
            "labels, as np.unique(labels, return_inverse=True)[1] does."
        )
