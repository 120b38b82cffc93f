"""Seconds and FLOP/s of exported steps (plain, IGAM, PGD-7) under JAX, on CPU or GPU.

    python -m benchmarks.speed.exported_step write OUT --depth=32 --width=10 \
        --batch_size=128 --precision=mixed_bfloat16
    python -m benchmarks.speed.exported_step time OUT

The first command needs TensorFlow and computes nothing; its folder holds programs only
(a few MB, whatever the width). The second needs JAX and NumPy, on any machine: weights
and images are made up there. IGAM matches from the first step and is averaged over a
discriminator cycle of five steps.

FLOPs are XLA's count of the multiplications and additions in the programs before it
optimises them. The peak is the best of a large matrix product and the network's own
convolutions, measured in the same run in the same type. float32 on a GPU may mean
TF32: set NVIDIA_TF32_OVERRIDE=0 for plain float32.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import time

# Programs that a step of each needs; matching begins with the first step.
PROGRAMS = {"plain": ["train"], "igam": ["matching", "second_update"], "pgd": ["train"]}
EPOCH = 50_000
CYCLE = 5
SETTING = "benchmark.json"
# Seconds an epoch in the paper: IGAM while matching, and PGD-7.
PAPER = {"igam": 347, "pgd": 815}


def write(args):
    """Exports the three steps of one size."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    from igam_tf import attacks, export, models, training

    keras.mixed_precision.set_dtype_policy(args.precision)
    shape, decay = (args.image_size, args.image_size, 3), {"weight_decay": 2e-4}

    def network():
        return models.wide_resnet(depth=args.depth, width=args.width, image_shape=shape)

    def igam():
        teacher = training.with_new_logits(network(), num_classes=10, image_shape=shape)
        discriminator = models.discriminator(gradient_shape=shape)
        return training.IGAM(
            network(), teacher, discriminator, discriminator_every=CYCLE, **decay
        )

    attack = attacks.pgd(eps=8 / 255, step_size=2 / 255, num_steps=args.num_steps)
    makers = {
        "plain": lambda: training.StandardTraining(network(), **decay),
        "igam": igam,
        "pgd": lambda: training.AdversarialTraining(network(), attack, **decay),
    }
    batch = (
        tf.TensorSpec([args.batch_size, *shape], tf.uint8),
        tf.TensorSpec([args.batch_size], tf.int32),
    )
    out = pathlib.Path(args.folder)
    for name, make in makers.items():
        start = time.perf_counter()
        method = make()
        method.compile(training.Momentum(1e-3, momentum=0.9))
        export.export_step(method, batch, out / name, save_state=False)
        print(f"{name}: written in {time.perf_counter() - start:.0f} s", flush=True)
    setting = {k: v for k, v in vars(args).items() if k not in ("run", "folder")}
    (out / SETTING).write_text(json.dumps(setting) + "\n")


def measure(args):
    """Times the steps of a folder, side by side, and prints the table."""
    import jax
    import numpy as np

    from igam_tf.export import runner

    folder = pathlib.Path(args.folder)
    setting = json.loads((folder / SETTING).read_text())
    size, side = setting["batch_size"], setting["image_size"]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (size, side, side, 3), np.uint8)
    labels = rng.integers(0, 10, size).astype(np.int32)
    steps, compile_seconds = {}, {}
    for name in args.steps:
        step = steps[name] = runner.load(folder / name)
        start = time.perf_counter()
        step.compile([*PROGRAMS[name], "schedule"])
        compile_seconds[name] = time.perf_counter() - start
        print(f"{name}: compiled in {compile_seconds[name]:.0f} s", flush=True)
        step.random_state()
        for _ in range(CYCLE):
            step.run(images, labels)
        step.state["student/0000"].block_until_ready()
    seconds, finite = {name: [] for name in steps}, {}
    for _ in range(args.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(args.cycles * CYCLE):
                losses = step.run(images, labels)
            finite[name] = math.isfinite(losses["loss"])
            step.state["student/0000"].block_until_ready()
            seconds[name].append((time.perf_counter() - start) / (args.cycles * CYCLE))
    device = jax.devices()[0]
    dtype = "float32" if setting["precision"] == "float32" else "bfloat16"
    rates = peak_rates(dtype, setting, large=device.platform != "cpu")
    counted = flops(steps, setting["num_steps"])
    result = {
        "device": device.device_kind,
        "jax": jax.__version__,
        "setting": setting,
        "compile_seconds": compile_seconds,
        "seconds": seconds,
        "flops": counted,
        "memory": {name: memory(step, PROGRAMS[name]) for name, step in steps.items()},
        "peak": rates,
    }
    print_table(result)
    broken = [name for name, good in finite.items() if not good]
    if broken:
        print(f"NaN in {', '.join(broken)}, which may run faster than numbers.")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(result, indent=1) + "\n")


