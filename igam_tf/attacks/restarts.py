"""Restarts: an attack from several random starts, each image's worst case kept."""

import dataclasses
from collections.abc import Hashable

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.attack import Attack, GraphAttack
from igam_tf.attacks.classifier import is_wrong, logits_of
from igam_tf.attacks.engine.batching import Numbers, Tensors
from igam_tf.attacks.geometry import SEED_STRIDE, per_image
from igam_tf.attacks.losses import LOSSES


class RunsOfAttack(GraphAttack):
    """To inherit from: an attack that is several runs of another, `attack`."""

    attack: GraphAttack

    eps = property(lambda self: self.attack.eps)
    norm = property(lambda self: self.attack.norm)
    loss = property(lambda self: self.attack.loss)
    seed = property(lambda self: self.attack.seed)
    covers_ball = property(lambda self: self.attack.covers_ball)


@dataclasses.dataclass(frozen=True, repr=False)
class Restarts(RunsOfAttack):
    """Runs an attack several times and keeps the worst case of each image.

    An image once misclassified keeps the first images that did it; of the others the
    one with the highest loss stays. n restarts equal n runs with the seeds
    `restart_seed(seed, 0)` to `restart_seed(seed, n - 1)`, combined that way. Each
    costs one forward pass more than the attack alone.

    With batch statistics (`training=True`) the kept images come from several batches,
    and are a new batch with statistics of its own: judge it as such.

    Args:
        attack: an attack with a random start.
        num_restarts: number of runs, at least 1.

    Raises:
        ValueError: if the attack has no random start.
    """

    attack: GraphAttack
    num_restarts: int

    def __post_init__(self) -> None:
        checks.whole_number("num_restarts", self.num_restarts, 1)
        if not isinstance(self.attack, Attack):
            raise ValueError(
                f"attack is {self.attack!r}: expected an attack such as "
                "igam_tf.attacks.pgd(eps=8/255)."
            )
        if not isinstance(self.attack, GraphAttack):
            raise ValueError(
                f"restarts of {self.attack}: it has restarts of its own; pass "
                "num_restarts to it."
            )
        if isinstance(self.attack, Restarts) or not self.attack.random_start:
            raise ValueError(
                f"restarts of {self.attack}: expected an attack with a random start, "
                "since all runs would be equal without; pass random_start=True."
            )

    family = property(lambda self: self.attack.family)

    @property
    def effort(self) -> tuple[int, ...] | None:  # type: ignore[override]
        effort = self.attack.effort
        return effort and (*effort[:-1], self.num_restarts)

    @property
    def structure(self) -> Hashable:
        return (type(self.attack), self.attack.structure)

    @property
    def numbers(self) -> Numbers:
        return {**self.attack.numbers, "num_restarts": np.int32(self.num_restarts)}

    def run(
        self,
        model: keras.Model,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
        numbers: Tensors,
        training: bool,
    ) -> tf.Tensor:
        def one_run(restart, *worst):
            moved = _moved(seed, restart)
            adversarial = self.attack.run(
                model, images, labels, moved, numbers, training
            )
            found = self._judged(model, adversarial, labels, training)
            return restart + 1, *worse_of(worst, found)

        _, adversarial, *_ = tf.while_loop(
            lambda restart, *_: restart < numbers["num_restarts"],
            one_run,
            (0, *no_results(images, labels)),
            parallel_iterations=1,
        )
        return adversarial

    def run_shrinking(
        self,
        model: keras.Model,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
        numbers: Tensors,
    ) -> tf.Tensor:
        """As `run`; images that one restart misleads are left out of the next ones."""

        def one_run(restart, *worst):
            rows = tf.where(~worst[1])[:, 0]
            some = [tf.gather(values, rows) for values in (images, labels, seed)]
            some[2] = _moved(some[2], restart)
            adversarial = self.attack.run_any_batch(model, *some, numbers)
            found = self._judged(model, adversarial, some[1], False)
            kept = worse_of([tf.gather(values, rows) for values in worst], found)
            return restart + 1, *(
                tf.tensor_scatter_nd_update(old, rows[:, None], new)
                for old, new in zip(worst, kept, strict=True)
            )

        _, adversarial, *_ = tf.while_loop(
            lambda restart, _, wrong, __: (
                (restart < numbers["num_restarts"]) & ~tf.reduce_all(wrong)
            ),
            one_run,
            (0, *no_results(images, labels)),
            parallel_iterations=1,
        )
        return adversarial

    def _judged(self, model, adversarial, labels, training):
        logits = logits_of(model, adversarial, training)
        wrong = is_wrong(logits, labels)
        return adversarial, wrong, LOSSES[self.loss](logits, labels)

    def __repr__(self):
        inner = repr(self.attack)
        return f"{inner[:-1]}, num_restarts={self.num_restarts})"


def _moved(seed, restart):
    """The seeds of a restart; int32 wraps around, as `restart_seed` does."""
    return seed + tf.stack([restart * SEED_STRIDE, 0])


def no_results(images, labels):
    """The worst of no runs: images, whether they are wrong, their loss."""
    nobody = tf.zeros_like(labels, tf.bool)
    return images, nobody, tf.where(nobody, 0.0, -np.inf)


def worse_of(worst, new):
    """Image by image the worse of two results (images, are they wrong, loss)."""
    _, was_wrong, old_loss = worst
    _, now_wrong, new_loss = new
    # A loss of NaN is taken as well, so that it shows. (Graphs make "larger" of "not
    # smaller", which NaN is not.)
    larger = (new_loss > old_loss) | tf.math.is_nan(new_loss)
    take = ~was_wrong & (now_wrong | larger)
    return tuple(
        tf.where(per_image(take, b), b, a) for a, b in zip(worst, new, strict=True)
    )
