"""Where corrupted images come from: made of the test images, or the published files."""

import abc
import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from igam_tf.evaluation.batches import Data, batches
from igam_tf.evaluation.corruptions.making import VERSION, corrupted
from igam_tf.evaluation.corruptions.names import (
    EXTRA,
    PAPER,
    SEVERITIES,
    Corruptions,
)
from igam_tf.evaluation.outcomes import Digest

# Images worked on at once, in every corruption before the next ones are looked at.
_PORTION = 1000


@dataclasses.dataclass(frozen=True)
class Portion:
    """Some images, in every corruption that is asked for.

    Attributes:
        labels: int32 array (n,).
        images: function of a corruption's name and a severity; returns float32 images
            (n, height, width, channels) in [0, 1].
        describe: takes what tells these images from others into a `Digest`.
    """

    labels: np.ndarray
    images: Callable[[str, int], np.ndarray]
    describe: Callable[[Digest], None]


class Source(abc.ABC):
    """Corrupted images of one origin.

    Attributes:
        told: what they are, for people and for the record.
    """

    told: str

    @abc.abstractmethod
    def portions(self, batch_size: int, max_examples: int | None) -> Iterator[Portion]:
        """Yields portions; all but the last are a multiple of `batch_size`."""


def source_of(corruptions: Corruptions, data: Data, seed: int) -> Source:
    """The source of what is asked for.

    Raises:
        ValueError: if the files do not hold what they should.
    """
    if corruptions.folder is None:
        return Made(data, seed)
    return Files(corruptions)


def check_images(corruptions: Corruptions, shape: tuple[int | None, ...]) -> None:
    """Raises ValueError unless a model takes the corrupted images; reads none.

    Args:
        corruptions: what is asked for.
        shape: (height, width, channels) of the model's images; None for any size.
    """
    if corruptions.folder is not None:
        Files(corruptions).check_shape(shape)
    elif shape[-1] not in (1, 3, None):
        raise ValueError(
            f"the model takes images of {shape[-1]} channels: expected 1 or 3, of "
            "which corrupted images can be made; leave the corruptions out."
        )
    elif shape[-1] == 1 and "saturate" in corruptions.chosen:
        raise ValueError(
            "corruption 'saturate' of images with one channel: expected colours; leave "
            "it out of the corruptions."
        )


class Made(Source):
    """Test images, corrupted here."""

    def __init__(self, data: Data, seed: int) -> None:
        self._data, self._seed = data, seed
        self.told = f"made here of the test images (version {VERSION}, seed {seed})"

    def portions(self, batch_size: int, max_examples: int | None) -> Iterator[Portion]:
        first, size = 0, _portion(batch_size)
        for images, labels in batches(self._data, size, max_examples=max_examples):
            yield self._portion(images, labels, first)
            first += len(images)

    def _portion(self, images, labels, first):
        def made(kind, severity):
            found = corrupted(
                images, kind, severity, seed=self._seed, first_index=first
            )
            return found.astype(np.float32) / np.float32(255)

        return Portion(labels, made, lambda digest: digest.add(images, labels))


class Files(Source):
    """The published files: NAME.npy with the images of severity 1, then 2, up to 5.

    They are mapped into memory, so that only the images at work are read.

    Raises:
        ValueError: if a file has another form.
    """

    def __init__(self, corruptions: Corruptions) -> None:
        self._asked = corruptions
        self._labels = _mapped(corruptions.file("labels"))
        if self._labels.ndim != 1 or len(self._labels) % len(SEVERITIES):
            raise ValueError(
                f"{corruptions.file('labels')} is an array {self._labels.shape}: "
                f"expected one label an image, for {len(SEVERITIES)} severities alike."
            )
        self._files = {
            kind: _mapped(corruptions.file(kind)) for kind in corruptions.chosen
        }
        for kind, file in self._files.items():
            if (
                file.ndim != 4
                or file.dtype != np.uint8
                or len(file) != len(self._labels)
            ):
                raise ValueError(
                    f"{corruptions.file(kind)} is an array {file.shape} of "
                    f"{file.dtype}: expected {len(self._labels)} images of uint8, one "
                    "for each label, (n, height, width, channels)."
                )
        self.told = f"files of {corruptions.file('labels').parent.name}"

    def check_shape(self, shape: tuple[int | None, ...]) -> None:
        """Raises ValueError unless images have this height, width and channels."""
        for kind, file in self._files.items():
            have = file.shape[1:]
            if any(size not in (None, one) for size, one in zip(shape, have)):
                raise ValueError(
                    f"{self._asked.file(kind)} has images of {have}, and the model "
                    f"takes {shape}: expected corrupted images of the model's data."
                )

    @property
    def total(self) -> int:
        """Number of images of a severity."""
        return len(self._labels) // len(SEVERITIES)

    def portions(self, batch_size: int, max_examples: int | None) -> Iterator[Portion]:
        count, size = min(self.total, max_examples or self.total), _portion(batch_size)
        for first in range(0, count, size):
            yield self._portion(first, min(size, count - first))

    def _portion(self, first, size):
        def raw(kind, severity):
            start = (severity - 1) * self.total + first
            return np.asarray(self._files[kind][start : start + size])

        def describe(digest):
            # In whatever order they are asked for, these are the same images.
            asked = [
                raw(kind, severity)
                for kind in PAPER + EXTRA
                if kind in self._asked.chosen
                for severity in sorted(self._asked.severities)
            ]
            digest.add(np.stack(asked, axis=1), labels)

        labels = np.asarray(self._labels[first : first + size]).astype(np.int32)
        same = all(
            (np.asarray(self._labels[start : start + size]) == labels).all()
            for start in range(first, len(self._labels), self.total)
        )
        if not same:
            raise ValueError(
                f"{self._asked.file('labels')} has other labels for other severities: "
                "expected the same images, five times."
            )

        def images(kind, severity):
            return raw(kind, severity).astype(np.float32) / np.float32(255)

        return Portion(labels, images, describe)


def _portion(batch_size):
    return batch_size * max(1, _PORTION // batch_size)


def _mapped(path):
    try:
        return np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{path} is no array of numbers ({error}): expected a .npy file, as in "
            "CIFAR-10-C; unpack it again."
        ) from error
