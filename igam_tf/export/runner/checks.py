"""Checks and converts batches to what exported programs take."""

import numpy as np

from igam_tf.pixels import as_float


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
    return as_images(images, manifest), np.asarray(labels, np.int32)


def check_data(images: np.ndarray, labels: np.ndarray, manifest: dict) -> None:
    """Checks a data set before it is used.

    Raises:
        ValueError: if images and labels are not equally many, the images of another
            type or shape, or labels not classes of the exported network.
    """
    shape = tuple(manifest["image_shape"])
    if len(images) != len(labels) or images.shape[1:] != shape or not len(labels):
        raise ValueError(
            f"images {images.shape} and labels {labels.shape}: expected equally many, "
            f"of images of shape {shape}."
        )
    as_images(images[:1], manifest)
    classes = manifest["num_classes"]
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels range from {labels.min()} to {labels.max()}; the exported network "
            f"has the classes 0 to {classes - 1}."
        )


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
