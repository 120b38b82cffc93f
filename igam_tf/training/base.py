"""What all training methods share: replicas, XLA, and the order of the two updates.

A method is a small subclass that says what to compute before the tape (`prepare`) and
which per-image losses to minimise (`loss_terms`). This file, with the step on one
replica, and `replicas.py`, with all of them, know about `tf.distribute` and XLA;
`fitting.py` has Keras' interface around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from igam_tf import losses, streams, transforms
from igam_tf.attacks.attack import GraphAttack, check_in_graph
from igam_tf.data import check_count
from igam_tf.training import checks, micro_batches
from igam_tf.training import terms as loss_terms
from igam_tf.training.distortions import Distortions
from igam_tf.training.on_replica import OnReplica
from igam_tf.training.optimizers import apply_gradients, is_kernel, reported_norm
from igam_tf.training.soft_labels import SoftLabels
from igam_tf.training.terms import Terms

if TYPE_CHECKING:
    from igam_tf.training.gradient_norm import GradientNormPenalty


class TrainingMethod(OnReplica):
    """A student and the way it is trained; `fit` is the training loop.

    Args:
        student: keras.Model from images to logits. Calling the method calls it.
        attack: a `GraphAttack` of `igam_tf.attacks` that replaces every training image
            by an adversarial one, or None to train on natural images.
        penalty: `GradientNormPenalty` to add to the losses, or None.
        weight_decay: weight of half the squared L2 norm of every convolution and
            dense kernel (2e-4 in the paper), of both kernels of a separable
            convolution; norms and biases are not decayed.
        micro_batch: images of a replica that go through the networks at once, or None
            for all of them. The gradients of the parts are added up before the one
            update; the activations of one part only are in memory. Batch norm takes
            its statistics, and the step its random numbers, part by part.
        distortions: `Distortions` of the training images, or None.
        soft_labels: `SoftLabels`, which mixes images and their labels, or None. An
            attack raises the loss of the mixed label: that which is minimised.
        seed: seed of all randomness inside the step.

    Raises:
        ValueError: if micro_batch is not a positive whole number, the student is not a
            network from images to logits, or the attack does not run inside a graph,
            or not on soft labels.
    """

    #: Branches of `train_step`; `phase` picks one of them by the step.
    phases: tuple[str, ...] = ("train",)
    #: Names of the running means reported beside the total loss.
    reports: tuple[str, ...] = ("cross_entropy", "grad_norm")
    #: Names that `loss_terms` reports for `second_update`, and not for the log.
    kept: tuple[str, ...] = ()
    #: Whether `student_check` looks at the student's second derivatives beforehand.
    check_gradients: bool = True
    #: Mode of the student (True: batch statistics) in which `loss_terms` trains on its
    #: input gradient; None if it does not.
    input_gradient_mode: bool | None = None

    def __init__(
        self,
        student: keras.Model,
        *,
        attack: GraphAttack | None = None,
        penalty: GradientNormPenalty | None = None,
        weight_decay: float = 0.0,
        micro_batch: int | None = None,
        distortions: Distortions | None = None,
        soft_labels: SoftLabels | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        if micro_batch is not None:
            check_count("micro_batch", micro_batch)
        checks.check_classifier(student)
        if attack is not None:
            check_in_graph(attack)
            if soft_labels is not None:
                soft_labels.check_attack(attack)
        transforms.randomize(student)
        self.student = student
        self.attack = attack
        self.penalty = penalty
        self.weight_decay = weight_decay
        self.micro_batch = micro_batch
        self.distortions = distortions
        self.soft_labels = soft_labels
        self.seed = seed
        if penalty is not None:
            penalty.check_student(student)
            loss_terms.check_names([penalty.name], self.reports)
        names = ["loss", *self.reports, *([penalty.name] if penalty else [])]
        self.means = [keras.metrics.Mean(name=name) for name in names]
        self.built = True

    # What a method defines.

    def prepare(
        self, images: tf.Tensor, labels: tf.Tensor, *, phase: str, seed: tf.Tensor
    ) -> tuple[Any, Any]:
        """Computes, outside of the gradient tape, what the losses need.

        Returns:
            Tuple (images, targets): the images to train on, and whatever
            `loss_terms` takes as `targets`.
        """
        del phase
        if self.attack is not None:
            seed = streams.seed_of(seed, streams.Purpose.ATTACK)
            images = self.attack.perturb(self.student, images, labels, seed=seed)
        return images, ()

    def loss_terms(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        targets: Any,
        *,
        phase: str,
        global_batch: tf.Tensor,
    ) -> tuple[Terms, tf.Tensor, Terms]:
        """The losses, image by image, under the student's gradient tape.

        Args:
            images: tensor (batch, height, width, channels) in [0, 1].
            labels: int32 tensor (batch,); with `soft_labels` a float tensor (batch,
                classes), which `igam_tf.losses` and `igam_tf.gradients` take as well.
            targets: what `prepare` returned.
            phase: one of `phases`.
            global_batch: number of images over all replicas, a float tensor.

        Returns:
            Tuple (terms, logits, report): weighted losses by name, each (batch,),
            whose mean over the global batch is minimised; logits (batch, classes);
            and other values per image by name, for the log or, of any shape, `kept`.
        """
        raise TypeError(f"{type(self).__name__} does not define its loss_terms.")

    def phase(self, step: tf.Tensor) -> tf.Tensor:
        """Index into `phases` of a step, an int32 tensor."""
        del step
        return tf.constant(0)

    def second_update_due(self, step: tf.Tensor) -> tf.Tensor | None:
        """Whether `second_update` follows the student's update; None for never."""
        del step
        return None

    def second_update(self, prepared: tuple, step: tf.Tensor) -> None:
        """The discriminator's update, on one replica.

        Args:
            prepared: the batch of the student's update as `prepare` left it, a tuple
                (images, labels, targets, kept), and a dict of what was `kept`.
            step: int64 tensor, the number of student updates before this batch.
        """
        raise TypeError(f"{type(self).__name__} does not define its second_update.")

    @property
    def trained_variables(self) -> list[keras.Variable]:
        """What the first optimizer updates: a list of variables."""
        return self.student.trainable_variables

    def input_gradient_modes(self) -> set[bool]:
        """Modes of the student in which its input gradient is trained on: a set."""
        modes = (
            self.input_gradient_mode,
            getattr(self.penalty, "input_gradient_mode", None),
        )
        return {mode for mode in modes if mode is not None}

    # The step, on one replica.

    def train_step(
        self, data: Any, step: tf.Tensor, phase: str = "train"
    ) -> tuple[tuple, tuple]:
        """Updates the student on this replica's share of the batch.

        Returns:
            Tuple (outputs, prepared). Outputs are sums and counts by name, and this
            replica's logits and labels; prepared is what `second_update` takes.
        """
        images, labels, global_batch = self.unpack(data)
        seed = self.step_seed(step)
        images, trained_on, labels = self.augmented(images, labels, seed)
        compute = self.maybe_xla(self._student_gradients, phase=phase)
        (gradients, report), (logits, *prepared) = micro_batches.accumulate_gradients(
            compute, (images, trained_on), seed, global_batch, size=self.micro_batch
        )
        share = report["loss"][1]
        # Before the update, which may change the scale that the gradients have.
        report["grad_norm"] = reported_norm(self.optimizer, gradients, share)
        apply_gradients(self.optimizer, gradients, self.trained_variables)
        zero = tf.zeros([], global_batch.dtype)
        report = {m.name: report.get(m.name, (zero, zero)) for m in self.means}
        return (report, logits, labels), tuple(prepared)

    def augmented(
        self, images: Any, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """This replica's images as distorted and mixed, before they come in parts.

        Returns:
            Tuple (images, labels to train on, class numbers for the metrics).
        """
        if self.distortions is not None:
            images = self.distortions(images, seed)
        if self.soft_labels is None:
            return images, labels, labels
        classes = self.student.output_shape[-1]
        images, soft = self.soft_labels(images, labels, classes, seed)
        # Of a mixture the class of the larger part.
        return images, soft, tf.argmax(soft, axis=1, output_type=tf.int32)

    def _student_gradients(self, batch, seed, global_batch, *, phase):
        images, labels = batch
        with transforms.random_offsets(seed):
            images, targets = self.prepare(images, labels, phase=phase, seed=seed)
        variables = self.trained_variables
        tape = tf.GradientTape(watch_accessed_variables=False)
        # The student's own transform draws again what `prepare` saw.
        with transforms.random_offsets(seed), tape:
            tape.watch([v.value for v in variables])
            terms, logits, report = self.loss_terms(
                images, labels, targets, phase=phase, global_batch=global_batch
            )
            # Before another call of the student replaces those of this one.
            own = loss_terms.own_losses(self.student, global_batch.dtype)
            if self.penalty is not None:
                penalty = self.penalty.terms(self, images, labels)
                terms = loss_terms.merged(terms, penalty)
            decayed = self.student.trainable_variables
            loss, share = self.total(terms, decayed, global_batch, own)
            scaled = self.optimizer.scale_loss(loss)
        # JARN's adaptor has no part in its plain phase.
        gradients = tape.gradient(
            scaled,
            [v.value for v in variables],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        kept = {name: report.pop(name) for name in self.kept if name in report}
        count = tf.cast(tf.shape(images)[0], loss.dtype)
        reported = loss_terms.merged(terms, report)
        sums = {k: (tf.reduce_sum(v), count) for k, v in reported.items()}
        sums["loss"] = (loss, share)
        return (gradients, sums), (logits, images, labels, targets, kept)

    def total(
        self,
        terms: Terms,
        variables: Sequence[keras.Variable],
        global_batch: tf.Tensor,
        own: tf.Tensor | float = 0.0,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """These images' share of the loss: mean over the global batch, and decay.

        Keras' optimizers sum gradients over replicas, `micro_batches` over parts.

        Args:
            terms: losses by name, each (images,).
            variables: whose kernels decay.
            global_batch: number of images over all replicas, a float tensor.
            own: losses of the network itself, of which these images carry their share.

        Returns:
            Tuple (loss, share): scalars; share is the images' part of the batch.
        """
        losses = list(terms.values())
        share = tf.cast(tf.shape(losses[0])[0], global_batch.dtype) / global_batch
        loss = sum(tf.reduce_sum(v) for v in losses) / global_batch + share * own
        if not self.weight_decay:
            return loss, share
        kernels = [v for v in variables if is_kernel(v)]
        if not kernels:
            return loss, share
        decay = tf.add_n([tf.nn.l2_loss(tf.convert_to_tensor(k)) for k in kernels])
        return loss + self.weight_decay * share * decay, share

    def test_step(self, data: Any, step: tf.Tensor) -> tuple[tuple, tuple]:
        """Cross entropy in inference mode; same outputs as `train_step`."""
        del step
        images, labels, _ = self.unpack(data)
        logits = tf.cast(self.student(images, training=False), keras.config.floatx())
        loss = losses.cross_entropy(logits, labels)
        count = tf.cast(tf.shape(images)[0], loss.dtype)
        return ({"loss": (tf.reduce_sum(loss), count)}, logits, labels), ()
