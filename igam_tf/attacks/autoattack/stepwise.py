"""Attacks that go step by step from Python, so that broken images can be dropped.

FGSM and PGD are one compiled loop over a whole batch. The attacks of AutoAttack cost
thousands of passes an image, nearly all of them for the few images that resist: they
run as chunks of compiled steps, between which `campaign.py` takes out what is broken.
"""

import abc
import dataclasses
import itertools
from typing import NamedTuple

import tensorflow as tf

from igam_tf.attacks.attack import Attack
from igam_tf.attacks.autoattack.campaign import Campaign
from igam_tf.attacks.projection import project


class Run(NamedTuple):
    """One run of an attack over the images still standing.

    Attributes:
        number: place among the attack's runs; another number, another random start.
        rank: rank of the target class among the clean logits, 1 for the second largest;
            0 if there is no target.
        restart: 0 for the first run with this target.
    """

    number: int
    rank: int
    restart: int


class Passes(NamedTuple):
    """Forward and backward passes of one image."""

    forward: int
    backward: int


class StepwiseAttack(Attack):
    """Base class of attacks whose state can be cut and continued between two steps.

    The state is a dict of tensors whose first axis is the image. It has at least
    "images", "labels", "adversarial" (the point the attack stands at), "found" (the
    worst point so far) and "broken" (whether "found" breaks the image). One image's
    state never depends on another's.

    Attributes:
        num_targets: number of target classes, 0 if not targeted.
        num_restarts: number of random starts (for each target).
        drops_broken: whether an image that is broken needs no more steps.
    """

    num_targets = 0
    num_restarts = 1
    drops_broken = True
    in_graph = False

    @abc.abstractmethod
    def begin(self, model, start, tensors, training):
        """The state before the first step.

        Args:
            model: Keras model.
            start: dict of tensors "images", "labels", "targets" (a class for each
                image) and "seeds" (batch, 2).
            tensors: what `tensors` returns, and "restart", as tensors.
            training: bool, the mode of the model.

        Returns:
            The state.
        """

    @abc.abstractmethod
    def advance(self, model, state, step, draws, tensors, training):
        """The state one step later. `draws`: what `draws` returned for this chunk."""

    @abc.abstractmethod
    def chunks(self):
        """Steps after which broken images are dropped; the last ends the run."""

    @property
    @abc.abstractmethod
    def passes(self):
        """Passes of one step; `begin_passes` are those of the beginning."""

    begin_passes = Passes(0, 0)

    def draws(self, state, start, stop):
        """Random numbers for the steps of a chunk, if the attack needs any."""
        del state, start, stop
        return ()

    def for_classes(self, num_classes):
        """This attack as it is run on a model with so many classes."""
        if self.num_targets < num_classes:
            return self
        return dataclasses.replace(self, num_targets=num_classes - 1)

    def notes(self, num_classes):
        """Sentences about what a small number of classes changes."""
        del num_classes
        return []

    def runs(self):
        """The runs of the attack, in order."""
        ranks = range(1, self.num_targets + 1) if self.num_targets else [0]
        pairs = itertools.product(ranks, range(self.num_restarts))
        return [Run(number, *pair) for number, pair in enumerate(pairs)]

    def image_passes(self):
        """Passes that one image costs which stands to the end of all runs."""
        steps, runs = self.chunks()[-1], len(self.runs())
        return Passes(
            *(runs * (a + steps * b) for a, b in zip(self.begin_passes, self.passes))
        )

    def chunk(self, model, state, start, stop, tensors, training):
        """The state after the steps from `start` to `stop`: what is compiled."""
        draws = self.draws(state, start, stop)

        def one_step(step, state):
            state = self.advance(model, state, step, draws, tensors, training)
            return step + 1, state

        _, state = tf.while_loop(
            lambda step, _: step < stop,
            one_step,
            (start, state),
            parallel_iterations=1,
        )
        return state

    def run(self, model, images, labels, seed, tensors, training):
        raise ValueError(
            f"{self} inside a compiled function (adversarial training or restarts): it "
            "runs from Python, on arrays, and has restarts of its own; use "
            "igam_tf.attacks.pgd there."
        )

    def __call__(self, model, images, labels, *, training=False, first_index=0):
        """Attacks images; see `igam_tf.attacks.Attack`.

        With `training=True` the images are one batch to the end, because the result of
        each depends on its neighbours: nothing is dropped.
        """
        campaign = Campaign(
            model,
            {self.name: self},
            images,
            labels,
            training=training,
            first_index=first_index,
        )
        return campaign.run().adversarial


def where(mask, new, old):
    """`new` at the images of a mask (batch,), `old` at the others."""
    # Whole images are copied; tf.where would broadcast the mask, five times slower.
    return tf.raw_ops.Select(condition=mask, x=new, y=old)


def bounds(images, eps, norm):
    """What of a state `within` needs: the images, and for Linf the box of each."""
    if norm == "l2":
        return {"images": images}
    lower, upper = tf.maximum(images - eps, 0.0), tf.minimum(images + eps, 1.0)
    return {"images": images, "lower": lower, "upper": upper}


def within(points, state, eps, norm):
    """Points brought back to the ball of size eps and to [0, 1]."""
    if norm == "l2":
        return project(points, state["images"], eps, norm)
    return tf.minimum(tf.maximum(points, state["lower"]), state["upper"])


def per_image(values, images):
    """Values (batch,) in a shape that multiplies images (batch, ...)."""
    return tf.reshape(values, [-1] + [1] * (images.shape.rank - 1))


def is_wrong(logits, labels):
    """Whether each image is misclassified."""
    return tf.argmax(logits, axis=1, output_type=tf.int32) != labels
