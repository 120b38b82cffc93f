"""Checks and converts batches to what exported programs take."""

import numpy as np

from igam_tf.pixels import as_float

# As `igam_tf.data.task`, which needs TensorFlow beside it.
_ROUNDING = 1e-5


def as_batch(
    images: np.ndarray, labels: np.ndarray, manifest: dict
) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels in the types of an export.

    Args:
        images: array (batch, height, width, channels).
        labels: integers (batch,).
        manifest: of the export.

    Returns:
        Tuple (images, labels int32).

    Raises:
        ValueError: if shapes or types do not fit.
    """
    shape = (manifest["batch_size"], *manifest["image_shape"])
    if tuple(np.shape(images)) != shape or tuple(np.shape(labels)) != shape[:1]:
        raise ValueError(
            f"images {np.shape(images)} and labels {np.shape(labels)}: this export "
            f"takes exactly {shape} and {shape[:1]}; export another batch size for "
            "another one."
        )
    return as_images(images, manifest), _class_numbers(labels)


def check_data(images: np.ndarray, labels: np.ndarray, manifest: dict) -> None:
    """Checks a data set before it is used.

    Raises:
        ValueError: if images and labels are not equally many, the images of another
            type, shape or range, or labels not classes of the exported network.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    shape = tuple(manifest["image_shape"])
    if images.shape != (labels.size, *shape) or labels.ndim != 1 or not labels.size:
        raise ValueError(
            f"images {images.shape} and labels {labels.shape}: expected equally many, "
            f"of images of shape {shape}, and labels (n,)."
        )
    as_images(images[:1], manifest)
    if images.dtype != np.uint8:
        low, high = images.min(), images.max()
        # Not a number is neither.
        if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
            raise ValueError(
                f"images range from {low:g} to {high:g}: expected float32 in [0, 1], "
                "or uint8 for grey levels."
            )
    labels = _class_numbers(labels)
    classes = manifest["num_classes"]
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels range from {labels.min()} to {labels.max()}; the exported network "
            f"has the classes 0 to {classes - 1}."
        )


def _class_numbers(labels):
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iub":
        raise ValueError(
            f"labels are {labels.dtype}: expected whole numbers, the classes from 0."
        )
    return labels.astype(np.int32)


def as_images(images: np.ndarray, manifest: dict) -> np.ndarray:
    """Images in the type of an export: uint8 is converted to float32, not conversely.

    Raises:
        ValueError: if the type does not fit.
    """
    wanted = np.dtype(manifest["image_dtype"])
    if images.dtype == wanted:
        return images
    if images.dtype == np.uint8 and wanted == np.float32:
        return as_float(images)
    raise ValueError(
        f"images are {images.dtype}, and the export takes {wanted}: pass such images, "
        "or export with an example batch of that type."
    )
