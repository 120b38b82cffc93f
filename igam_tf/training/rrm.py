"""Robust representation matching (RRM): the features of a robust teacher."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf

from igam_tf import losses
from igam_tf.derivatives import directions
from igam_tf.models.features import before_logits, features_and_logits
from igam_tf.settings import setting
from igam_tf.training import teachers
from igam_tf.training.base import TrainingMethod
from igam_tf.training.method_settings import MethodSettings
from igam_tf.training.teachers import Untracked
from igam_tf.training.terms import Terms

if TYPE_CHECKING:
    from igam_tf.experiment.setup import Setup

# Features of ReLU may all be zero; those of a norm far below this have no direction.
_SMALLEST_FEATURES = 1e-3


class RRM(TrainingMethod):
    """A student whose features point where those of a robust teacher do.

        L = cross_entropy_weight * CE + weight * (1 - cos(P f_s(x), f_t(x)))

    f are the features before the logits, at natural images, whatever the two
    architectures. Vaishnavi, Eykholt, Rahmati, USENIX Security 2022; the weights are
    those of the example of their released code.

    P is the identity where both networks have equally many features. Where they do not,
    it is a linear layer that is trained with the student and thrown away with the
    method, so that the student stays the network it is. (The authors put such a layer
    into the student, before its logits. A student that ends in `Dense(units of the
    teacher)` and `Dense(num_classes)` is that network, and needs no P.)

    Args:
        student: keras.Model from images to logits, which a Dense layer gives.
        teacher: robust keras.Model of the same images, ending in a Dense layer; never
            changed. Its classes do not matter.
        cross_entropy_weight: of the cross entropy.
        weight: of the distance of the features.
        **kwargs: `attack`, `penalty`, `weight_decay` (not of P), `micro_batch`, `seed`
            of `TrainingMethod`.

    Raises:
        ValueError: if a weight is negative, a network does not end in a Dense layer of
            features, the two take different images, or labels are to be smoothed that
            no term has.
    """

    reports: tuple[str, ...] = ("cross_entropy", "representation", "grad_norm")

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        cross_entropy_weight: float = 0.005,
        weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(student, **kwargs)
        teachers.check_numbers(cross_entropy_weight=cross_entropy_weight, weight=weight)
        teachers.check_networks(student, teacher, same_classes=False)
        if self.soft_labels is not None:
            # An attack, and a penalty, follow the loss of the label.
            others = self.attack is not None or self.penalty is not None
            self.soft_labels.check_method("RRM", bool(cross_entropy_weight) or others)
        self._teacher = teachers.held(before_logits(teacher))
        # Of the student's own layers, which are tracked as the student's.
        self._classifier = Untracked(features_and_logits(student))
        self.cross_entropy_weight = cross_entropy_weight
        self.weight = weight
        self.projection: keras.layers.Dense | None = None
        ours = self._classifier.value.outputs[0].shape[-1]
        theirs = self.teacher_features.output_shape[-1]
        if ours != theirs:
            self.projection = keras.layers.Dense(
                theirs, dtype=keras.config.floatx(), name="projection"
            )
            self.projection.build((None, ours))

    @property
    def teacher_features(self) -> keras.Model:
        """The teacher without its logits."""
        return self._teacher.value

    @property
    def trained_variables(self) -> list[keras.Variable]:
        found = list(self.student.trainable_variables)
        if self.projection is not None:
            found += self.projection.trainable_variables
        return found

    def prepare(
        self, images: Any, labels: tf.Tensor, *, phase: str, seed: tf.Tensor
    ) -> tuple[Any, Any]:
        images, _ = super().prepare(images, labels, phase=phase, seed=seed)
        features = self.teacher_features(images, training=False)
        return images, tf.cast(features, keras.config.floatx())

    def loss_terms(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        targets: Any,
        *,
        phase: str,
        global_batch: tf.Tensor,
    ) -> tuple[Terms, tf.Tensor, Terms]:
        del phase, global_batch
        features, logits = self._classifier.value(images, training=True)
        features = tf.cast(features, keras.config.floatx())
        if self.projection is not None:
            features = self.projection(features)
        cosine = tf.reduce_sum(_direction(features) * _direction(targets), axis=1)
        loss = losses.cross_entropy(logits, labels)
        terms = {
            "cross_entropy": self.cross_entropy_weight * loss,
            "representation": self.weight * (1.0 - cosine),
        }
        return terms, logits, {}


def _direction(features):
    return directions.direction(features, [1], smallest=_SMALLEST_FEATURES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """The row rrm: features along those of the robust teacher."""

    name: ClassVar[str] = "rrm"
    title: ClassVar[str] = "RRM"
    uses: ClassVar[frozenset[str]] = frozenset({"teacher", "finetuning"})
    needs_teacher: ClassVar[bool] = True
    has_controls: ClassVar[bool] = True
    matches_gradients: ClassVar[bool] = False

    cross_entropy_weight: float = setting(
        0.005,
        "Weight of the cross entropy in the row rrm.",
        flag="rrm_cross_entropy_weight",
        at_least=0,
    )
    weight: float = setting(
        1.0,
        "Weight of the distance of the features in the row rrm.",
        flag="rrm_weight",
        at_least=0,
    )

    def learns_labels(self) -> bool:
        return self.cross_entropy_weight > 0

    def check_row(self, setup: Setup) -> None:
        features_and_logits(setup.student)

    def build(self, setup: Setup) -> TrainingMethod:
        method = RRM(
            setup.student,
            setup.teacher,
            cross_entropy_weight=self.cross_entropy_weight,
            weight=self.weight,
            **setup.arguments(),
        )
        return setup.compiled(method)