def flops(steps, num_steps):
    """FLOPs of one step by name, as XLA counts them.

    XLA counts the body of a loop once; PGD's has nearly all that its step has beyond
    a plain one.
    """

    def count(step, name):
        analysis = step.programs[name].lowered.cost_analysis()
        analysis = analysis[0] if isinstance(analysis, list) else analysis
        return float(analysis["flops"])

    found = {}
    if "plain" in steps:
        found["plain"] = count(steps["plain"], "train")
    if "igam" in steps:
        matching = count(steps["igam"], "matching")
        found["igam"] = matching + count(steps["igam"], "second_update") / CYCLE
    if {"plain", "pgd"} <= set(steps):
        once = count(steps["pgd"], "train")
        found["pgd"] = found["plain"] + num_steps * (once - found["plain"])
    return found


def memory(step, names):
    """GB that the largest program of a step needs on the device, its state included."""
    largest = 0
    for name in names:
        stats = step.programs[name].compiled.memory_analysis()
        kept = stats.argument_size_in_bytes + stats.output_size_in_bytes
        used = kept + stats.temp_size_in_bytes - stats.alias_size_in_bytes
        largest = max(largest, used)
    return largest / 1e9


def peak_rates(dtype, setting, *, large):
    """FLOP/s of a large matrix product and of the network's convolutions."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    def rate(function, shapes, work):
        keys = jax.random.split(jax.random.key(0), len(shapes))
        arrays = [
            jax.random.normal(key, shape, jnp.float32).astype(dtype)
            for key, shape in zip(keys, shapes, strict=True)
        ]
        run = jax.jit(function)
        run(*arrays).block_until_ready()
        repeats, found = (20 if large else 3), []
        for _ in range(5):
            start = time.perf_counter()
            for _ in range(repeats):
                result = run(*arrays)
            result.block_until_ready()
            found.append((time.perf_counter() - start) / repeats)
        return work / statistics.median(found)

    def convolution(images, kernel):
        return lax.conv_general_dilated(
            images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    n = 8192 if large else 1024
    rates = {f"matmul {n}": rate(jnp.matmul, [(n, n), (n, n)], 2 * n**3)}
    batch = setting["batch_size"]
    for level in range(3):
        side = setting["image_size"] // 2**level
        width = 16 * setting["width"] * 2**level
        rates[f"conv {width} at {side}x{side}"] = rate(
            convolution,
            [(batch, side, side, width), (3, 3, width, width)],
            2 * batch * side * side * 9 * width**2,
        )
    return rates


def print_table(result):
    """The table of the results, one row a step."""
    setting, seconds = result["setting"], result["seconds"]
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    peak = max(result["peak"].values())
    print(
        f"\nWRN-{setting['depth']}-{setting['width']}, batch {setting['batch_size']}, "
        f"{setting['precision']}, {result['device']}, JAX {result['jax']}"
    )
    for name, value in result["peak"].items():
        print(f"  {name}: {value / 1e12:.3g} TFLOP/s")
    print(
        "| step  | median s | min s | max s | s/epoch | paper | TFLOP/s | of peak "
        "| / PGD | GB | compile s |"
    )
    print("| ----- " + "| ---: " * 10 + "|")
    for name, values in seconds.items():
        rate = result["flops"].get(name, float("nan")) / medians[name]
        print(
            f"| {name:5} | {medians[name]:.4f} | {min(values):.4f} | {max(values):.4f} "
            f"| {medians[name] * EPOCH / setting['batch_size']:.1f} "
            f"| {PAPER.get(name, '-')} | {rate / 1e12:.3g} | {rate / peak:.2f} "
            f"| {medians[name] / medians.get('pgd', float('nan')):.2f} "
            f"| {result['memory'][name]:.2f} | {result['compile_seconds'][name]:.0f} |"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    writing = commands.add_parser("write", help="export the steps (TensorFlow)")
    writing.set_defaults(run=write)
    writing.add_argument("folder")
    writing.add_argument("--depth", type=int, default=32)
    writing.add_argument("--width", type=int, default=10)
    writing.add_argument("--batch_size", type=int, default=128)
    writing.add_argument("--image_size", type=int, default=32)
    writing.add_argument("--num_steps", type=int, default=7, help="of PGD")
    writing.add_argument(
        "--precision", choices=("float32", "mixed_bfloat16"), default="float32"
    )
    timing = commands.add_parser("time", help="time them (JAX)")
    timing.set_defaults(run=measure)
    timing.add_argument("folder")
    timing.add_argument("--rounds", type=int, default=5)
    timing.add_argument("--cycles", type=int, default=1, help="of 5 steps, in a round")
    timing.add_argument("--json", help="file for all numbers")
    names = ("plain", "igam", "pgd")
    timing.add_argument("--steps", nargs="+", choices=names, default=names)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
