"""Makes the models and images that `autoattack_reference.py` compares attacks on.

    python -m benchmarks.parity.autoattack_models --data_dir=DIR --out_dir=models

A robust and a naturally trained CIFAR-10 net of 24,506 parameters and a robust MNIST
net, a few minutes on 2 CPU cores, and a robust WRN-16-4 of CIFAR-10, ten minutes:
`--models` takes some of them. Students of IGAM come from run folders.
"""

import argparse
import dataclasses
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import igam_tf
from igam_tf import attacks, models, training


def small_net(image_shape, filters=(16, 24, 24)):
    """Three 3x3 convolutions, two of stride 2, and a dense layer."""
    layers = [keras.Input(image_shape)]
    for number, count in enumerate(filters):
        strides = 1 if number == 0 else 2
        layers.append(
            keras.layers.Conv2D(
                count, 3, strides=strides, padding="same", activation="relu"
            )
        )
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(10)])


@dataclasses.dataclass(frozen=True)
class Net:
    """A network and how it is trained: naturally for a while, then by PGD up to eps.

    So small a net does not learn anything from adversarial images alone.

    Args:
        data_set: name of its data set.
        eps: radius of the adversarial images (Linf), 0 for natural training.
        network: takes a shape of images and gives the network.
        num_train: number of training images; None for all that are loaded.
        num_warmup: number of natural epochs.
        num_steps: steps of PGD.
        epochs: number of epochs after the first ones; None for the command's.
    """

    data_set: str
    eps: float
    network: callable = small_net
    num_train: int | None = None
    num_warmup: int = 2
    num_steps: int = 4
    epochs: int | None = None


def wide_resnet_16_4(image_shape):
    """What the literature calls WRN-16-4, 2.7 million parameters."""
    return models.wide_resnet(depth=14, width=4, image_shape=image_shape)


NETS = {
    "cifar10_natural": Net("cifar10", 0),
    "cifar10_robust": Net("cifar10", 8 / 255),
    "mnist_robust": Net("mnist", 0.2),
    "cifar10_wide_resnet": Net(
        "cifar10", 4 / 255, wide_resnet_16_4, 2500, num_warmup=3, num_steps=2, epochs=1
    ),
}


def train(net, data, *, epochs, batch_size=64):
    """The trained network of a `Net` from arrays (images, labels)."""
    keras.utils.set_random_seed(0)
    images, labels = (array[: net.num_train] for array in data)
    network = net.network(images.shape[1:])
    epochs, eps = net.epochs or epochs, net.eps
    sizes = [(0, net.num_warmup)]
    sizes += [(eps / 3, 1), (2 * eps / 3, 1), (eps, epochs)] if eps else [(0, epochs)]
    for size, num_epochs in sizes:
        method = training.StandardTraining(network)
        if size:
            attack = attacks.pgd(
                eps=size, step_size=2 * size / net.num_steps, num_steps=net.num_steps
            )
            method = training.AdversarialTraining(network, attack)
        method.compile(optimizer=keras.optimizers.Adam(1e-3), metrics=["accuracy"])
        method.fit(images, labels, batch_size=batch_size, epochs=num_epochs, verbose=2)
    return network


def arrays(name, data_dir, num_examples):
    """Train and test arrays of a data set."""
    batch_size = 1000
    train_data, test_data = igam_tf.data.load(
        name, data_dir=data_dir, batch_size=batch_size
    )

    def first(data):
        batches = list(data.take(-(-num_examples // batch_size)).as_numpy_iterator())
        images, labels = map(np.concatenate, zip(*batches, strict=True))
        return images[:num_examples], labels[:num_examples]

    return first(train_data), first(test_data)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--out_dir", required=True)
    parser.add_argument("--models", nargs="*", choices=NETS, default=list(NETS))
    parser.add_argument("--num_train", type=int, default=20000)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    out = pathlib.Path(args.out_dir)
    out.mkdir(parents=True, exist_ok=True)
    for data_set in ("cifar10", "cifar100", "mnist"):
        train_data, (images, labels) = arrays(data_set, args.data_dir, args.num_train)
        np.savez(out / f"{data_set}.npz", images=images[:1000], labels=labels[:1000])
        for name in args.models:
            if NETS[name].data_set == data_set:
                model = train(NETS[name], train_data, epochs=args.epochs)
                model.save(out / f"{name}.keras")
                print(f"{name}: {model.count_params()} parameters", flush=True)


if __name__ == "__main__":
    main()
