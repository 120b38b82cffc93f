"""Throughput of 1, 2 and 4 replicas on one machine, and what an all-reduce costs.

    python -m benchmarks.speed.replicas --side=32 --depth=14 --width=2 --batch_size=16

Processes of one thread each on the loopback address (MultiWorkerMirroredStrategy), each
with a batch of its own: with a core for every worker they should take as long as one.
They also time all-reduces of several sizes, of which come the latency of a message and
the bandwidth of a ring, two constants of `scaling_model.py`. The third is an IGAM step
of hardly any arithmetic. Then logical devices of one process (MirroredStrategy): all
share the cores, so that the work of the same global batch is the same, and what is more
than one replica's time is overhead.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time

from benchmarks.speed import timing

COUNTS = (1, 2, 4)
# Numbers of float32 in the all-reduces: 4 KiB to 16 MiB.
SIZES = tuple(2**power for power in (10, 14, 18, 20, 22))
REPEATS = 20


def fitted(count, sizes, seconds):
    """Latency (s) and bandwidth (bytes/s) of `scaling_model.all_reduce`.

    A ring of `count` sends each number 2 (count - 1) / count times, in 2 (count - 1)
    messages. The line through bytes and seconds goes through the smallest size; its
    slope is that to the largest.
    """
    first, last = 4 * sizes[0], 4 * sizes[-1]
    slope = (seconds[-1] - seconds[0]) / (last - first)
    messages = 2 * (count - 1)
    latency = max(0.0, seconds[0] - slope * first) / messages
    return latency, messages / count / slope if slope > 0 else float("inf")


def logical_devices(args):
    """Times the steps of 1, 2 ... replicas in this process, and prints them."""
    from benchmarks.speed import step_time

    step_time.split_cpu(max(args.counts))
    names = dict(vars(args), jit_compile="auto", precision="float32", micro_batch=None)
    names |= {"steps": None, "discriminator_input": "before_update"}
    cases, counts = {}, {}
    for replicas in args.counts:
        made = step_time.make_cases(argparse.Namespace(**names), ["IGAM"], replicas)
        ((_, run, count),) = made.values()
        cases[replicas], counts[replicas] = run, count
    series = timing.alternate(cases, args.rounds, per=counts)
    rows = [
        [
            replicas,
            f"{series[replicas].median():.4f}",
            f"{args.batch_size / series[replicas].median():.1f}",
            f"{series[replicas].ratio(series[1]) - 1:+.0%}",
            f"{series[replicas].ratio(series[1], 'cpu') - 1:+.0%}",
        ]
        for replicas in args.counts
    ]
    print(f"Logical devices of one process, global batch {args.batch_size}:")
    header = ["replicas", "s a step", "images/s", "overhead", "overhead, CPU s"]
    timing.print_table(header, rows)


def workers(args):
    """Times the steps of 1, 2 ... processes, and prints them with the all-reduces."""
    cores = len(os.sched_getaffinity(0))
    found = {count: _together(count, args) for count in args.counts}
    one = args.batch_size / found[1]["step"]
    rows = []
    for count, answer in found.items():
        throughput = count * args.batch_size / answer["step"]
        ideal = one * min(count, cores)
        row = [count, f"{answer['step']:.4f}", f"{throughput:.1f}"]
        rows.append(
            [*row, f"{throughput / ideal:.2f}", f"{ideal / throughput - 1:+.0%}"]
        )
    print(f"Workers of one thread on {cores} cores, batch {args.batch_size} each:")
    header = ["workers", "s a step", "images/s", "of the ideal", "overhead"]
    timing.print_table(header, rows)
    rows = []
    for count in args.counts[1:]:
        seconds = found[count]["all_reduce"]
        latency, bandwidth = fitted(count, SIZES, seconds)
        cells = [f"{1000 * s:.2f}" for s in seconds]
        rows.append(
            [count, *cells, f"{1000 * latency:.2f}", f"{bandwidth / 2**20:.0f}"]
        )
    header = ["workers", *(f"{4 * size // 2**10} KiB" for size in SIZES)]
    print("All-reduce over the loopback address, ms:")
    timing.print_table([*header, "a message, ms", "MiB/s of the ring"], rows)
    print(f"IGAM step of hardly any arithmetic: {1000 * found[1]['host']:.1f} ms\n")


def _together(count, args):
    """What the first of so many workers answers."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    places = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for one in sockets:
        one.close()
    processes = []
    for index in range(count):
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": places}, "task": task}
        threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "2"}
        command = [sys.executable, "-m", "benchmarks.speed.replicas", "--as_worker"]
        command += [f"--{k}={v}" for k, v in vars(args).items() if k in _HANDED_ON]
        processes.append(
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL if index else None,
                text=True,
                cwd=timing.REPOSITORY,
                env={**os.environ, **threads, "TF_CONFIG": json.dumps(config)},
            )
        )
    try:
        outputs = [process.communicate(timeout=1800)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    if any(process.returncode for process in processes):
        raise RuntimeError(f"a worker of {count} failed; its message is above.")
    return json.loads(outputs[0].splitlines()[-1])


_HANDED_ON = ("depth", "width", "side", "batch_size", "rounds")


def as_worker(args):
    """What each worker does: IGAM steps, all-reduces, and small steps."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    cores = sorted(os.sched_getaffinity(0))
    index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    os.sched_setaffinity(0, {cores[index % len(cores)]})
    from igam_tf import distribution

    strategy = distribution.strategy("multiworker")
    small = argparse.Namespace(depth=8, width=1, side=8, batch_size=1)
    answer = {
        "step": _step_seconds(strategy, args, args.rounds),
        "host": _step_seconds(strategy, small, args.rounds),
        "all_reduce": [_all_reduce_seconds(strategy, size) for size in SIZES],
    }
    print(json.dumps(answer), flush=True)


def _step_seconds(strategy, args, rounds):
    from benchmarks.speed import networks

    with strategy.scope():
        method = networks.compiled(networks.igam(args))
    batches = strategy.distribute_datasets_from_function(
        lambda context: networks.constant_batches(args)
    )
    run = networks.steps(method, batches)
    series = timing.alternate({"step": run}, rounds, per=networks.CYCLE)
    return series["step"].median()


def _all_reduce_seconds(strategy, size):
    """Median seconds of the sum of `size` numbers over all workers."""
    import tensorflow as tf

    def replica():
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.ones([size]))

    reduced = tf.function(lambda: strategy.run(replica))
    seconds = []
    for _ in range(REPEATS + 2):
        start = time.perf_counter()
        reduced().numpy()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[2:])


def main(arguments=None):
    parser = timing.parser(__doc__, depth=14, width=2, batch_size=16)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument(
        "--parts", nargs="+", choices=("devices", "workers"),
        default=("devices", "workers"),
    )  # fmt: skip
    parser.add_argument("--counts", nargs="+", type=int, default=COUNTS, help="from 1")
    parser.add_argument("--as_worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.as_worker:
        as_worker(args)
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Its workers end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    timing.print_setting(args)
    # First: they start before this process has TensorFlow's threads.
    if "workers" in args.parts:
        workers(args)
    if "devices" in args.parts:
        logical_devices(args)


if __name__ == "__main__":
    main()
