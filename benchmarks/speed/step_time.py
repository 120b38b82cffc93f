"""Seconds of one training step of several methods, side by side on one network.

    python -m benchmarks.speed.step_time --depth=32 --width=10 --batch_size=32 --steps=1
    python -m benchmarks.speed.step_time --methods=plain,GradNorm,PGD-3
    python -m benchmarks.speed.step_time --methods=GradNorm,difference,PGD-3

"difference" is GradNorm without double backpropagation, by a finite difference.
Teacher and student have the same network; the discriminator of Appendix A steps once
in five, and whole cycles of IGAM are timed, of the others `--steps`. The paper's ratio
IGAM / PGD-7 is 0.43 (347 s against 815 s an epoch). `--replicas=2` splits the CPU in
two logical devices and adds the same steps on replicas of a MirroredStrategy, with the
same global batch.
"""

import contextlib
import os

from benchmarks.speed import timing

MATCHING_SHARE = 1 / 8
TRANSFER = ("plain", "IGAM", "PGD-7")
PASSES = {
    "plain": 3,
    "IGAM": 8,
    "GradNorm": 6,
    "difference": 7,
    "PGD-3": 9,
    "PGD-7": 17,
}


def split_cpu(replicas):
    """Logical CPU devices; before TensorFlow makes its own."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * replicas
    tf.config.set_logical_device_configuration(cpu, devices)


def make_cases(args, methods, replicas):
    """Name -> (method, function that takes steps, their number)."""
    from benchmarks.speed import networks
    from igam_tf import distribution

    strategy = distribution.strategy(devices=replicas) if replicas > 1 else None
    jit_compile = {"true": True, "false": False}.get(args.jit_compile, "auto")
    cases = {}
    for name in methods:
        scope = strategy.scope() if strategy else contextlib.nullcontext()
        with scope, distribution.precision(args.precision):
            more = {"discriminator_input": args.discriminator_input}
            method = networks.METHODS[name](
                args,
                micro_batch=args.micro_batch,
                **(more if name == "IGAM" else {}),
            )
            networks.compiled(method, jit_compile)
        batches = networks.constant_batches(args)
        if strategy:
            batches = strategy.experimental_distribute_dataset(batches)
            name = f"{name}, {replicas} replicas"
        count = args.steps or networks.CYCLE
        count = networks.CYCLE if "IGAM" in name else count
        cases[name] = method, networks.steps(method, batches, count), count
    return cases


def convolution_flops(args, methods):
    """Convolution operations of one step by method, over a cycle."""
    from benchmarks.speed import convolutions, networks

    batch, counted = networks.random_batch(args), {}
    for name, method in methods.items():
        phase = method.phases[-1]
        num_steps = int(name[-1]) if name.startswith("PGD") else 1
        found = convolutions.step_operations(
            method, *batch, phase=phase, num_steps=num_steps
        )
        counted[name] = convolutions.flops(found)
        if name == "IGAM":
            found = convolutions.discriminator_operations(method, *batch)
            counted[name] += convolutions.flops(found) / networks.CYCLE
    return counted


def print_passes(counted):
    """Passes through the network, and the operations counted in the graphs."""
    rows = []
    for name, value in counted.items():
        passes, reference = PASSES[name], PASSES[list(counted)[-1]]
        ratio = value / list(counted.values())[-1]
        cells = [f"{passes / reference:.2f}", f"{value / 1e9:.2f}", f"{ratio:.3f}"]
        rows.append([name, passes, *cells])
    last = f"/ {list(counted)[-1]}"
    header = ["", "passes", last, "convolution GFLOP a step", last]
    timing.print_table(header, rows)
    print(
        "A pass is a forward pass, or a backward one to the inputs or to the kernels. "
        "The operations\ninclude the discriminator and its own step, once in five.\n"
    )


def print_schedule(series):
    """The whole training over PGD-7's: plain steps, and the last eighth matching."""
    rows = []
    for clock in ("wall", "cpu"):
        plain, igam, pgd = (series[n].median(clock) for n in TRANSFER)
        schedule = (1 - MATCHING_SHARE) * plain + MATCHING_SHARE * igam
        rows.append([clock, f"{schedule / pgd:.3f}", f"{igam / pgd:.3f}", "0.43"])
    header = ["seconds", "schedule / PGD-7", "IGAM / PGD-7", "in the paper"]
    timing.print_table(header, rows)


def main(arguments=None):
    parser = timing.parser(__doc__)
    parser.add_argument(
        "--jit_compile", choices=("auto", "true", "false"), default="auto"
    )
    parser.add_argument("--precision", default="float32", help="or mixed_bfloat16, ...")
    parser.add_argument("--micro_batch", type=int, help="images at once")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument(
        "--methods",
        type=lambda text: text.split(","),
        default=list(TRANSFER),
        help=f"of {', '.join(PASSES)}; the last one is compared with",
    )
    parser.add_argument("--steps", type=int, help="of plain and PGD-7 in a round")
    parser.add_argument(
        "--discriminator_input",
        choices=("before_update", "after_update"),
        default="before_update",
        help="of the paper's Algorithm 1, or of the authors' code",
    )
    args = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if args.replicas > 1:
        split_cpu(args.replicas)
    timing.print_setting(args)
    cases = make_cases(args, args.methods, replicas=1)
    methods = {name: method for name, (method, *_) in cases.items()}
    if args.micro_batch is None:
        print_passes(convolution_flops(args, methods))
    if args.replicas > 1:
        cases.update(make_cases(args, args.methods, args.replicas))
    functions = {name: run for name, (_, run, _) in cases.items()}
    counts = {name: count for name, (*_, count) in cases.items()}
    series = timing.alternate(functions, args.rounds, per=counts)
    timing.print_series(series, args.methods[0], args.methods[-1])
    if args.methods == list(TRANSFER):
        print_schedule(series)
    if args.replicas > 1:
        rows = []
        for name in args.methods:
            many = series[f"{name}, {args.replicas} replicas"]
            ratios = (many.ratio(series[name], clock) for clock in ("wall", "cpu"))
            rows.append([name, *(f"{ratio:.2f}" for ratio in ratios)])
        timing.print_table([f"{args.replicas} replicas / 1", "wall", "CPU"], rows)


if __name__ == "__main__":
    main()
