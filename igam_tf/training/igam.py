"""Input gradient adversarial matching (IGAM)."""

import keras
import tensorflow as tf

from igam_tf import gradients, models, transforms
from igam_tf.models.discriminator import STUDENT_CLASS, TEACHER_CLASS
from igam_tf.training import micro_batches
from igam_tf.training.base import TrainingMethod
from igam_tf.training.optimizers import following, with_loss_scale

PLAIN, MATCHING = "plain", "matching"


class IGAM(TrainingMethod):
    """A student whose input gradients learn to look like a robust teacher's.

        L = L_xent + adversarial_weight * L_adv + difference_weight * L_diff    (14)

    L_adv is minus the discriminator's cross entropy, L_diff the squared L2 distance of
    the two input gradients. Once in `discriminator_every` steps, the discriminator is
    updated after the student, on the same batch (12). Defaults are the semantics of the
    authors' code (`shared/papers/reference.md`), but for the teacher's batch norm, the
    moving variance, and weight decay and schedule, which `training.reference` has.

    Args:
        student: keras.Model from target images to logits.
        teacher: robust keras.Model from the same images to the same classes, input
            transform included; see `igam_tf.finetune`. Its
            weights are frozen and never changed.
        discriminator: keras.Model from input gradients to two logits, see
            `igam_tf.models.discriminator`.
        adversarial_weight: lambda_adv.
        difference_weight: lambda_diff.
        pixel_range: range of the pixels that the matched gradients are taken for: 255,
            grey levels, for which the paper's lambdas were tuned, or 1. A weight w
            for 1 equals 255**2 * w for 255; the discriminator sees directions only.
        input_gradient_of: "probability" of the true class (the authors' code, for
            which the paper's lambdas were tuned) or "loss" (the paper, Eq. 8, 9).
        difference_reduction: "sum" of L_diff over the batch (the authors' code: its
            weight grows with the batch) or "mean" over images. A weight w of sums
            equals batch * w of means.
        teacher_batch_norm: "inference", or "batch" as in the authors' code: batch
            statistics, which also moves the teacher's moving statistics.
        moving_variance: "biased", as Keras averages it, or "unbiased" as in the
            authors' code: `models.unbias_moving_variance` changes all three networks.
        matching_start: number of steps of plain training before matching begins.
        discriminator_every: k, student steps per discriminator step.
        **kwargs: `attack`, `weight_decay` (of discriminator and student), `seed` of
            `TrainingMethod`.

    Raises:
        ValueError: if a choice is unknown or the three networks do not fit together.
    """

    phases = (PLAIN, MATCHING)
    reports = (
        "cross_entropy",
        "adversarial",
        "difference",
        "discriminator_loss",
        "discriminator_accuracy",
        "gradient_cosine",
        "gradient_norm",
    )

    def __init__(
        self,
        student,
        teacher,
        discriminator,
        *,
        adversarial_weight=2.0,
        difference_weight=10.0,
        pixel_range=255.0,
        input_gradient_of="probability",
        difference_reduction="sum",
        teacher_batch_norm="inference",
        moving_variance="biased",
        matching_start=0,
        discriminator_every=5,
        **kwargs,
    ):
        super().__init__(student, **kwargs)
        _check_choice("input_gradient_of", input_gradient_of, gradients.OBJECTIVES)
        _check_choice("difference_reduction", difference_reduction, ("sum", "mean"))
        _check_choice("teacher_batch_norm", teacher_batch_norm, ("inference", "batch"))
        _check_choice("moving_variance", moving_variance, ("biased", "unbiased"))
        _check_networks(student, teacher, discriminator)
        if discriminator_every < 1 or matching_start < 0:
            raise ValueError(
                f"discriminator_every={discriminator_every}, matching_start="
                f"{matching_start}: expected at least 1 and at least 0 steps."
            )
        if moving_variance == "unbiased":
            for network in (student, teacher, discriminator):
                models.unbias_moving_variance(network)
        self.discriminator = discriminator
        # Untracked, the teacher is no part of the model: neither trained nor saved.
        self._untracked = _Untracked(models.freeze(teacher, batch_norm=teacher_batch_norm))
        self.adversarial_weight = adversarial_weight
        self.difference_weight = difference_weight
        self.pixel_range = pixel_range
        self.input_gradient_of = input_gradient_of
        self.difference_reduction = difference_reduction
        self.teacher_batch_norm = teacher_batch_norm
        self.matching_start = matching_start
        self.discriminator_every = discriminator_every

    @property
    def teacher(self):
        return self._untracked.value

    def compile(self, optimizer, discriminator_optimizer=None, **kwargs):
        """Configures training with two optimizers.

        Args:
            optimizer: optimizer of the student.
            discriminator_optimizer: optimizer of the discriminator; by default one
                with the student's settings and schedule, as in the authors' code.
            **kwargs: see `TrainingMethod.compile`.
        """
        super().compile(optimizer, **kwargs)
        if discriminator_optimizer is None:
            discriminator_optimizer = following(
                self.optimizer,
                start=self.matching_start,
                every=self.discriminator_every,
            )
        self.discriminator_optimizer = with_loss_scale(
            discriminator_optimizer, self.discriminator
        )
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    # The student's step.

    def phase(self, step):
        return tf.cast(step >= self.matching_start, tf.int32)

    def prepare(self, images, labels, *, phase, seed):
        images, _ = super().prepare(images, labels, phase=phase, seed=seed)
        if phase == PLAIN:
            return images, ()
        return images, self.teacher_gradient(images, labels)

    def loss_terms(self, images, labels, targets, *, phase, global_batch):
        if phase == PLAIN:
            logits = self.student(images, training=True)
            return {"cross_entropy": _cross_entropy(labels, logits)}, logits, {}
        teacher_gradient = targets
        student_gradient, logits = self.student_gradient(images, labels)
        discriminator_loss, correct = self.discriminate(
            student_gradient, teacher_gradient
        )
        difference = tf.reduce_sum(
            tf.square(student_gradient - teacher_gradient), axis=(1, 2, 3)
        )
        if self.difference_reduction == "sum":
            difference *= global_batch
        terms = {
            "cross_entropy": _cross_entropy(labels, logits),
            "adversarial": -self.adversarial_weight * discriminator_loss,
            "difference": self.difference_weight * difference,
        }
        report = {
            "discriminator_loss": discriminator_loss,
            "discriminator_accuracy": correct,
            "gradient_cosine": gradients.per_image_cosine(
                student_gradient, teacher_gradient
            ),
        }
        return terms, logits, report

    # The discriminator's step.

    def second_update_due(self, step):
        matching = step >= self.matching_start
        return matching & (step % self.discriminator_every == 0)

    def second_update(self, prepared, step):
        images, labels, teacher_gradient = prepared
        if self.teacher_batch_norm == "batch":
            # The authors run the teacher anew, which moves its statistics once more.
            teacher_gradient = None
        (discriminator_gradients,), _ = micro_batches.run(
            self.maybe_xla(self._discriminator_gradients),
            (images, labels, teacher_gradient),
            self.step_seed(step),
            self.global_batch(images),
            size=self.micro_batch,
        )
        self.discriminator_optimizer.apply(
            discriminator_gradients, self.discriminator.trainable_variables
        )

    def _discriminator_gradients(self, batch, seed, global_batch):
        images, labels, teacher_gradient = batch
        if teacher_gradient is None:
            with transforms.random_offsets(seed):
                teacher_gradient = self.teacher_gradient(images, labels)
        student_gradient, _ = self.student_gradient(images, labels)
        variables = self.discriminator.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in variables])
            loss, _ = self.discriminate(student_gradient, teacher_gradient)
            total, _ = self.total({"discriminator": loss}, variables, global_batch)
            scaled = self.discriminator_optimizer.scale_loss(total)
        return (tape.gradient(scaled, variables),), ()

    # The three players.

    def teacher_gradient(self, images, labels):
        """J_t, through the input transform (Eq. 17)."""
        gradient = gradients.input_gradient(
            self.teacher,
            images,
            labels,
            of=self.input_gradient_of,
            training=self.teacher_batch_norm == "batch",
        )
        return gradient / self.pixel_range

    def student_gradient(self, images, labels):
        """J_s, and the student's logits."""
        gradient, logits = gradients.input_gradient_and_logits(
            self.student, images, labels, of=self.input_gradient_of, training=True
        )
        return gradient / self.pixel_range, logits

    def discriminate(self, student_gradient, teacher_gradient):
        """Cross entropy and accuracy of the discriminator, averaged over each pair.

        Both halves go through it as one batch, whose statistics they share.

        Returns:
            Tuple of two tensors (batch,).
        """
        students = tf.fill([tf.shape(student_gradient)[0]], STUDENT_CLASS)
        teachers = tf.fill([tf.shape(teacher_gradient)[0]], TEACHER_CLASS)
        players = tf.concat([students, teachers], axis=0)
        logits = self.discriminator(
            tf.concat([student_gradient, teacher_gradient], axis=0), training=True
        )
        logits = tf.cast(logits, student_gradient.dtype)
        correct = tf.argmax(logits, axis=1, output_type=tf.int32) == players
        return (
            _mean_of_halves(_cross_entropy(players, logits)),
            _mean_of_halves(tf.cast(correct, logits.dtype)),
        )


class _Untracked:
    """Hides a model from Keras' attribute tracking."""

    def __init__(self, value):
        self.value = value


def _cross_entropy(labels, logits):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def _mean_of_halves(values):
    first, second = tf.split(values, 2)
    return (first + second) / 2


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f"{name}={value!r}: expected one of {choices}.")


def _check_networks(student, teacher, discriminator):
    """Same images, same classes, gradients that the discriminator takes."""
    expected = {
        "teacher input": (teacher.input_shape[1:], student.input_shape[1:]),
        "teacher classes": (teacher.output_shape[1:], student.output_shape[1:]),
        "discriminator input": (discriminator.input_shape[1:], student.input_shape[1:]),
        "discriminator classes": (discriminator.output_shape[1:], (2,)),
    }
    for what, (found, needed) in expected.items():
        if tuple(found) != tuple(needed):
            raise ValueError(
                f"{what}: found {tuple(found)}, but the student needs {tuple(needed)}. "
                "igam_tf.finetune(teacher, ...) fits a teacher to the target task; "
                "igam_tf.models.discriminator(gradient_shape=...) takes the shape of "
                "the target images."
            )
