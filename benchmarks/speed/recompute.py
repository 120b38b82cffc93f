"""Gradient checkpointing under a second derivative: what runs, its memory and time.

    python -m benchmarks.speed.recompute --blocks=4 --batch_size=64

A gradient of an input gradient's norm, through blocks of four convolutions with batch
statistics, each variant in processes of its own:

- plain: every activation is kept.
- tf.recompute_grad, keras.remat (what keras.RematScope uses): TensorFlow 2.21 refuses a
  second derivative of them, in words that are printed.
- recursive: `checkpoint` below, whose gradient is a checkpointed function itself, so
  that the second derivative recomputes as well.
"""

import argparse
import json
import os
import resource
import subprocess
import sys

from benchmarks.speed import timing

CHANNELS, CONVOLUTIONS, SIDE = 32, 4, 32
VARIANTS = ("plain", "tf.recompute_grad", "keras.remat", "recursive")


def checkpoint(function):
    """A function of tensors that keeps none of what it computes, at any derivative."""
    import tensorflow as tf

    @tf.custom_gradient
    def checkpointed(*inputs):
        def vector_jacobian(*tensors):
            values, output_gradients = tensors[: len(inputs)], tensors[len(inputs) :]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(values)
                outputs = tf.nest.flatten(function(*values))
            gradients = tape.gradient(
                outputs,
                list(values),
                output_gradients=list(output_gradients),
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            return tuple(gradients)

        def gradient(*output_gradients):
            # Recomputing waits for these, or it would be merged with the first pass.
            with tf.control_dependencies(output_gradients):
                held = [tf.identity(tensor) for tensor in inputs]
            return checkpoint(vector_jacobian)(*held, *output_gradients)

        return function(*inputs), gradient

    return checkpointed


def block(x, *kernels):
    import tensorflow as tf

    for kernel in kernels:
        x = tf.nn.softplus(tf.nn.conv2d(x, kernel, 1, "SAME"))
        x -= tf.reduce_mean(x, [0, 1, 2], keepdims=True)
        variance = tf.reduce_mean(tf.square(x), [0, 1, 2], keepdims=True)
        x *= tf.math.rsqrt(variance + 1e-3)
    return x


def measure(variant, num_blocks, batch_size):
    """What a child prints: the gradient's norm, memory over the start, seconds."""
    import keras
    import tensorflow as tf

    wrap = {
        "plain": lambda function: function,
        "tf.recompute_grad": tf.recompute_grad,
        "keras.remat": keras.remat,
        "recursive": checkpoint,
    }
    one_block = wrap[variant](block)
    tf.random.set_seed(0)
    shape = [3, 3, CHANNELS, CHANNELS]
    count = num_blocks * CONVOLUTIONS
    kernels = [0.08 * tf.random.normal(shape) for _ in range(count)]
    images = tf.random.normal([batch_size, SIDE, SIDE, CHANNELS])

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(kernels)
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(images)
                x = images
                for i in range(0, count, CONVOLUTIONS):
                    x = one_block(x, *kernels[i : i + CONVOLUTIONS])
                features = tf.reduce_mean(x[:, : SIDE // 2], [1, 2])
                objective = tf.reduce_sum(tf.square(features))
            input_gradient = inner.gradient(objective, images)
            norm = 1e3 * tf.reduce_sum(tf.square(input_gradient))
        return tf.linalg.global_norm(outer.gradient(norm, kernels))

    before = peak()
    norm = float(step())
    sample = timing.once(lambda: float(step()))
    used = (peak() - before) / 2**20
    print(json.dumps([norm, used, sample.wall, sample.cpu]))


def peak():
    """Largest resident memory of this process so far, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def child(variant, args):
    """The list that `measure` prints, or the error's last line."""
    command = [sys.executable, "-m", "benchmarks.speed.recompute", f"--child={variant}"]
    command += [f"--blocks={args.blocks}", f"--batch_size={args.batch_size}"]
    done = subprocess.run(
        command, cwd=timing.REPOSITORY, capture_output=True, text=True
    )
    if done.returncode:
        return (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
    return json.loads(done.stdout.splitlines()[-1])


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", choices=VARIANTS)
    args = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if args.child:
        return measure(args.child, args.blocks, args.batch_size)
    timing.print_setting(args)
    found = {variant: [] for variant in VARIANTS}
    for _ in range(args.rounds):
        for variant, results in found.items():
            # What TensorFlow refuses once it refuses always.
            if not (results and isinstance(results[0], str)):
                results.append(child(variant, args))
    reference, rows = found["plain"], []
    for variant, results in found.items():
        if isinstance(results[0], str):
            print(f"{variant}: {results[0]}\n")
            continue
        medians = [timing.statistics.median(column) for column in zip(*results)]
        plain = [timing.statistics.median(column) for column in zip(*reference)]
        ratios = [f"{m / p:.2f}" for m, p in zip(medians[1:], plain[1:])]
        difference = f"{abs(medians[0] / plain[0] - 1):.0e}"
        rows.append([variant, difference, f"{medians[1]:.3f}", *ratios])
    header = ["", "difference of the gradient", "GiB over the start", "memory / plain"]
    timing.print_table([*header, "s / plain", "CPU s / plain"], rows)


if __name__ == "__main__":
    main()
