"""Plain training: the row Standard of the paper's tables."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import tensorflow as tf

from igam_tf import losses
from igam_tf.training.base import TrainingMethod
from igam_tf.training.method_settings import MethodSettings
from igam_tf.training.terms import Terms

if TYPE_CHECKING:
    from igam_tf.experiment.setup import Setup


class StandardTraining(TrainingMethod):
    """Minimises the cross entropy (Eq. 1); of adversarial images with an `attack`.

    Args:
        student: keras.Model from images to logits.
        **kwargs: `attack`, `weight_decay`, `seed` of `TrainingMethod`.
    """

    def loss_terms(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        targets: Any,
        *,
        phase: str,
        global_batch: tf.Tensor,
    ) -> tuple[Terms, tf.Tensor, Terms]:
        del targets, phase, global_batch
        logits = self.student(images, training=True)
        return {"cross_entropy": losses.cross_entropy(logits, labels)}, logits, {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """The row standard: plain training on natural images."""

    name: ClassVar[str] = "standard"
    title: ClassVar[str] = "Standard"
    uses: ClassVar[frozenset[str]] = frozenset()

    def build(self, setup: Setup) -> TrainingMethod:
        return setup.compiled(StandardTraining(setup.student, **setup.arguments()))
