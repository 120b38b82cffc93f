"""Cost against size: step over width, depth, side and batch; AutoAttack over images.

    TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 \\
        python -m benchmarks.speed.scaling

On each axis one size varies and the others stay as they are; all sizes of an axis
alternate, round after round. Slopes are those of a line through the logarithms: of
seconds against the size, and against the operations of the convolutions, which are
counted in the graph (1: the time grows as the work does). AutoAttack, with a fifth of
its steps, attacks images that all withstand it, so that it takes every pass; its work
is the passes of images. Of classes it attacks nine whatever their number.
"""

import argparse
import math
import os

from benchmarks.speed import timing

#: Axis -> values; the others are those of `BASE`.
AXES = {
    "width": (1, 2, 4, 8),
    "depth": (8, 14, 20, 32),
    "side": (16, 32, 48, 64),
    "batch_size": (8, 16, 32, 64),
}
BASE = {"depth": 14, "width": 2, "side": 32, "batch_size": 8}
IMAGES, CLASSES = (16, 32, 64, 128), (10, 100, 1000)
FEW_IMAGES = 32
# Small enough that no image is misled, and every pass is taken.
EPS = 1e-5


def slope(sizes, costs):
    """Slope of the line through the logarithms, by least squares."""
    x, y = ([math.log(value) for value in values] for values in (sizes, costs))
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    products = sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y))
    return products / sum((a - middle_x) ** 2 for a in x)


def last_slope(sizes, costs):
    """Slope between the two largest sizes."""
    return math.log(costs[-1] / costs[-2]) / math.log(sizes[-1] / sizes[-2])


def rows_of(axis, values, seconds, work, unit):
    """Header and rows of an axis: work, seconds, and seconds for the same work.

    Args:
        axis: its name.
        values: sizes.
        seconds: medians, one a size.
        work: operations or passes, one a size.
        unit: of the work, for the header.
    """
    first = seconds[0] / work[0]
    header = [axis, unit, "seconds", "seconds a unit / the first"]
    rows = [
        [value, f"{amount:.4g}", f"{time:.4f}", f"{time / amount / first:.2f}"]
        for value, amount, time in zip(values, work, seconds, strict=True)
    ]
    return header, rows


def print_axis(axis, values, seconds, work, unit):
    timing.print_table(*rows_of(axis, values, seconds, work, unit))
    print(
        f"slope of seconds against {axis} {slope(values, seconds):.2f}, against {unit} "
        f"{slope(work, seconds):.2f}, between the last two "
        f"{last_slope(work, seconds):.2f}\n",
        flush=True,
    )


def measure_step(name, axis, args):
    """Times a method's step along an axis, and prints it."""
    from benchmarks.speed import networks, step_time

    functions, work = {}, []
    for value in AXES[axis]:
        sized = argparse.Namespace(**{**BASE, axis: value})
        method = networks.METHODS[name](sized)
        networks.compiled(method)
        counted = step_time.convolution_flops(sized, {name: method})[name]
        work.append(counted / 1e9)
        batches = networks.constant_batches(sized)
        functions[value] = networks.steps(method, batches)
    series = timing.alternate(functions, args.rounds, per=networks.CYCLE)
    seconds = [series[value].median() for value in AXES[axis]]
    print(f"{name}, {', '.join(f'{k} {v}' for k, v in BASE.items() if k != axis)}")
    print_axis(axis, AXES[axis], seconds, work, "GFLOP a step")


def attack(num_images, num_classes, side):
    """A function that runs AutoAttack on a small network, and one that counts."""
    import numpy as np

    import igam_tf
    from igam_tf import models
    from igam_tf.attacks.autoattack import APGD, FAB, Square

    shape = (side, side, 3)
    model = models.small_cnn(num_classes=num_classes, image_shape=shape)
    images = np.random.default_rng(0).random((num_images, *shape)).astype("float32")
    labels = model.predict(images, verbose=0).argmax(axis=1).astype("int32")
    ball = {"eps": EPS, "norm": "linf"}
    parts = (
        APGD(num_steps=20, **ball),
        APGD(num_steps=20, loss="dlr_targeted", seed=1, **ball),
        FAB(num_steps=20, seed=2, **ball),
        Square(num_queries=1000, seed=3, **ball),
    )
    ensemble = igam_tf.AutoAttack(version=parts, **ball)
    passes = []

    def run():
        outcome = ensemble.outcome(model, images, labels)
        if not list(outcome.robust.values())[-1].all():
            raise RuntimeError("an image was misled: expected all to take every pass.")
        counts = outcome.forward_passes, outcome.backward_passes
        passes[:] = [sum(sum(count.values()) for count in counts)]

    return run, passes


def measure_autoattack(axis, values, sizes, args):
    """Times AutoAttack along an axis: tuples (images, classes), one a value."""
    cases = {v: attack(*size, args.attack_side) for v, size in zip(values, sizes)}
    functions = {value: run for value, (run, _) in cases.items()}
    series = timing.alternate(functions, args.rounds)
    seconds = [series[value].median() for value in values]
    work = [passes[0] / 1000 for _, passes in cases.values()]
    print(f"AutoAttack, a fifth of its steps, small_cnn of {args.attack_side} x "
          f"{args.attack_side} images, all withstand")  # fmt: skip
    if axis == "images":
        print_axis(axis, values, seconds, work, "thousand passes")
        return
    timing.print_table(*rows_of(axis, values, seconds, work, "thousand passes"))
    print(f"1,000 classes / 100: {seconds[-1] / seconds[-2]:.2f}\n", flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = [*AXES, "images", "classes"]
    parser.add_argument("--axes", nargs="+", choices=every, default=every)
    parser.add_argument(
        "--methods", nargs="+", default=["IGAM"], help="plain, PGD-7 ..."
    )
    parser.add_argument(
        "--attack_side", type=int, default=8, help="of AutoAttack's images"
    )
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    timing.print_setting(args)
    for axis in (axis for axis in AXES if axis in args.axes):
        for name in args.methods:
            measure_step(name, axis, args)
    if "images" in args.axes:
        measure_autoattack("images", IMAGES, [(n, 10) for n in IMAGES], args)
    if "classes" in args.axes:
        sizes = [(FEW_IMAGES, n) for n in CLASSES]
        measure_autoattack("classes", CLASSES, sizes, args)


if __name__ == "__main__":
    main()
