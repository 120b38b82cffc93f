"""Runs an exported step in an interpreter that must not import TensorFlow.

    python exported_runner.py FOLDER ARRAYS.npz SAVED.npz

Prints a JSON list of the losses of each step, and of the programs it took.
"""

import json
import sys

# Importing either of them is an ImportError from here on.
sys.modules["tensorflow"] = sys.modules["keras"] = None

import numpy as np

from igam_tf.export import runner


def main(folder, arrays, saved):
    arrays = np.load(arrays)
    step = runner.load(folder)
    steps = []
    for images, labels in zip(arrays["images"], arrays["labels"], strict=True):
        phase, second = step.plan(0 if step.step is None else step.step)
        losses = step.run(images, labels)
        steps.append({"phase": phase, "second": second, "losses": dict(losses)})
    step.save_state(saved)
    print(json.dumps(steps))


if __name__ == "__main__":
    main(*sys.argv[1:])
