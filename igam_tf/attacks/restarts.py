"""Restarts: an attack from several random starts, each image's worst case kept."""

import dataclasses

import numpy as np
import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.attack import Attack
from igam_tf.attacks.classifier import logits_of
from igam_tf.attacks.losses import LOSSES

# Golden ratio of 2^32: seeds 0, 1, 2, ... of several runs share none of their restarts.
_STRIDE = 0x9E3779B1 - 2**32


def restart_seed(seed, restart):
    """The seed of one restart, so that it can be run alone.

    Args:
        seed: integer, the seed of the whole attack.
        restart: integer from 0; restart 0 has the seed itself.

    Returns:
        Integer in the range of int32.
    """
    return (seed + restart * _STRIDE + 2**31) % 2**32 - 2**31


@dataclasses.dataclass(frozen=True, repr=False)
class Restarts(Attack):
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

    attack: Attack
    num_restarts: int

    def __post_init__(self):
        checks.whole_number("num_restarts", self.num_restarts, 1)
        if not isinstance(self.attack, Attack):
            raise ValueError(
                f"attack is {self.attack!r}: expected an attack such as "
                "igam_tf.attacks.pgd(eps=8/255)."
            )
        if not self.attack.in_graph:
            raise ValueError(
                f"restarts of {self.attack}: it has restarts of its own; pass "
                "num_restarts to it."
            )
        if isinstance(self.attack, Restarts) or not self.attack.random_start:
            raise ValueError(
                f"restarts of {self.attack}: expected an attack with a random start, "
                "since all runs would be equal without; pass random_start=True."
            )

    eps = property(lambda self: self.attack.eps)
    norm = property(lambda self: self.attack.norm)
    loss = property(lambda self: self.attack.loss)
    seed = property(lambda self: self.attack.seed)
    family = property(lambda self: self.attack.family)
    covers_ball = property(lambda self: self.attack.covers_ball)

    @property
    def effort(self):
        effort = self.attack.effort
        return effort and (*effort[:-1], self.num_restarts)

    @property
    def structure(self):
        return (type(self.attack), self.attack.structure)

    def tensors(self):
        return (np.int32(self.num_restarts), *self.attack.tensors())

    def run(self, model, images, labels, seed, tensors, training):
        num_restarts, *inner = tensors

        def one_run(restart, *worst):
            # int32 wraps around, as `restart_seed` does.
            moved = seed + tf.stack([restart * _STRIDE, 0])
            adversarial = self.attack.run(
                model, images, labels, moved, tuple(inner), training
            )
            logits = logits_of(model, adversarial, training)
            broken = tf.argmax(logits, axis=1, output_type=tf.int32) != labels
            loss = LOSSES[self.loss](logits, labels)
            return restart + 1, *_worse_of(worst, (adversarial, broken, loss))

        nobody = tf.zeros_like(labels, tf.bool)
        nothing = (images, nobody, tf.where(nobody, 0.0, -np.inf))
        _, adversarial, *_ = tf.while_loop(
            lambda restart, *_: restart < num_restarts,
            one_run,
            (0, *nothing),
            parallel_iterations=1,
        )
        return adversarial

    def __repr__(self):
        inner = repr(self.attack)
        return f"{inner[:-1]}, num_restarts={self.num_restarts})"


def _worse_of(worst, new):
    """Image by image the worse of two results (images, broken, loss)."""
    _, was_broken, old_loss = worst
    _, now_broken, new_loss = new
    # Not "new > old": a loss of NaN is taken as well, so that it shows.
    take = ~was_broken & (now_broken | ~(new_loss <= old_loss))

    def choose(old, new):
        mask = tf.reshape(take, [-1] + [1] * (new.shape.rank - 1))
        return tf.where(mask, new, old)

    return tuple(choose(a, b) for a, b in zip(worst, new, strict=True))
