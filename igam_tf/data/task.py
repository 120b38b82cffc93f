"""A task in memory: its images and labels, and checks of their shape and range."""

import dataclasses
from typing import Any

import numpy as np

#: Pixels may lie so far outside of [0, 1]: the rounding of resizes and decoders.
ROUNDING = 1e-5
# Bicubic and Lanczos resizes overshoot at edges, by less than this.
_OVERSHOOT = 0.25


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one split, decoded once, in memory; not to be written to.

    Args:
        images: [n, height, width, channels], uint8 in 0..255 (a quarter of the memory;
            `training_batches` and `evaluation_batches` convert) or float32 in [0, 1].
            Or `igam_tf.data.streamed.StreamedImages`, which are decoded when needed.
        labels: int32 [n].

    Raises:
        ValueError: if the shapes do not fit or there is no image.
    """

    images: Any
    labels: Any

    def __post_init__(self):
        images, labels = np.shape(self.images), np.shape(self.labels)
        if len(images) != 4 or labels != images[:1] or not labels[0]:
            raise ValueError(
                f"images of shape {images} with labels of shape {labels}: expected "
                "[n, height, width, channels] and [n], with n at least 1."
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_streamed(self) -> bool:
        """Whether images are decoded when they are needed, and not held in memory."""
        return hasattr(self.images, "fetch")


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A data set as read.

    Args:
        name: as registered.
        num_classes: labels are 0 to num_classes - 1.
        image_shape: (height, width, channels).
        train: `Split`.
        test: `Split`.
        train_total: examples of the train split before any cut.
        test_total: examples of the test split before any cut.
        class_names: by label, of data of one's own; () where they are not known.
        held_out_fraction: part of the data set's training images that `test` is made
            of, see `igam_tf.data.hold_out`; 0: `test` are its test images.
    """

    name: str
    num_classes: int
    image_shape: tuple[int, int, int]
    train: Split
    test: Split
    train_total: int
    test_total: int
    class_names: tuple[str, ...] = ()
    held_out_fraction: float = 0.0


def check_images(images: np.ndarray) -> None:
    """Raises unless these are images as this package means them.

    Args:
        images: float32 [n, height, width, channels] in [0, 1], up to `ROUNDING`; an
            array or an eager tensor.

    Raises:
        ValueError: if rank, type or range differ, or if there is a NaN.
    """
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(
            f"images have shape {images.shape}; expected rank 4, [n, height, width, "
            "channels]: add the axes that are missing, such as images[..., None] for "
            "grayscale."
        )
    if images.dtype != np.float32:
        scale = " / 255" if np.issubdtype(images.dtype, np.integer) else ""
        raise ValueError(
            f"images are {images.dtype}; expected float32 in [0, 1]: pass "
            f'images.astype("float32"){scale}.'
        )
    if not images.size:
        raise ValueError(f"images have shape {images.shape}: there is none.")
    low, high = images.min(), images.max()  # a NaN comes through both
    if np.isnan(low):
        raise ValueError(
            f"images hold {np.count_nonzero(np.isnan(images))} NaN; expected values in "
            "[0, 1]: look at where they were computed or decoded."
        )
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ValueError(
            f"images range from {low:.6g} to {high:.6g}; expected [0, 1]: "
            f"{_way_out(low, high)}."
        )


def _way_out(low, high):
    """What probably brought images out of [0, 1], and what to do."""
    if -_OVERSHOOT <= low and high <= 1 + _OVERSHOOT:
        return (
            "a bicubic or Lanczos resize overshoots by so much; clip them, as in "
            "tf.clip_by_value(images, 0.0, 1.0)"
        )
    if 16 < high <= 320 and low >= -64:
        return (
            "divide by 255; of a tf.data.Dataset, as "
            "keras.utils.image_dataset_from_directory makes it, pass "
            "igam_tf.data.from_dataset(dataset, input_range=(0, 255))"
            if low >= 0 and high <= 255
            else (
                "these look like grey levels after a resize; divide by 255 and clip to "
                "[0, 1]"
            )
        )
    return "undo the normalisation: models own theirs" if low < 0 else "scale them"


def check_labels(labels: np.ndarray, num_classes: int) -> None:
    """Raises unless these are class numbers of a task with that many classes.

    Args:
        labels: integers [n] in 0..num_classes - 1; an array or an eager tensor.
        num_classes: number of classes.

    Raises:
        ValueError: if rank, type or range differ.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(
            f"labels have shape {labels.shape}; expected class numbers of shape [n]: "
            "turn a column into numbers with labels[:, 0], one-hot rows with "
            "labels.argmax(-1)."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels are {labels.dtype}; expected whole numbers: pass "
            'labels.astype("int32").'
        )
    if not labels.size:
        raise ValueError("labels are empty: expected one for each image.")
    low, high = labels.min(), labels.max()
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"labels range from {low} to {high}; expected 0 to {num_classes - 1} for "
            f"num_classes={num_classes}: check the number of classes, or renumber the "
            "labels from 0."
        )
