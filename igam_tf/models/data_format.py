"""Which axis of an image has the channels: here always the last one."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def channels_last() -> Iterator[None]:
    """Within it, or as a decorator, Keras' layers are made for channels last.

    `keras.json` or `keras.config.set_image_data_format` may say otherwise, and layers
    take what it says when they are made, whatever their images are.
    """
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)
