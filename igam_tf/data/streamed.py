"""Images that are decoded when they are asked for, behind the face of an array.

What is held is a list of files, or of places in files, and their labels: no decoded
image, however many there are. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

import numpy as np

from igam_tf.data.own import pictures
from igam_tf.data.own.threads import PORTION, in_threads

#: Bytes of decoded images from which on data of one's own are streamed by themselves.
STREAM_ABOVE = 4 * 2**30
#: Part of the side that evaluation keeps of streamed images (256 of which 224 are cut).
CENTER_CROP = 0.875


class Source(Protocol):
    """Encoded images with their labels, each found by its place."""

    def __len__(self) -> int:
        """Number of images."""

    def read(self, place: int) -> tuple[bytes, int]:
        """Contents of the file of an image, and its label.

        Raises:
            UnreadableError: if they cannot be read.
        """

    def where(self, place: int) -> str:
        """Names the image, for errors."""


@dataclasses.dataclass(frozen=True, eq=False)
class FileSource:
    """Files below a folder.

    Args:
        root: the folder.
        paths: of the files, below it.
        labels: int32 [n].
    """

    root: pathlib.Path
    paths: Sequence[str]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, place: int) -> tuple[bytes, int]:
        """See `Source`."""
        try:
            contents = (self.root / self.paths[place]).read_bytes()
        except OSError as error:
            raise pictures.UnreadableError(error.strerror or str(error)) from error
        return contents, int(self.labels[place])

    def where(self, place: int) -> str:
        """See `Source`."""
        return str(self.root / self.paths[place])


class StreamedImages:
    """Takes the place of an array uint8 [n, height, width, channels].

    Indexing decodes what is asked for, as it is evaluated: resized by the shorter side
    and cropped in the centre. The whole is never made one array.

    Args:
        name: of the data, for errors.
        source: `Source`.
        image_shape: (height, width, channels).
        num_classes: labels are 0 to num_classes - 1.
        center_crop: part of the side that is kept, in (0, 1]; None: `CENTER_CROP`.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self,
        name: str,
        source: Source,
        image_shape: tuple[int, int, int],
        *,
        num_classes: int,
        center_crop: float | None = None,
    ) -> None:
        self.name, self.source, self.image_shape = name, source, tuple(image_shape)
        self.num_classes, self.center_crop = num_classes, center_crop or CENTER_CROP

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, height, width, channels)."""
        height, width, channels = self.image_shape
        return len(self.source), height, width, channels

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: Any) -> np.ndarray:
        places = np.arange(len(self))[index]
        if places.size * np.prod(self.image_shape) > STREAM_ABOVE:
            raise self._too_many(places.size)
        flat = places.ravel()
        decoded = np.empty((flat.size, *self.image_shape), np.uint8)
        for start in range(0, flat.size, PORTION):
            portion = flat[start : start + PORTION]
            contents, _, _ = self.fetch(portion)
            boxes = np.zeros((len(portion), 4), np.int32)
            decoded[start : start + PORTION] = self.decode(portion, contents, boxes)
        return decoded.reshape(*places.shape, *self.image_shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise self._too_many(len(self))

    def fetch(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Reads images, and looks at their headers.

        Args:
            places: integers [b].

        Returns:
            Tuple: contents of the files [b], their sizes int32 [b, 2] as (height,
            width), labels int32 [b].

        Raises:
            UnreadableError: naming the first that cannot be read.
        """

        def one(place):
            contents, label = self.source.read(place)
            if not 0 <= label < self.num_classes:
                raise pictures.UnreadableError(
                    f"its label is {label}, expected 0 to {self.num_classes - 1}"
                )
            found = pictures.header(contents)
            return contents, (found.height, found.width), label

        found = list(in_threads(self._named(one), places.tolist()))
        contents, sizes, labels = zip(*found, strict=True)
        return (
            np.array(contents, object),
            np.array(sizes, np.int32),
            np.array(labels, np.int32),
        )

    def decode(
        self, places: np.ndarray, contents: np.ndarray, boxes: np.ndarray
    ) -> np.ndarray:
        """Decodes and crops images.

        Args:
            places: integers [b], for errors.
            contents: of their files, bytes [b].
            boxes: int32 [b, 4]: top, left, height and width of the part that becomes
                the image; height 0 for the centre.

        Returns:
            uint8 [b, height, width, channels].

        Raises:
            UnreadableError: naming the first that cannot be decoded to its end.
        """

        def one(place, file, box):
            return pictures.cropped(
                file,
                self.image_shape,
                box=tuple(box) if box[2] else None,
                center_crop=self.center_crop,
            )

        named = self._named(one)
        rows = zip(places.tolist(), contents.tolist(), boxes.tolist(), strict=True)
        return np.stack(list(in_threads(lambda row: named(*row), rows)))

    def _named(self, function):
        """The function of a place; its errors say which image it is."""

        def call(place, *arguments):
            try:
                return function(place, *arguments)
            except pictures.UnreadableError as error:
                raise pictures.UnreadableError(
                    f"{self.source.where(place)} cannot be read ({error}). Repair or "
                    "remove it, or pass --skip_unreadable (skip_unreadable=True), "
                    "which looks at every image before the first step."
                ) from error

        return call

    def _too_many(self, count):
        return ValueError(
            f"{self.name} is streamed: {count:,} of its images "
            f"({gibibytes(count, self.image_shape)} decoded) are needed in memory at "
            "once here. Pass a smaller --image_size (image_size=), fewer "
            "--train_examples (train_examples=), or --stream=false (stream=False) "
            "where the memory allows it."
        )


def is_streamed(asked: str, count: int, image_shape: Sequence[int]) -> bool:
    """Whether so many images are streamed.

    Args:
        asked: "true", "false", or "auto": above `STREAM_ABOVE`.
        count: images of both splits, before any cut: whoever reads a part of them
            later, such as an evaluation, comes to the same answer.
        image_shape: (height, width, channels).
    """
    if asked != "auto":
        return asked == "true"
    return count * int(np.prod(image_shape)) > STREAM_ABOVE


def gibibytes(count: int, image_shape: Sequence[int]) -> str:
    """Memory of so many decoded images, for a sentence."""
    return f"{count * int(np.prod(image_shape)) / 2**30:.1f} GiB"
