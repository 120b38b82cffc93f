"""Honest networks, on which every warning of the masking panel is a false alarm.

Small, trained in seconds on the digits, MNIST and CIFAR-10: plain or by PGD, with ReLU,
GELU and tanh, with and without batch norm, from 650 to 200,000 parameters. None of them
hides anything. Used by `panel_false_alarms`.
"""

import dataclasses
import itertools
import pathlib

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

import igam_tf
from igam_tf import attacks, compat

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
# Digits have 597 test images. The sets of larger images cost more of everything.
# As the panel's batches: one graph of an attack serves both.
BATCH = 100
NUM_TRAIN = {"digits": 1200, "mnist": 3000, "cifar10": 3000}
NUM_TEST = {"digits": 500, "mnist": 200, "cifar10": 200}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Honest:
    """One network.

    Attributes:
        name: its name in the table.
        data: name of the data set.
        eps: radius of the panel's ball (Linf), and of PGD where it trains.
        layers: numbers of filters of convolutions, then "dense" and numbers of units.
        activation: activation of all of them.
        batch_norm: whether convolutions are followed by batch normalisation.
        robust: whether it is trained by PGD.
        epochs: number of epochs.
        seed: seed of its weights.
        path: a file to load in place of training: a Keras model, or the weights alone.
        num_examples: number of images looked at; None for the data set's.
        known: whether it was known to set off an alarm before the decisions were
            chosen; such a network may not verify them.
    """

    name: str
    data: str
    eps: float
    layers: tuple = ()
    activation: str = "relu"
    batch_norm: bool = False
    robust: bool = False
    epochs: int = 8
    seed: int = 0
    path: pathlib.Path | None = None
    num_examples: int | None = None
    known: bool = False


def _own(data, eps, layers, activation="relu", **settings):
    text = "-".join(map(str, layers)).replace("dense-", "d") or "linear"
    marks = [activation] if activation != "relu" else []
    marks += [f"{name}" for name in ("batch_norm", "robust") if settings.get(name)]
    marks += ["of another processor"] if "path" in settings else []
    marks += [
        f"{name}{settings[name]}" for name in ("epochs", "seed") if name in settings
    ]
    name = " ".join([data, text, *marks, f"eps {eps:.3g}"])
    return Honest(
        name=name, data=data, eps=eps, layers=layers, activation=activation, **settings
    )


BN, PGD = {"batch_norm": True}, {"robust": True}
DEEP = (16, 32, "dense", 32)
NETWORKS = [
    _own("digits", 0.1, ()),
    _own("digits", 0.1, ("dense", 8)),
    _own("digits", 0.08, ("dense", 96, 48), "gelu", epochs=15),
    _own("digits", 0.1, ("dense", 512), epochs=60),
    _own("digits", 0.05, ("dense", 64), "tanh"),
    _own("digits", 0.1, (16, "dense", 32), **BN, seed=1),
    _own("digits", 0.1, (16, "dense", 32), **BN, seed=2),
    _own("digits", 0.1, (16, "dense", 32), **BN, seed=3),
    _own("digits", 0.1, (32, 64, "dense", 64), "gelu"),
    _own("digits", 0.15, (32, 64, "dense", 64), epochs=20),
    _own("digits", 0.1, ("dense", 8), epochs=40, seed=4),
    _own("digits", 0.1, (32, 64), **BN, epochs=20),
    _own("digits", 0.1, ("dense", 8), **PGD),
    _own("digits", 0.15, ("dense", 96, 48), "gelu", **PGD),
    _own("digits", 0.2, (32, 64, "dense", 64), **PGD, epochs=15),
    _own("digits", 0.1, (16, "dense", 32), **BN, **PGD),
    _own("digits", 0.2, (32, 64), **BN, **PGD, epochs=15),
    _own("digits", 0.3, (32, 64, "dense", 64), "gelu", **PGD, epochs=15),
    _own("mnist", 0.05, ("dense", 32)),
    _own("mnist", 0.1, DEEP),
    _own("mnist", 0.1, DEEP, "gelu"),
    _own("mnist", 0.1, DEEP, **BN),
    _own("mnist", 0.05, (4, 8)),
    _own("mnist", 0.1, DEEP, **PGD),
    _own("mnist", 0.2, DEEP, **PGD, epochs=12),
    _own("mnist", 0.3, DEEP, **PGD, epochs=12),
    _own("mnist", 0.2, DEEP, "gelu", **PGD, epochs=12),
    _own("mnist", 0.1, DEEP, **BN, **PGD),
    _own("cifar10", 2 / 255, DEEP),
    _own("cifar10", 1 / 255, DEEP, "gelu"),
    _own("cifar10", 2 / 255, DEEP, **BN),
    _own("cifar10", 2 / 255, ("dense", 64)),
    _own("cifar10", 4 / 255, DEEP, **PGD),
    _own("cifar10", 4 / 255, DEEP, "gelu", **PGD),
    _own("cifar10", 2 / 255, DEEP, **BN, **PGD),
    _own("cifar10", 8 / 255, DEEP, **PGD),
    _own(
        "digits",
        0.1,
        (16, "dense", 32),
        **BN,
        known=True,
        path=REPOSITORY / "tests" / "networks" / "honest_digits.npz",
    ),  # fmt: skip
]
# Its adversarial images are tried on the other networks of the digits.
SOURCE = NETWORKS[0]
# Files of other people's networks, where a folder with them is given.
OTHERS = [
    ("cifar10_resnet4b_eps2", "cifar10", 2 / 255, 100, False),
    ("mnist_lenet_natural", "mnist", 0.1, 100, False),
    ("mnist_cnn_madry_eps03", "mnist", 0.3, 100, True),
]


