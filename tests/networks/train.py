"""Trains the networks that the tests ship, and writes their weights beside this file.

    python tests/networks/train.py

Tests assert what these networks do, so that a new training may need new numbers in
them.
"""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import small_models

if __name__ == "__main__":
    for name in small_models.TRAINED:
        weights = small_models.train(name).get_weights()
        path = small_models.weights_file(name)
        np.savez(path, *weights)
        print(f"{path}: {sum(w.size for w in weights)} numbers")
