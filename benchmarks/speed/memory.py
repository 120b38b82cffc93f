"""Largest batch of an IGAM step that fits in a limit of host memory.

    python -m benchmarks.speed.memory --depth=32 --width=10 --limit_gib=20 \\
        --micro_batch=8

Each batch is one step, and a discriminator step, in a process of its own, whose
resident memory is watched from outside (and which is stopped above the limit); batches
double until one does not fit, then the gap is halved. `recompute.py` looks at gradient
checkpointing.
"""

import os
import subprocess
import sys
import time

from benchmarks.speed import timing

GIB = 2**30
POLL_SECONDS = 0.05


def one_step(args):
    """What a child process does; batches and networks are made as in `step_time`."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from benchmarks.speed import networks

    method = networks.METHODS[args.method](args, micro_batch=args.micro_batch)
    networks.compiled(method)
    networks.steps(method, networks.constant_batches(args), count=1)()


def peak_memory(pid):
    """Largest resident memory of a process so far, in bytes; 0 when it has ended."""
    try:
        with open(f"/proc/{pid}/status") as lines:
            for line in lines:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def try_batch(args, batch_size, micro_batch):
    """Peak memory of a step in bytes, its seconds, and how it ended.

    Raises:
        RuntimeError: if the process failed for another reason than memory.
    """
    command = [sys.executable, "-m", "benchmarks.speed.memory", "--child"]
    options = {"depth": args.depth, "width": args.width, "batch_size": batch_size}
    options |= {"method": args.method, "micro_batch": micro_batch}
    command += [f"--{k}={v}" for k, v in options.items() if v is not None]
    child = subprocess.Popen(command, cwd=timing.REPOSITORY, stderr=subprocess.PIPE)
    start, peak, limit = time.perf_counter(), 0, args.limit_gib * GIB
    while child.poll() is None:
        peak = max(peak, peak_memory(child.pid))
        if peak > limit:
            child.kill()
        time.sleep(POLL_SECONDS)
    message = child.stderr.read().decode()
    fits = child.returncode == 0 and peak <= limit
    # 9: killed, by us or by a system that is out of memory itself.
    if child.returncode not in (0, -9) and "OOM" not in message:
        raise RuntimeError(f"batch {batch_size}: {message[-2000:]}")
    return peak, time.perf_counter() - start, fits


def largest(args, micro_batch):
    """The largest batch that fits; all that was tried is printed.

    With a micro-batch the search ends at `--max_batch`: memory hardly grows.
    """
    rows, low, high = [], 0, None
    size = min(args.batch_size, args.max_batch)
    while True:
        peak, seconds, fits = try_batch(args, size, micro_batch)
        shown = "fits" if fits else "does not fit"
        rows.append([size, f"{peak / GIB:.2f}", f"{seconds:.0f}", shown])
        print(
            f"batch {size}: {peak / GIB:.2f} GiB, {shown}", file=sys.stderr, flush=True
        )
        low, high = (max(low, size), high) if fits else (low, size)
        if low >= args.max_batch or (high and high - low <= max(1, high // 16)):
            break
        size = min(2 * low, args.max_batch) if high is None else (low + high) // 2
        if size == 0:
            break
    timing.print_table(["batch", "peak GiB", "process s", ""], sorted(rows))
    return low


def main(arguments=None):
    parser = timing.parser(__doc__, depth=32, width=10, batch_size=8)
    parser.add_argument("--limit_gib", type=float, default=20.0)
    parser.add_argument("--micro_batch", type=int, help="adds the search with it")
    parser.add_argument("--max_batch", type=int, default=1024)
    parser.add_argument("--method", choices=("plain", "IGAM", "PGD-7"), default="IGAM")
    parser.add_argument("--child", action="store_true", help="take one step, and end")
    args = parser.parse_args(arguments)
    if args.child:
        return one_step(args)
    timing.print_setting(args)
    sizes = {"whole batch at once": None}
    if args.micro_batch:
        sizes[f"{args.micro_batch} images at once"] = args.micro_batch
    found = {name: largest(args, micro_batch) for name, micro_batch in sizes.items()}
    header = [f"{args.method}, {args.limit_gib:g} GiB", "largest batch"]
    timing.print_table(header, found.items())


if __name__ == "__main__":
    main()
