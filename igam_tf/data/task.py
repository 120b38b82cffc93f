"""A task in memory: its images and labels, and the checks that they are what we say."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one split, decoded once, in memory; not to be written to.

    Args:
        images: [n, height, width, channels], uint8 in 0..255 (a quarter of the memory;
            `training_batches` and `evaluation_batches` convert) or float32 in [0, 1].
        labels: int32 [n].

    Raises:
        ValueError: if the shapes do not fit or there is no image.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        images, labels = np.shape(self.images), np.shape(self.labels)
        if len(images) != 4 or labels != images[:1] or not labels[0]:
            raise ValueError(
                f"images of shape {images} with labels of shape {labels}: expected "
                "[n, height, width, channels] and [n], with n at least 1."
            )

    def __len__(self):
        return len(self.labels)


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
    """

    name: str
    num_classes: int
    image_shape: tuple[int, int, int]
    train: Split
    test: Split
    train_total: int
    test_total: int


def check_images(images):
    """Raises unless these are images as this package means them.

    Args:
        images: float32 [n, height, width, channels] in [0, 1]; an array or an eager
            tensor.

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
    if low < 0 or high > 1:
        way_out = "divide by 255" if 0 <= low and high <= 255 else "scale them"
        if low < 0:
            way_out = "undo the normalisation: models own theirs"
        raise ValueError(
            f"images range from {low:.6g} to {high:.6g}; expected [0, 1]: {way_out}."
        )


def check_labels(labels, num_classes):
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
            "turn one-hot rows into numbers with labels.argmax(-1)."
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