def networks(folder=None):
    """All networks; those of other people only where their folder is given.

    One data set after the other, and around again: a part of the list has them all.
    """
    places = {name: iter([n for n in NETWORKS if n.data == name]) for name in NUM_TRAIN}
    found = [
        net for nets in itertools.zip_longest(*places.values()) for net in nets if net
    ]
    for name, data, eps, count, known in OTHERS if folder else ():
        path = pathlib.Path(folder) / f"{name}.keras"
        settings = {"num_examples": count, "known": known}
        found.append(Honest(name=name, data=data, eps=eps, path=path, **settings))
    return found


def arrays(name, data_dir):
    """Training and test arrays ((images, labels), (images, labels)) of a data set."""
    if name == "digits":
        # In the order and with the split of the tests, whose networks are here as well.
        digits = load_digits()
        images = (digits.images[..., None] / 16).astype(np.float32)
        labels, first = digits.target.astype(np.int32), NUM_TRAIN[name]
        stop = first + NUM_TEST[name]
        return (
            (images[:first], labels[:first]),
            (images[first:stop], labels[first:stop]),
        )
    task = igam_tf.data.read(
        name,
        data_dir,
        train_examples=NUM_TRAIN[name],
        test_examples=NUM_TEST[name],
        download=False,
        progress=False,
    )
    return tuple(
        (split.images.astype(np.float32) / 255, split.labels.astype(np.int32))
        for split in (task.train, task.test)
    )


class Maker:
    """Trains networks; those of equal layers are one Keras model with other weights.

    Compiling its step and its attacks takes longer than running them.
    """

    def __init__(self):
        self._shared = {}

    def __call__(self, net, data):
        """The trained network of an `Honest`, or the one of its file.

        Args:
            net: the `Honest`.
            data: tuple of arrays (images, labels) to train on.

        Returns:
            Keras model; the next call may give it other weights.
        """
        if net.path is not None and net.path.suffix == ".keras":
            return keras.models.load_model(net.path, compile=False)
        network, step, optimizer = self._of_layers(net, data[0].shape[1:])
        if net.path is not None:
            with np.load(net.path) as arrays:
                network.set_weights([arrays[key] for key in arrays])
            return network
        keras.utils.set_random_seed(net.seed)
        network.set_weights(_built(net, data[0].shape[1:]).get_weights())
        for variable in optimizer.variables:
            if variable is not compat.learning_rate(optimizer):
                variable.assign(keras.ops.zeros_like(variable))
        self._train(net, network, step, data)
        return network

    def _of_layers(self, net, shape):
        key = (net.data, net.layers, net.activation, net.batch_norm)
        if key not in self._shared:
            network, optimizer = _built(net, shape), keras.optimizers.Adam(3e-3)
            optimizer.build(network.trainable_variables)
            self._shared[key] = network, _step(network, optimizer), optimizer
        return self._shared[key]

    def _train(self, net, network, step, data):
        images, labels = data
        generator, warm = np.random.default_rng(net.seed), 3 if net.robust else 0
        attack = attacks.pgd(eps=net.eps, step_size=net.eps / 2, num_steps=4)
        for epoch in range(warm + net.epochs):
            order = generator.permutation(len(images))
            for start in range(0, len(images) - BATCH + 1, BATCH):
                rows = order[start : start + BATCH]
                batch = images[rows]
                if net.robust and epoch >= warm:
                    batch = attack(network, batch, labels[rows], first_index=start)
                step(tf.constant(batch), tf.constant(labels[rows]))


def _step(network, optimizer):
    @tf.function(autograph=False)
    def step(images, labels):
        with tf.GradientTape() as tape:
            logits = network(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)

    return step


def _built(net, shape):
    layers, dense = [keras.Input(shape)], False
    for size in net.layers:
        if size == "dense":
            dense = True
            layers.append(keras.layers.Flatten())
            continue
        if dense:
            layers.append(keras.layers.Dense(size, activation=net.activation))
            continue
        layers.append(keras.layers.Conv2D(size, 3, strides=2, padding="same"))
        if net.batch_norm:
            layers.append(keras.layers.BatchNormalization())
        layers.append(keras.layers.Activation(net.activation))
    if not dense:
        layers.append(keras.layers.Flatten())
    return keras.Sequential([*layers, keras.layers.Dense(10)])
