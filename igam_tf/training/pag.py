"""Training towards perceptually aligned gradients (PAG)."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf

from igam_tf import data, losses, models, streams
from igam_tf.data import check_count
from igam_tf.data.batches import crop_and_flip
from igam_tf.settings import naming, setting
from igam_tf.training import pag_alignment, teachers
from igam_tf.training.base import TrainingMethod
from igam_tf.training.class_gradients import class_gradients, per_class_cosine
from igam_tf.training.method_settings import MethodSettings
from igam_tf.training.terms import Terms

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.runner import Run
    from igam_tf.experiment.setup import Setup
    from igam_tf.training.pag_cache import InSteps

_PURPOSES = (
    streams.Purpose.PAG_NOISE,
    streams.Purpose.PAG_CLASSES,
    streams.Purpose.PAG_OFFSETS,
    streams.Purpose.PAG_FLIPS,
)


class PAG(TrainingMethod):
    """Teaches a student input gradients, of every class, by their direction.

        L = CE(f(A x), y) + weight * (1 - mean over classes t of cos(J_t, g(x, t)))

    J_t is the gradient of log softmax_t(f(A x)) w.r.t. the natural image x, through
    the random crop and flip A, so that target and gradient share coordinates. Natural
    images only; Ganz, Kawar, Elad, ICML 2023 (code: GitHub `royg27/PAG-ROB`). Batch
    norm is in training mode, and its moving statistics see each batch once.

    The paper's formula sums over the C classes of a task, its released code takes the
    mean, as here: weight = C * lambda. The released weights 15 (ResNet-18) and 30 (ViT)
    are lambda 1.5 and 3 for ten classes.

    The data's pipeline must not crop and flip. It yields (images, labels), for which
    targets are made in every step; or ((images, targets), labels), see
    `pag_targets.cached` and `pag_targets.batches`.

    Args:
        student: keras.Model from images to logits. One that normalises the contrast of
            each image ("standardize") cannot follow a target along the image.
        targets: function (images, labels) to (batch, classes, height, width,
            channels), as `pag_targets.make` makes them; None if the data brings them.
            One with a method `of_classes` is asked for the classes drawn, and no other.
        weight: of the mean over classes.
        augmentation: `igam_tf.data.Augmentation`, or None.
        classes: number of classes a step, drawn anew for each image and step without
            replacement; None for all. The expectation of the loss and of its gradient
            stays, the time falls.
        **kwargs: `attack`, `penalty`, `weight_decay`, `micro_batch`, `seed` of
            `TrainingMethod`. The attack sees the image before crop and flip; targets
            are those of the natural image.

    Raises:
        ValueError: if the number of classes is not one the student has.
    """

    takes_targets: bool = True
    input_gradient_mode: bool | None = True
    reports: tuple[str, ...] = (
        "cross_entropy",
        "alignment",
        "gradient_cosine",
        "grad_norm",
    )

    def __init__(
        self,
        student: keras.Model,
        targets: Callable | InSteps | None,
        *,
        weight: float = 15.0,
        augmentation: data.Augmentation | None = None,
        classes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(student, **kwargs)
        teachers.check_numbers(weight=weight)
        if classes is not None:
            check_count("classes", classes)
            if classes > student.output_shape[-1]:
                raise ValueError(
                    f"classes={classes}: expected at most the student's "
                    f"{student.output_shape[-1]}, or None for all."
                )
        self.targets = targets
        self.weight = weight
        self.augmentation = augmentation
        self.classes = classes

    def unpack(self, data: Any) -> tuple[Any, tf.Tensor, tf.Tensor]:
        x, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if not _is_pair(x):
            return super().unpack(data)
        images, targets = x
        images, labels, global_batch = super().unpack((images, labels, weights))
        return (images, tf.cast(targets, images.dtype)), labels, global_batch

    def test_step(self, data: Any, step: tf.Tensor) -> tuple[tuple, tuple]:
        x, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        images = x[0] if _is_pair(x) else x
        return super().test_step((images, labels, weights), step)

    def prepare(
        self, images: Any, labels: tf.Tensor, *, phase: str, seed: tf.Tensor
    ) -> tuple[Any, Any]:
        natural, targets = images if _is_pair(images) else (images, None)
        # A part of a batch comes without its shape, which crops and attacks need.
        natural = tf.ensure_shape(natural, self.student.input_shape)
        noise, which, offsets, flips = (
            streams.seed_of(seed, purpose) for purpose in _PURPOSES
        )
        count = tf.shape(natural)[0]
        classes = self._draw_classes(count, which)
        targets = self._of_classes(natural, labels, classes, targets)
        images = self._with_noise(natural, noise)
        images, _ = super().prepare(images, labels, phase=phase, seed=seed)
        return images, (targets, classes, *self._draw_crops(count, offsets, flips))

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
        targets, classes, *crops = targets
        found, logits = class_gradients(
            lambda x: self.student(self._augmented(x, *crops), training=True),
            images,
            classes,
        )
        cosine = tf.reduce_mean(per_class_cosine(found, targets), axis=1)
        loss = losses.cross_entropy(logits, labels)
        terms = {"cross_entropy": loss, "alignment": self.weight * (1.0 - cosine)}
        return terms, logits, {"gradient_cosine": cosine}

    def _of_classes(self, images, labels, classes, brought):
        """Targets (batch, k, ...) of the classes drawn: made here, or brought."""
        if brought is None and self.targets is None:
            raise ValueError(
                "PAG got images without target gradients: pass `targets` (see "
                "pag_targets.make), or data of ((images, targets), labels)."
            )
        if brought is None and hasattr(self.targets, "of_classes"):
            return self.targets.of_classes(images, labels, classes)
        every = self.targets(images, labels) if brought is None else brought
        return tf.gather(every, classes, axis=1, batch_dims=1)

    def _with_noise(self, images, seed):
        if self.augmentation is None or not self.augmentation.noise:
            return images
        size = self.augmentation.noise
        noise = tf.random.stateless_uniform(tf.shape(images), seed, -size, size)
        return tf.ensure_shape(tf.clip_by_value(images + noise, 0.0, 1.0), images.shape)

    def _draw_classes(self, count, seed):
        num_classes = self.student.output_shape[-1]
        if self.classes is None:
            return tf.tile(tf.range(num_classes)[None], [count, 1])
        order = tf.argsort(tf.random.stateless_uniform([count, num_classes], seed))
        return order[:, : self.classes]

    def _draw_crops(self, count, offsets_seed, flips_seed):
        augmentation = self.augmentation
        if augmentation is None or not (augmentation.pad or augmentation.flip):
            return ()
        offsets = tf.random.stateless_uniform(
            [count, 2], offsets_seed, 0, 2 * augmentation.pad + 1, tf.int32
        )
        flips = tf.random.stateless_uniform([count], flips_seed) < 0.5
        return offsets, tf.logical_and(flips, augmentation.flip)

    def _augmented(self, images, *crops):
        return crop_and_flip(images, *crops, self.augmentation.pad) if crops else images


def _is_pair(images):
    return isinstance(images, (tuple, list))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """The row pag: input gradients of every class along target gradients."""

    name: ClassVar[str] = "pag"
    title: ClassVar[str] = "PAG"
    # Its targets lie along the image, which contrast normalisation removes.
    student_normalization: ClassVar[str] = "none"

    targets: str = setting(
        "nn",
        "Target gradients of the row pag: one image (oi), class mean (cm), nearest "
        "neighbour (nn) or score (sbg) of each class.",
        flag="pag_targets",
        choices=("oi", "cm", "nn", "sbg"),
    )
    weight: float = setting(
        15.0,
        "Weight of the row pag's mean cosine over classes: number of classes times the "
        "paper's lambda.",
        flag="pag_weight",
        at_least=0,
    )
    classes: int = setting(
        0,
        "Classes drawn for each image and step; 0 for all.",
        flag="pag_classes",
        at_least=0,
    )
    per_class: int = setting(
        200, "Images a class that nn looks at.", flag="pag_per_class", at_least=1
    )
    score_model: str = setting(
        "", "Score network for sbg, a .keras file; trained here if left out."
    )
    score_epochs: int = setting(20, "Epochs of training the score network.", at_least=1)
    score_sigma: float = setting(
        0.25, "Noise level of sbg, in units of [0, 1] pixels.", above=0
    )
    score_draws: int = setting(1, "Draws of noise that sbg averages.", at_least=1)

    def check(self, experiment: Experiment) -> None:
        target = experiment.data.info("target")
        num_classes = target.num_classes
        if self.classes > num_classes:
            raise ValueError(
                f"--pag_classes={self.classes}: {target.name} has {num_classes} "
                f"classes; expected at most {num_classes}, or 0 for all."
            )
        path = self.score_model
        if path and not (path.endswith(".keras") and pathlib.Path(path).is_file()):
            raise ValueError(
                f"--score_model={path}: expected a .keras file that exists; leave it "
                "out to train a score network here."
            )

    def check_row(self, setup: Setup) -> None:
        if setup.augmentation.resized_crop:
            raise ValueError(
                "--augmentation: the row pag crops and mirrors inside of its gradient, "
                "and cannot resize crops there; pass --augmentation=crop_and_flip, "
                "crop, flip or none, or leave pag out of --methods."
            )
        if self.targets == "sbg" and not self.score_model:
            task = setup.task
            with naming("--pag_targets=sbg"):
                models.score_network(
                    num_classes=task.num_classes, image_shape=task.image_shape
                )
        pag_alignment.check(self, setup.task)

    def trains_first(self) -> bool:
        return self.targets == "sbg" and not self.score_model

    def prepare(self, run: Run) -> tuple[Any, Callable | None]:
        return pag_alignment.prepare(self, run)

    def build(self, setup: Setup) -> TrainingMethod:
        method = PAG(
            setup.student,
            setup.targets,
            weight=self.weight,
            classes=self.classes or None,
            augmentation=setup.augmentation,
            **setup.arguments(shapes_gradients=True),
        )
        return setup.compiled(method)
