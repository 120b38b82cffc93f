"""FGSM and PGD: repeated steps along the gradient of a loss, inside a ball."""

import dataclasses
from collections.abc import Callable, Hashable, Sequence

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.attack import GraphAttack
from igam_tf.attacks.classifier import input_gradient
from igam_tf.attacks.engine.batching import Numbers, Tensors
from igam_tf.attacks.engine.repeats import until_they_repeat
from igam_tf.attacks.fractions import fraction
from igam_tf.attacks.geometry import STEPS, project, uniform_in_ball
from igam_tf.attacks.l1 import l1_step
from igam_tf.attacks.losses import LOSSES
from igam_tf.attacks.restarts import Restarts
from igam_tf.attacks.targeted import TargetedPGD, checked_targets


def pgd(
    *,
    eps: float,
    step_size: float | None = None,
    num_steps: int = 20,
    norm: str = "linf",
    loss: str = "cross_entropy",
    random_start: bool = True,
    num_restarts: int = 1,
    seed: int = 0,
    targets: int | str | Sequence[int] | None = None,
) -> GraphAttack:
    """Projected gradient descent (Madry et al. 2018), the last iterate of it.

    Args:
        eps: radius of the ball, as a fraction of the pixel range, such as 8/255.
        step_size: length of a step in the norm. Default: eps / 4 for Linf, whatever
            the number of steps (2/255 at 8/255: the paper's PGD-5 to PGD-100), and
            2.5 * eps / num_steps for L2 (Madry et al.) and L1.
        num_steps: number of steps.
        norm: "linf", "l2" or "l1" (sparse steps, see `l1.l1_step`).
        loss: "cross_entropy" or "cw_margin" (the Carlini-Wagner margin, as MadryLab).
        random_start: whether to start from a uniform point of the ball.
        num_restarts: number of random starts; each image's worst case is kept.
        seed: integer, seed of the random starts.
        targets: a class, several, or "all": towards which images are attacked, one
            class after the other with all restarts, except towards their own. Each
            image's worst case is kept. None for away from the true class.

    Returns:
        An attack: `attack(model, images, labels)` returns adversarial images; with
        targets a `targeted.TargetedPGD`, whose `reach` tells what reached which class.

    Raises:
        ValueError: if a hyper-parameter is outside its range, or if several restarts
            are asked for without a random start.
    """
    checks.whole_number("num_restarts", num_restarts, 1)
    if step_size is None:
        step_size = _default_step(eps, num_steps, norm)
    attack = GradientAttack(
        eps=eps,
        step_size=step_size,
        num_steps=num_steps,
        norm=norm,
        loss=loss,
        random_start=random_start,
        seed=seed,
    )
    if targets is not None:
        return TargetedPGD(
            attack=attack, targets=checked_targets(targets), num_restarts=num_restarts
        )
    return Restarts(attack, num_restarts) if num_restarts > 1 else attack


