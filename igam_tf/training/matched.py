"""What the student's input gradients are matched to: the teacher's, or a control's.

A student that is as robust without its own teacher's gradients did not learn its
robustness from them. The controls keep everything of a method but these gradients.
"""

from typing import Any

import keras
import tensorflow as tf

from igam_tf import gradients

#: The teacher's gradient at the image; zero; the teacher's at another image of the same
#: class, or of another class.
MATCHED_TO = ("teacher", "zero", "same_class", "other_class")
#: Those that take data with partners, see `igam_tf.data.training_batches`.
WITH_PARTNERS = ("same_class", "other_class")


class MatchedMethod:
    """Mixin of methods whose `matched_to` is one of `MATCHED_TO`.

    Data of a method in `WITH_PARTNERS` yields ((images, partners, labels of the
    partners), labels); of the others, (images, labels). `evaluate` takes both.
    """

    matched_to: str
    #: Partners come beside the images, as the targets of other methods do.
    takes_targets: bool = True

    def unpack(self, data: Any) -> tuple[Any, tf.Tensor, tf.Tensor]:
        x, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if not isinstance(x, (tuple, list)):
            return super().unpack(data)  # type: ignore[misc]  # of the method beside it
        images, partners, partner_labels = x
        images, labels, global_batch = super().unpack(  # type: ignore[misc]  # likewise
            (images, labels, weights)
        )
        partners = tf.cast(partners, images.dtype)
        partner_labels = tf.cast(partner_labels, tf.int32)
        return (images, partners, partner_labels), labels, global_batch

    def test_step(self, data: Any, step: tf.Tensor) -> tuple[tuple, tuple]:
        """Of the images alone: partners are for training."""
        x, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        images = x[0] if isinstance(x, (tuple, list)) else x
        return super().test_step(  # type: ignore[misc]  # of the method beside it
            (images, labels, weights), step
        )

    def images_and_partners(self, images: Any) -> tuple[tf.Tensor, Any]:
        """The images of `unpack` alone, and (partners, their labels) or None.

        Raises:
            ValueError: if partners are there and not needed, or the other way round.
        """
        brings_partners = isinstance(images, (tuple, list))
        if brings_partners != (self.matched_to in WITH_PARTNERS):
            raise ValueError(
                f"{type(self).__name__} with matched_to={self.matched_to!r} got data "
                f"{'with' if brings_partners else 'without'} partners: pass "
                "partners='same_class' or 'other_class' to "
                "igam_tf.data.training_batches for these two, and for no other."
            )
        return (images[0], images[1:]) if brings_partners else (images, None)


def gradient_to_match(
    matched_to: str,
    teacher: keras.Model,
    images: tf.Tensor,
    labels: tf.Tensor,
    partners: Any,
    **kwargs: Any,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The gradient to match, and the teacher's logits of the images themselves.

    Args:
        matched_to: one of `MATCHED_TO`.
        teacher: the frozen teacher.
        images, labels: the batch, tensors (batch, ...) and (batch,).
        partners: tuple (images, labels) of other images, or None.
        **kwargs: `of`, `training` of `igam_tf.gradients.input_gradient`.

    Returns:
        Tuple (gradient like images, logits (batch, classes)).
    """
    gradient, logits = gradients.input_gradient_and_logits(
        teacher, images, labels, **kwargs
    )
    if matched_to == "zero":
        gradient = tf.zeros_like(gradient)
    elif matched_to in WITH_PARTNERS:
        gradient = gradients.input_gradient(teacher, *partners, **kwargs)
    return gradient, logits
