"""Seconds of one training step: plain, IGAM and PGD-7, side by side on one network.

    python -m benchmarks.step_time --depth=14 --width=4 --batch_size=32

Teacher and student have the same network; the discriminator of Appendix A steps once
in five. The paper's ratio IGAM / PGD-7 is 0.43 (347 s against 815 s an epoch).
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from igam_tf import attacks, models, training

STEPS_PER_ROUND = 5


def make_methods(depth, width, jit_compile):
    """Compiled methods by name, on networks of one size."""

    def network():
        return models.wide_resnet(depth=depth, width=width)

    attack = attacks.pgd(eps=8 / 255, step_size=2 / 255, num_steps=7)
    teacher = training.with_new_logits(
        network(), num_classes=10, image_shape=(32, 32, 3)
    )
    methods = {
        "plain": training.StandardTraining(network(), weight_decay=2e-4),
        "IGAM": training.IGAM(
            network(), teacher, models.discriminator(), weight_decay=2e-4
        ),
        "PGD-7": training.AdversarialTraining(network(), attack, weight_decay=2e-4),
    }
    for method in methods.values():
        optimizer = training.Momentum(1e-3, momentum=0.9)
        method.compile(optimizer, jit_compile=jit_compile)
        method.make_train_function()
    return methods


def measure(methods, batch_size, rounds):
    """Seconds a step, by name: one value for each round, the methods alternating."""
    rng = np.random.default_rng(0)
    images = rng.random((batch_size, 32, 32, 3)).astype("float32")
    labels = rng.integers(0, 10, batch_size).astype("int32")
    batches = tf.data.Dataset.from_tensors((images, labels)).cache().repeat()
    iterator = iter(batches)
    seconds = {name: [] for name in methods}
    for round_index in range(rounds + 1):
        for name, method in methods.items():
            start = time.perf_counter()
            for _ in range(STEPS_PER_ROUND):
                logs = method.train_function(iterator)
            float(logs["loss"])
            if round_index:
                # The first round traces and compiles.
                seconds[name].append((time.perf_counter() - start) / STEPS_PER_ROUND)
    return seconds


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--depth", type=int, default=14)
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jit_compile", choices=("auto", "true", "false"), default="auto")
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    jit_compile = {"true": True, "false": False}.get(args.jit_compile, "auto")
    methods = make_methods(args.depth, args.width, jit_compile)
    seconds = measure(methods, args.batch_size, args.rounds)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"WRN-{args.depth}-{args.width}, batch {args.batch_size}, {os.cpu_count()} cores")
    print("| step  | median s | min s | max s | / plain | / PGD-7 |")
    print("| ----- | -------: | ----: | ----: | ------: | ------: |")
    for name, values in seconds.items():
        print(
            f"| {name:5} | {medians[name]:8.3f} | {min(values):5.3f} | {max(values):5.3f} "
            f"| {medians[name] / medians['plain']:7.2f} "
            f"| {medians[name] / medians['PGD-7']:7.2f} |"
        )
    print("IGAM / PGD-7 in the paper: 0.43")


if __name__ == "__main__":
    main()