def fgsm(*, eps: float, norm: str = "linf", loss: str = "cross_entropy") -> GraphAttack:
    """The fast gradient sign method: one step of size eps from the clean image.

    Pixels are clipped to [0, 1]; the authors' evaluation let them wrap around in uint8.

    Args:
        eps: radius of the ball, as a fraction of the pixel range, such as 8/255.
        norm: "linf", or "l2" for a step along the normalised gradient, "l1" for a
            sparse one.
        loss: "cross_entropy" or "cw_margin".

    Returns:
        An attack, as `pgd`.

    Raises:
        ValueError: if a hyper-parameter is outside its range.
    """
    return GradientAttack(
        eps=eps,
        step_size=eps,
        num_steps=1,
        norm=norm,
        loss=loss,
        random_start=False,
        seed=0,
    )


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class GradientAttack(GraphAttack):
    """Steps of one length along a gradient; `pgd` and `fgsm` spell it with defaults.

    Attributes: see the arguments of `pgd`.
    """

    eps: float
    step_size: float
    num_steps: int
    norm: str
    loss: str
    random_start: bool
    seed: int

    def __post_init__(self):
        checks.one_of("norm", self.norm, checks.ALL_NORMS)
        checks.one_of("loss", self.loss, LOSSES)
        checks.radius("eps", self.eps, self.norm)
        checks.step("step_size", self.step_size, self.norm, self.eps)
        checks.whole_number("num_steps", self.num_steps, 1)
        checks.seed(self.seed)

    @property
    def structure(self) -> Hashable:
        # FGSM is PGD with other numbers: without random start the start has size 0.
        return ("gradient", self.norm, self.loss)

    @property
    def family(self) -> Hashable:  # type: ignore[override]
        return self.structure

    @property
    def effort(self) -> tuple[int, int]:  # type: ignore[override]
        return (self.num_steps, 1)

    @property
    def covers_ball(self) -> bool:  # type: ignore[override]
        farthest = 2 * self.eps if self.random_start else self.eps
        return self.num_steps * self.step_size >= farthest

    @property
    def numbers(self) -> Numbers:
        return {
            "eps": np.float32(self.eps),
            "step_size": np.float32(self.step_size),
            "start_size": np.float32(self.eps if self.random_start else 0.0),
            "num_steps": np.int32(self.num_steps),
        }

    def run(
        self,
        model: keras.Model,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
        numbers: Tensors,
        training: bool,
    ) -> tf.Tensor:
        return self.whole(model, images, (labels,), seed, numbers, training)

    def run_shrinking(
        self,
        model: keras.Model,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
        numbers: Tensors,
    ) -> tf.Tensor:
        return self.shrinking(model, images, (labels,), seed, numbers, False)

    def maximise(
        self,
        objective: Callable[[tf.Tensor], tf.Tensor],
        model: keras.Model,
        images: tf.Tensor,
        *,
        seed: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """As `perturb`, for another objective than a loss of labels.

        Args:
            objective: function of the logits (batch, classes) to numbers (batch,),
                which stands in the place of `loss`.
            model, images, seed, training: as of `perturb`.

        Returns:
            float32 tensor like `images`.
        """
        images = tf.stop_gradient(images)
        numbers = {name: tf.constant(value) for name, value in self.numbers.items()}
        seed = tf.convert_to_tensor(seed, tf.int32)
        found = self.whole(model, images, (), seed, numbers, training, objective)
        return tf.stop_gradient(found)

    def whole(
        self,
        model: keras.Model,
        images: tf.Tensor,
        classes: tuple[tf.Tensor, ...],
        seed: tf.Tensor,
        numbers: Tensors,
        training: bool,
        objective: Callable[..., tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """All steps of all images, as `run` with an objective of one's own.

        Args:
            model, images, seed, numbers, training: as of `run`.
            classes: integer tensors (batch,), what the objective takes after logits.
            objective: what is ascended, one number an image; None for the loss.
        """

        def one_step(step, point):
            moved = self._step(
                model, point, images, classes, numbers, training, objective
            )
            return step + 1, moved

        # The number of steps is a tensor: one graph serves PGD-1 and PGD-1000.
        _, adversarial = tf.while_loop(
            lambda step, _: step < numbers["num_steps"],
            one_step,
            (0, self._start(images, seed, numbers)),
            parallel_iterations=1,
        )
        return adversarial

    def shrinking(
        self,
        model: keras.Model,
        images: tf.Tensor,
        classes: tuple[tf.Tensor, ...],
        seed: tf.Tensor,
        numbers: Tensors,
        training: bool,
        objective: Callable[..., tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """As `whole`, but an image whose iterates repeat leaves the batch."""

        def one_step(point, images, *classes):
            return self._step(
                model, point, images, classes, numbers, training, objective
            )

        start = self._start(images, seed, numbers)
        given = (images, *classes)
        return until_they_repeat(one_step, start, given, numbers["num_steps"])

    def _start(self, images, seed, numbers):
        noise = uniform_in_ball(images, seed, self.norm)
        return tf.clip_by_value(images + numbers["start_size"] * noise, 0.0, 1.0)

    def _step(self, model, point, images, classes, numbers, training, objective):
        def loss(logits):
            return (objective or LOSSES[self.loss])(logits, *classes)

        _, _, gradient = input_gradient(loss, model, point, training)
        if self.norm == "l1":
            direction = l1_step(gradient, point)
        else:
            direction = STEPS[self.norm](gradient)
        moved = point + numbers["step_size"] * direction
        return project(moved, images, numbers["eps"], self.norm)

    def __repr__(self):
        eps, step_size = fraction(self.eps), fraction(self.step_size)
        kind = f"norm={self.norm!r}, loss={self.loss!r}"
        if self.num_steps == 1 and not self.random_start and self.step_size == self.eps:
            return f"fgsm(eps={eps}, {kind})"
        return (
            f"pgd(eps={eps}, step_size={step_size}, num_steps={self.num_steps}, "
            f"{kind}, random_start={self.random_start}, seed={self.seed})"
        )


def _default_step(eps, num_steps, norm):
    checks.one_of("norm", norm, checks.ALL_NORMS)
    checks.radius("eps", eps, norm)
    checks.whole_number("num_steps", num_steps, 1)
    return eps / 4 if norm == "linf" else 2.5 * eps / num_steps
