"""Attacks MadryLab's (narrow) CIFAR-10 network and compares with their attack.

Run by `test_cifar_pgd_parity.py` in a process of its own, because the precision is
global: the network computes in float64, and sees whole grey levels. The original's
iterates are whole grey levels; ours, in [0, 1], are a float32 rounding away from them.
Either rounding moves an activation across the kink of a leaky ReLU now and then, which
turns the signs of many pixels of that image in the steps that follow.

    python tests/golden/cifar_pgd_parity.py SHARED_FOLDER

prints a JSON object: for each attack the share of stable pixels, and the largest
difference on them, of images in [0, 1].
"""

import json
import pathlib
import sys

import keras
import numpy as np
from keras import ops

from igam_tf import attacks, checkpoints

LOSSES = {"xent": "cross_entropy", "cw": "cw_margin"}


def on_whole_grey_levels(network):
    """The network behind a rounding that lets gradients through."""
    images = keras.Input(network.input_shape[1:])
    grey = images * 255
    whole = grey + ops.stop_gradient(ops.round(grey) - grey)
    return keras.Model(images, network(whole / 255))


def compare(folder):
    golden = np.load(folder / "pgd.npz")
    network = on_whole_grey_levels(
        checkpoints.load_madry(folder / "cifar_madry_narrow")
    )
    images, labels = golden["cifar_x"] / np.float32(255), golden["cifar_y"]
    eps, step_size = golden["cifar_params"] / 255
    found = {}
    for key, loss in LOSSES.items():
        for num_steps in (5, 20):
            attack = attacks.pgd(
                eps=eps,
                step_size=step_size,
                num_steps=num_steps,
                loss=loss,
                random_start=False,
            )
            ours = attack(network, images, labels)
            name = f"cifar_{key}_k{num_steps}"
            stable = golden[f"{name}_stable"]
            difference = np.abs(ours - golden[name] / 255)[stable].max()
            found[f"{key} {num_steps}"] = [float(stable.mean()), float(difference)]
    return found


if __name__ == "__main__":
    keras.config.set_floatx("float64")
    print(json.dumps(compare(pathlib.Path(sys.argv[1]) / "golden"), indent=1))
