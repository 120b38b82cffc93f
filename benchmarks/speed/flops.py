"""Achieved FLOP/s of the training steps over the best convolution on this machine.

    python -m benchmarks.speed.flops --depth=32 --width=10 --batch_size=8

The operations of a step are those of its convolutions, counted from the shapes in its
graph (`convolutions.py`); all else that a step does costs time and counts for nothing.
Beside it stand the network's own convolutions, forward and both gradients, each alone:
the best of them is the machine's, their total time is what a step of perfect overlap
would still take.
"""

import os
import time

from benchmarks.speed import timing

SECONDS_EACH = 0.2


def convolution(key, dtype):
    """A function of one of the network's convolutions, of random numbers."""
    import tensorflow as tf

    kind, outputs, kernel, stride = key
    count, height, width, filters = outputs
    inputs = (count, height * stride, width * stride, kernel[2])
    x, k, y = (tf.cast(tf.random.normal(s), dtype) for s in (inputs, kernel, outputs))
    strides = [1, stride, stride, 1]
    operations = {
        "Conv2D": lambda: tf.raw_ops.Conv2D(
            input=x, filter=k, strides=strides, padding="SAME"
        ),
        "Conv2DBackpropInput": lambda: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=inputs,
            filter=k,
            out_backprop=y,
            strides=strides,
            padding="SAME",
        ),
        "Conv2DBackpropFilter": lambda: tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=kernel,
            out_backprop=y,
            strides=strides,
            padding="SAME",
        ),
    }
    return operations[kind]


def best_seconds(function):
    """The least seconds of a call, over a fifth of a second and three calls."""
    function().numpy()
    seconds = []
    while len(seconds) < 3 or sum(seconds) < SECONDS_EACH:
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure_convolutions(found, dtype):
    """Seconds of each distinct convolution that was counted."""
    return {key: best_seconds(convolution(key, dtype)) for key in found}


def counted(args):
    """Convolutions of one step by name, as counters."""
    from benchmarks.speed import convolutions, networks

    batch, methods, found = networks.random_batch(args), {}, {}
    for name, make in networks.METHODS.items():
        # One method a time has its optimizer's memory, in what is timed as well.
        methods[name] = method = networks.compiled(make(args))
        found[name] = convolutions.step_operations(
            method, *batch, phase=method.phases[-1], num_steps=7
        )
    every = convolutions.discriminator_operations(methods["IGAM"], *batch)
    for key, count in every.items():
        found["IGAM"][key] += count / networks.CYCLE
    return methods, found


def main(arguments=None):
    parser = timing.parser(__doc__, depth=32, width=10, batch_size=8)
    parser.add_argument("--precision", default="float32")
    args = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from benchmarks.speed import convolutions, networks
    from igam_tf import distribution

    timing.print_setting(args)
    with distribution.precision(args.precision):
        methods, found = counted(args)
    batches = networks.constant_batches(args)
    cases = {name: networks.steps(m, batches) for name, m in methods.items()}
    series = timing.alternate(cases, args.rounds, per=networks.CYCLE)
    dtype = args.precision.removeprefix("mixed_")
    everything = {key for counter in found.values() for key in counter}
    seconds = measure_convolutions(everything, dtype)
    peak = max(convolutions.flops_of(key) / s for key, s in seconds.items())
    best = max(seconds, key=lambda key: convolutions.flops_of(key) / seconds[key])
    print(f"Best convolution: {peak / 1e9:.1f} GFLOP/s ({describe(best)})\n")
    rows = []
    for name, counter in found.items():
        total, wall = convolutions.flops(counter), series[name].median()
        alone = sum(count * seconds[key] for key, count in counter.items())
        rows.append(
            [
                name,
                f"{total / 1e9:.1f}",
                f"{wall:.3f}",
                f"{series[name].median('cpu'):.3f}",
                f"{total / wall / 1e9:.1f}",
                f"{total / wall / peak:.2f}",
                f"{alone / wall:.2f}",
            ]
        )
    header = ["step", "GFLOP", "median s", "CPU s", "GFLOP/s", "/ best convolution"]
    timing.print_table([*header, "convolutions alone / step"], rows)
    timing.print_series(series, "plain", "PGD-7")


def describe(key):
    kind, outputs, kernel, stride = key
    size = "x".join(map(str, kernel))
    return f"{kind}, {size}, stride {stride}, output {'x'.join(map(str, outputs))}"


if __name__ == "__main__":
    main()
