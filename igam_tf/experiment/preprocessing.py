"""What networks do to images before their first weights, compared by what comes out."""

from __future__ import annotations

import keras
import numpy as np

from igam_tf import compat, models

# Of the largest value: above the rounding of half precision, and far below what another
# normalisation makes of an image.
_TOLERANCE = 0.05
_ANY_SIZE = 32


def check_same(network: keras.Model, student: keras.Model) -> bool:
    """Compares what the first layers with weights receive of a random image.

    Args:
        network: whose weights a student takes.
        student: the student.

    Returns:
        Whether it could be compared: not for images of other sizes.

    Raises:
        ValueError: if the student does something else to its images.
    """
    image = _image(student)
    if image.shape != _image(network).shape:
        return False
    _compare(_first_input(network, image), _first_input(student, image))
    return True


def check_is(normalization: str, student: keras.Model) -> None:
    """Compares what the first layer with weights receives with a normalisation.

    Args:
        normalization: key of `igam_tf.models.NORMALIZATIONS`.
        student: the student.

    Raises:
        ValueError: if the student does something else to its images.
    """
    image = _image(student)
    expected = keras.ops.convert_to_numpy(models.NORMALIZATIONS[normalization](image))
    _compare(expected, _first_input(student, image))


def _compare(expected, found):
    if expected.shape == found.shape:
        apart = np.abs(expected - found).max()
        if apart <= _TOLERANCE * max(np.abs(expected).max(), np.abs(found).max()):
            return
    raise ValueError(
        "its network does something else to images before its first weights than the "
        f"student (of a random image they see {_told(expected)} there, and "
        f"{_told(found)} here), and would start at chance; expected weights that were "
        "trained behind the student's own normalisation."
    )


def _told(values):
    return f"mean {values.mean():.3g} and deviation {values.std():.3g}"


def _image(network):
    shape = [_ANY_SIZE if size is None else size for size in network.input_shape[1:]]
    return np.random.default_rng(0).random((1, *shape)).astype("float32")


def _first_input(network, image):
    received: list[np.ndarray] = []

    def record(operation, args, kwargs):
        # Inner calls come first: the first is that of a layer, not of a model.
        if not received and isinstance(operation, keras.Layer) and operation.weights:
            parts = [
                keras.ops.convert_to_numpy(keras.ops.cast(part, "float32"))
                for part in keras.tree.flatten((args, kwargs))
                if keras.ops.is_tensor(part)
            ]
            received.append(parts[0])

    with compat.recorded_calls(record):
        network(image, training=False)
    return received[0]
