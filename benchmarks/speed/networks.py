"""Networks, methods and batches of the benchmarks, all of one size."""

import functools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from igam_tf import attacks, models, training
from igam_tf.models.freezing import leaves

#: Student steps in which the discriminator steps once: a benchmark times whole cycles.
CYCLE = 5
WEIGHT_DECAY = 2e-4
LEARNING_RATE, MOMENTUM = 1e-3, 0.9


def image_shape(args):
    """Shape of an image: 32 x 32 x 3 unless the arguments have another side."""
    side = getattr(args, "side", 32)
    return (side, side, 3)


def network(args):
    return models.wide_resnet(
        depth=args.depth, width=args.width, image_shape=image_shape(args)
    )


def random_batch(args, seed=0):
    """Images and labels as NumPy arrays."""
    rng = np.random.default_rng(seed)
    images = rng.random((args.batch_size, *image_shape(args))).astype("float32")
    return images, rng.integers(0, 10, args.batch_size).astype("int32")


def constant_batches(args):
    """A tf.data.Dataset that gives one batch for ever."""
    return tf.data.Dataset.from_tensors(random_batch(args)).cache().repeat()


def plain(args, **kwargs):
    return training.StandardTraining(network(args), weight_decay=WEIGHT_DECAY, **kwargs)


def pgd(args, *, num_steps=7, **kwargs):
    attack = attacks.pgd(eps=8 / 255, step_size=2 / 255, num_steps=num_steps)
    return training.AdversarialTraining(
        network(args), attack, weight_decay=WEIGHT_DECAY, **kwargs
    )


def igam(args, **kwargs):
    """IGAM with a teacher of the student's size, matching from the first step."""
    shape = image_shape(args)
    teacher = training.with_new_logits(network(args), num_classes=10, image_shape=shape)
    discriminator = models.discriminator(gradient_shape=shape)
    settings = {"weight_decay": WEIGHT_DECAY, "discriminator_every": CYCLE, **kwargs}
    return training.IGAM(network(args), teacher, discriminator, **settings)


def gradient_norm(args, **kwargs):
    return training.GradNorm(network(args), weight_decay=WEIGHT_DECAY, **kwargs)


def difference(args, **kwargs):
    """GradNorm by a finite difference in place of double backpropagation."""
    penalty = training.GradientNormPenalty(difference_step=0.01)
    return gradient_norm(args, gradient_norm=penalty, **kwargs)


METHODS = {
    "plain": plain,
    "IGAM": igam,
    "GradNorm": gradient_norm,
    "difference": difference,
    "PGD-3": functools.partial(pgd, num_steps=3),
    "PGD-7": pgd,
}


def compiled(method, jit_compile="auto"):
    """The method, ready to step."""
    optimizer = training.Momentum(LEARNING_RATE, momentum=MOMENTUM)
    method.compile(optimizer, jit_compile=jit_compile)
    method.make_train_function()
    return method


def weights(model):
    """Values by "layer/weight"; the last layer is "logit", whatever its name."""
    layers = list(leaves(model))
    names = {layer: layer.name for layer in layers} | {layers[-1]: "logit"}
    return {
        f"{names[layer]}/{weight.name}": weight.numpy()
        for layer in layers
        for weight in layer.weights
    }


def steps(method, batches, count=CYCLE):
    """A function that takes `count` steps of a compiled method and waits for them."""
    iterator = iter(batches)

    def run():
        for _ in range(count):
            logs = method.train_function(iterator)
        return float(logs["loss"])

    return run
