"""The manifest that all exports share, and the example batches they accept."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

import igam_tf
from igam_tf.export.variables import Captures

_PAIR = "a pair (images, labels) of arrays or tf.TensorSpec"


def batch_specs(
    batch: tuple[object, object], network: keras.Model
) -> dict[str, tf.TensorSpec]:
    """tf.TensorSpec of "images" and "labels" of an example batch.

    Raises:
        ValueError: as `export_step`.
    """
    if not isinstance(network, keras.Model):
        raise ValueError(
            f"a {type(network).__name__} is given: expected a keras.Model from images "
            "to logits."
        )
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise ValueError(f"batch is a {type(batch).__name__}: expected {_PAIR}.")
    images, labels = (_spec(part) for part in batch)
    expected = tuple(network.input_shape[1:])
    if not _fits(images.shape, labels.shape, expected):
        sides = ", ".join("any" if side is None else str(side) for side in expected)
        raise ValueError(
            f"batch of images {images.shape} and labels {labels.shape}: expected "
            f"images (batch, {sides}) and labels (batch,), of one fixed size: exported "
            "programs take batches of that size only."
        )
    if images.dtype not in (tf.float32, tf.uint8) or not labels.dtype.is_integer:
        raise ValueError(
            f"batch of images {images.dtype.name} and labels {labels.dtype.name}: "
            "expected float32 in [0, 1] or uint8, and integers."
        )
    labels = tf.TensorSpec(labels.shape, tf.int32)
    return {"images": images, "labels": labels}


def common_manifest(
    kind: str,
    network: keras.Model,
    inputs: Mapping[str, tf.TensorSpec],
    programs: Mapping[str, tuple[bytes, dict]],
    captures: Captures,
) -> dict[str, object]:
    """The entries that every manifest has; `network` is the classifier."""
    size, *image_shape = inputs["images"].shape
    return {
        "kind": kind,
        "made_with": {
            "igam_tf": igam_tf.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
        "batch_size": size,
        "image_shape": image_shape,
        "num_classes": network.output_shape[-1],
        "image_dtype": inputs["images"].dtype.name,
        "programs": {
            name: {"file": f"{name}.stablehlo", **entry}
            for name, (_, entry) in programs.items()
        },
        "variables": captures.manifest(),
    }


def _fits(images, labels, expected):
    """Whether these are fixed shapes of a batch; None is expected of any size."""
    if not images.is_fully_defined() or images.rank != 1 + len(expected):
        return False
    sides = zip(images[1:], expected, strict=True)
    same = all(wanted in (None, found) for found, wanted in sides)
    return same and labels == images[:1]


def _spec(part):
    if isinstance(part, tf.TensorSpec):
        return part
    if not hasattr(part, "dtype"):
        part = np.asarray(part)
    return tf.TensorSpec(part.shape, tf.dtypes.as_dtype(part.dtype))
