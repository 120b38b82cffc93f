"""PGD against MadryLab's own, on their MNIST network (`golden/pgd.npz`)."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import attacks


@pytest.fixture(scope="module")
def network(shared_dir):
    """MadryLab's MNIST net with the weights of the golden checkpoint."""
    reader = tf.train.load_checkpoint(shared_dir / "golden" / "mnist_madry")
    names = ["Variable", *(f"Variable_{i}" for i in range(1, 8))]
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 5, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2, padding="same"),
            keras.layers.Conv2D(64, 5, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2, padding="same"),
            keras.layers.Flatten(),
            keras.layers.Dense(1024, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    model.set_weights([reader.get_tensor(name) for name in names])
    return model


@pytest.mark.parametrize("loss, key", [("cross_entropy", "xent"), ("cw_margin", "cw")])
def test_equals_madrylab(network, shared_dir, loss, key):
    golden = np.load(shared_dir / "golden" / "pgd.npz")
    eps, step_size, num_steps = golden["mnist_params"]
    attack = attacks.pgd(
        eps=eps,
        step_size=step_size,
        num_steps=int(num_steps),
        loss=loss,
        random_start=False,
    )
    images = golden["mnist_x"].reshape(-1, 28, 28, 1)
    adversarial = attack(network, images, golden["mnist_y"]).reshape(-1, 784)
    stable = golden[f"mnist_{key}_k40_stable"]
    assert stable.mean() > 0.8
    np.testing.assert_allclose(
        adversarial[stable], golden[f"mnist_{key}_k40"][stable], atol=1e-5
    )
