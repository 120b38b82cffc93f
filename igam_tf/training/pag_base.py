"""What target gradients are: a function of images, for all classes or for some."""

import tensorflow as tf


class Targets:
    """Target gradients of images: of all classes when called, or of those asked for.

    Args:
        num_classes: number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes

    def __call__(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Targets of all classes.

        Args:
            images: float tensor (batch, height, width, channels) in [0, 1].
            labels: int32 tensor (batch,).

        Returns:
            Tensor (batch, num_classes, height, width, channels).
        """
        classes = tf.range(self.num_classes)[None]
        every = tf.tile(classes, [tf.shape(images)[0], 1])
        return self.of_classes(images, labels, every)

    def of_classes(
        self, images: tf.Tensor, labels: tf.Tensor, classes: tf.Tensor
    ) -> tf.Tensor:
        """Targets of some classes of each image, and no work for the others.

        Args:
            images: float tensor (batch, height, width, channels) in [0, 1].
            labels: int32 tensor (batch,).
            classes: int32 tensor (batch, k).

        Returns:
            Tensor (batch, k, height, width, channels).
        """
        raise TypeError(f"{type(self).__name__} does not define its of_classes.")
