"""Input gradients on the edges of the image (EdgeReg)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf

from igam_tf import gradients, losses, streams
from igam_tf.data import check_count
from igam_tf.derivatives import directions
from igam_tf.edges import check_size, edge_energy
from igam_tf.settings import naming, setting
from igam_tf.training import teachers
from igam_tf.training.base import TrainingMethod
from igam_tf.training.method_settings import MethodSettings
from igam_tf.training.terms import Terms

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.setup import Setup

#: Whose gradient is to look like the edges.
GRADIENTS = ("sampled_logit", "loss", "saliency")


class EdgeReg(TrainingMethod):
    """Lets the gradient of a logit look like the edges of the image.

        L = CE + weight * mean((g / rms(g) - E / rms(E))^2)

    g is the input gradient of one logit, whose class is sampled for each image from
    softmax(logits / temperature); E is `edge_energy`. Both are divided by their root
    mean square over the (micro-)batch. Rodriguez-Munoz, Wang, Torralba, ECCV 2024.
    Their released configurations have two variants: g may be the gradient of the loss,
    or, as a saliency, the largest magnitude over the channels of the logit's gradient
    against one channel of edges.

    Args:
        student: keras.Model from images to logits.
        edge_weights: (first, last): the weight grows linearly over `total_steps`.
        total_steps: number of steps of the training, or None for the last weight
            throughout.
        temperature: of the sampled class.
        gradient_of: "sampled_logit", "loss" or "saliency".
        **kwargs: `attack`, `penalty`, `weight_decay`, `micro_batch`, `seed` of
            `TrainingMethod`.

    Raises:
        ValueError: if a choice is unknown, a number out of range, or a side of the
            images has fewer than 4 pixels, into which the blur does not fit.
    """

    input_gradient_mode: bool | None = True
    reports: tuple[str, ...] = (
        "cross_entropy",
        "edges",
        "gradient_cosine",
        "grad_norm",
    )

    def __init__(
        self,
        student: keras.Model,
        *,
        edge_weights: tuple[float, float] = (1.0, 10.0),
        total_steps: int | None = None,
        temperature: float = 0.5,
        gradient_of: str = "sampled_logit",
        **kwargs: Any,
    ) -> None:
        super().__init__(student, **kwargs)
        teachers.check_choice("gradient_of", gradient_of, GRADIENTS)
        first, last = edge_weights
        teachers.check_numbers(**{"edge_weights[0]": first, "edge_weights[1]": last})
        if total_steps is not None:
            check_count("total_steps", total_steps)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: expected a number above 0.")
        check_size(student.input_shape[1:], "EdgeReg")
        self.edge_weights = tuple(edge_weights)
        self.total_steps = total_steps
        self.temperature = temperature
        self.gradient_of = gradient_of

    def prepare(
        self, images: tf.Tensor, labels: tf.Tensor, *, phase: str, seed: tf.Tensor
    ) -> tuple[Any, Any]:
        images, _ = super().prepare(images, labels, phase=phase, seed=seed)
        shape = [tf.shape(images)[0], self.student.output_shape[-1]]
        seed = streams.seed_of(seed, streams.Purpose.SAMPLED_CLASS)
        uniform = tf.random.stateless_uniform(shape, seed, 1e-20, 1.0)
        # The largest of logits plus Gumbel noise is a sample of their softmax.
        gumbel = -tf.math.log(-tf.math.log(uniform))
        return images, (edge_energy(images), tf.cast(gumbel, images.dtype))

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
        energy, gumbel = targets

        def sampled_logit(logits, labels):
            del labels
            noisy = logits / self.temperature + gumbel
            return tf.gather(logits, tf.argmax(noisy, axis=1), axis=1, batch_dims=1)

        gradient, logits = gradients.input_gradient_and_logits(
            self.student,
            images,
            labels,
            of="loss" if self.gradient_of == "loss" else sampled_logit,
            training=True,
        )
        if self.gradient_of == "saliency":
            gradient = tf.reduce_max(tf.abs(gradient), axis=-1, keepdims=True)
            energy = energy[..., :1]
        distance = tf.reduce_mean(
            tf.square(_unit_rms(gradient) - _unit_rms(energy)), axis=(1, 2, 3)
        )
        loss = losses.cross_entropy(logits, labels)
        terms = {"cross_entropy": loss, "edges": self.weight() * distance}
        cosine = gradients.per_image_cosine(gradient, energy)
        return terms, logits, {"gradient_cosine": cosine}

    def weight(self) -> tf.Tensor | float:
        """The weight of this step."""
        first, last = self.edge_weights
        if self.total_steps is None:
            return last
        step = tf.convert_to_tensor(self.optimizer.iterations)
        done = tf.cast(step, tf.float32) / max(self.total_steps - 1, 1)
        return first + (last - first) * tf.minimum(done, 1.0)


def _unit_rms(values):
    """Values (batch, height, width, channels) over their root mean square.

    Zero, and so is the derivative, where the gradients of all images vanish.
    """
    count = tf.cast(tf.size(values), values.dtype)
    images = tf.cast(tf.shape(values)[0], values.dtype)
    unit = directions.direction(
        values, [0, 1, 2, 3], smallest=directions.SMALLEST_GRADIENT * tf.sqrt(images)
    )
    return unit * tf.sqrt(count)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """The row edges: input gradients on the edges of the image."""

    name: ClassVar[str] = "edges"
    title: ClassVar[str] = "EdgeReg"

    weight_start: float = setting(
        1.0,
        "Weight of the edge term at the first step.",
        flag="edge_weight_start",
        at_least=0,
    )
    weight: float = setting(
        10.0,
        "Weight of the edge term at the last step.",
        flag="edge_weight",
        at_least=0,
    )
    gradient_of: str = setting(
        "sampled_logit",
        "What is to look like the edges: the gradient of a sampled class' logit, of "
        "the loss, or the saliency of that logit.",
        flag="edge_gradient_of",
        choices=GRADIENTS,
    )

    def label(self) -> str:
        plain = self.gradient_of == "sampled_logit"
        return self.title if plain else f"{self.title}, {self.gradient_of}"

    def check(self, experiment: Experiment) -> None:
        if self.name in experiment.methods:
            with naming("--methods, --target"):
                shape = experiment.data.info("target").image_shape
                check_size(shape, f"The row {self.name}")

    def build(self, setup: Setup) -> TrainingMethod:
        method = EdgeReg(
            setup.student,
            edge_weights=(self.weight_start, self.weight),
            total_steps=setup.total_steps,
            gradient_of=self.gradient_of,
            **setup.arguments(shapes_gradients=True),
        )
        return setup.compiled(method, clip_norm=setup.experiment.penalty.clip_norm)
