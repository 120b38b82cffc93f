"""Makes the models and images that `autoattack_reference.py` compares attacks on.

    python -m benchmarks.autoattack_models --data_dir=DIR --out_dir=models

A robust and a naturally trained CIFAR-10 net of 24,506 parameters, and a robust MNIST
net: a few minutes on 2 CPU cores. Students of IGAM come from run folders.
"""

import argparse
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import igam_tf
from igam_tf import attacks, training


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


def train(data, *, eps, epochs, num_warmup=2, batch_size=64):
    """A small net trained naturally for a while, then by PGD up to a size eps.

    So small a net does not learn anything from adversarial images alone.

    Args:
        data: arrays (images, labels).
        eps: radius of the adversarial images (Linf), 0 for natural training.
        epochs: number of epochs after the first ones.
        num_warmup: number of natural epochs.
        batch_size: images a step.
    """
    keras.utils.set_random_seed(0)
    images, labels = data
    network = small_net(images.shape[1:])
    sizes = [(0, num_warmup)]
    sizes += [(eps / 3, 1), (2 * eps / 3, 1), (eps, epochs)] if eps else [(0, epochs)]
    for size, num_epochs in sizes:
        method = training.StandardTraining(network)
        if size:
            attack = attacks.pgd(eps=size, step_size=0.5 * size, num_steps=4)
            method = training.AdversarialTraining(network, attack)
        method.compile(optimizer=keras.optimizers.Adam(1e-3), metrics=["accuracy"])
        method.fit(
            images, labels, batch_size=batch_size, epochs=num_epochs, verbose=2
        )
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
    parser.add_argument("--num_train", type=int, default=20000)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    out = pathlib.Path(args.out_dir)
    out.mkdir(parents=True, exist_ok=True)
    radii = {"cifar10": {"natural": 0, "robust": 8 / 255}, "mnist": {"robust": 0.2}}
    for name in ("cifar10", "cifar100", "mnist"):
        train_data, (images, labels) = arrays(name, args.data_dir, args.num_train)
        np.savez(out / f"{name}.npz", images=images[:1000], labels=labels[:1000])
        for kind, eps in radii.get(name, {}).items():
            model = train(train_data, eps=eps, epochs=args.epochs)
            model.save(out / f"{name}_{kind}.keras")
            print(f"{name}_{kind}: {model.count_params()} parameters", flush=True)
    save_wide_resnet(out, np.load(out / "cifar10.npz")["images"][:64])


def save_wide_resnet(out, images):
    """An untrained WRN-16-4, to measure seconds on; its labels are its predictions."""
    keras.utils.set_random_seed(0)
    model = igam_tf.models.wide_resnet(depth=14, width=4)
    model.save(out / "wide_resnet.keras")
    labels = model.predict(images, verbose=0).argmax(axis=1)
    np.savez(out / "wide_resnet.npz", images=images, labels=labels)


if __name__ == "__main__":
    main()
