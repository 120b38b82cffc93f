"""Computes, from the golden checkpoints, what the original computed, and compares.

Run by `test_golden_parity.py` in its own process, because the golden numbers were made
with oneDNN off and one thread, and both must be set before TensorFlow starts: another
order of summation moves an activation across the kink of a leaky ReLU, which changes
the image gradient in training mode by 2.5e-4 (`tolerance.json`, the original itself).

    python tests/checkpoints/golden_parity.py SHARED_FOLDER

prints a JSON object of relative differences (largest absolute difference over largest
absolute value).
"""

import json
import pathlib
import sys

import numpy as np
import tensorflow as tf

from igam_tf import checkpoints
from igam_tf.checkpoints.tf1.names import wide_resnet_rows
from igam_tf.models import NORMALIZATIONS


def relative(ours, golden):
    ours, golden = np.asarray(ours), np.asarray(golden)
    return float(np.abs(ours - golden).max() / np.abs(golden).max())


def forward_and_gradient(model, images, labels, training):
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = model(images, training=training)
        xent = tf.reduce_sum(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        )
    return logits, xent, tape.gradient(xent, images)


def mnist(golden):
    io = np.load(golden / "mnist_madry" / "io.npz")
    model = checkpoints.load_madry(golden / "mnist_madry")
    found = {}
    for mode, training in (("eval", False), ("train", True)):
        logits, xent, gradient = forward_and_gradient(
            model, io["x"].reshape(8, 28, 28, 1), io["y"], training
        )
        found[f"mnist {mode} logits"] = relative(logits, io["logits"])
        found[f"mnist {mode} xent"] = relative(xent, io["xent"])
        gradient = np.reshape(gradient, (8, 784))
        found[f"mnist {mode} gradient"] = relative(gradient, io["grad_xent_x"])
    return found


def cifar(golden):
    folder = golden / "cifar_madry_narrow"
    io = np.load(folder / "io.npz")
    images = io["x"] / np.float32(255)
    found = {}
    for mode, training in (("eval", False), ("train", True)):
        model = checkpoints.load_madry(folder)
        logits, xent, gradient = forward_and_gradient(model, images, io["y"], training)
        found[f"cifar {mode} logits"] = relative(logits, io[f"{mode}_logits"])
        found[f"cifar {mode} xent"] = relative(xent, io[f"{mode}_xent"])
        # The original's gradient is per grey level.
        found[f"cifar {mode} gradient"] = relative(
            gradient / 255.0, io[f"{mode}_grad_xent_x"]
        )
    return found | batch_statistics(folder, model, io)


def batch_statistics(folder, model, io):
    """After the one training forward that `model` has just done."""
    start = checkpoints.load_madry(folder)
    found = dict.fromkeys(
        ("moving mean", "moving variance", "moving variance, corrected"), 0.0
    )
    for row in wide_resnet_rows(depth=32, width=1, num_classes=10):
        if row.trainable:
            continue
        before = getattr(start.get_layer(row.layer), row.weight).numpy()
        layer = model.get_layer(row.layer)
        after = getattr(layer, row.weight).numpy()
        expected = io[f"moving_after_one_train_forward/{row.name}"]
        key = row.weight.replace("_", " ")
        found[key] = max(found[key], relative(after, expected))
        if key == "moving variance":
            # TF1's fused kernel stores N / (N - 1) of the biased batch variance.
            n = np.prod(layer.input.shape[1:3]) * len(io["x"])
            corrected = 0.9 * before + (after - 0.9 * before) * n / (n - 1)
            key += ", corrected"
            found[key] = max(found[key], relative(corrected, expected))
    return found


def normalizations(golden):
    io = np.load(golden / "transforms.npz")
    images = tf.constant(io["x32"] / np.float32(255))
    return {
        f"normalization {ours}": relative(NORMALIZATIONS[ours](images), io[theirs])
        for ours, theirs in (
            ("standardize", "standardize32"),
            ("unit_norm", "l2norm32"),
            ("zero_mean_unit_norm", "zero_mean_l2norm32"),
        )
    }


def igam_parts(golden):
    """Logits of teacher (both heads) and student of the IGAM graph, training mode."""
    folder = golden / "igam_step_narrow"
    steps, batches = np.load(folder / "steps.npz"), np.load(folder / "batches.npz")
    images = batches["x"][0] / np.float32(255)
    found = {}
    for part, head, key in (
        ("teacher", "source", "pre/teacher_source_logits"),
        ("teacher", "target", "pre/teacher_target_logits"),
        ("student", None, "pre/student_logits"),
    ):
        model = checkpoints.load(folder, part=part, head=head)
        logits = model(images, training=True)
        found[f"igam {part} {head or ''}".strip()] = relative(logits, steps[key][0])
    disc = checkpoints.load(folder, part="discriminator")
    gradients = np.concatenate(
        [steps["pre/student_input_grad"][0], steps["pre/teacher_input_grad"][0]]
    )
    logits = disc(gradients, training=True)
    return found | {"igam discriminator": relative(logits, steps["pre/disc_logits"][0])}


if __name__ == "__main__":
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    golden_folder = pathlib.Path(sys.argv[1]) / "golden"
    results = {}
    for compare in (mnist, cifar, normalizations, igam_parts):
        results |= compare(golden_folder)
    print(json.dumps(results, indent=1))
