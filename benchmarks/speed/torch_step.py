"""Our IGAM step against the same step in PyTorch, eager and compiled.

    python -m benchmarks.speed.torch_step --torch_python=PYTHON --depth=14 --width=4

PYTHON is an interpreter that has torch and NumPy. Each PyTorch case is a process of its
own, `torch_worker.py`, that steps on request, so that all cases alternate in one
series; the losses from equal weights are compared first. Both memory formats are timed,
eager with the faster number of threads, and the bar holds against the fastest.
"compiled" is the step traced with its derivatives and then compiled, since
`torch.compile` on the step itself fails, as is printed. Compiling takes minutes a case:
`--cases "eager, NCHW" "eager, channels last"` leaves it out.
"""

import contextlib
import pathlib
import tempfile

from benchmarks.speed import timing, workers

CASES = {
    "eager, NCHW": ("contiguous_format", "eager"),
    "eager, channels last": ("channels_last", "eager"),
    "compiled, NCHW": ("contiguous_format", "traced"),
    "compiled, channels last": ("channels_last", "traced"),
    "torch.compile on the step": ("channels_last", "compile"),
}
LOSSES = 3


def write_weights(path, method, images, labels):
    """The three networks and the batch, for the other process."""
    import numpy as np

    from benchmarks.speed import networks

    arrays = {"images": images, "labels": labels}
    for part in ("student", "teacher", "discriminator"):
        for name, value in networks.weights(getattr(method, part)).items():
            arrays[f"{part}/{name}"] = value
    np.savez(path, **arrays)


def ours(args, path):
    """Our case, and the losses of its first steps."""
    from benchmarks.speed import networks, tf1_step

    method = networks.compiled(networks.igam(args))
    write_weights(path, method, *networks.random_batch(args))
    batches = networks.constant_batches(args)
    one_step, losses = networks.steps(method, batches, count=1), []
    for _ in range(LOSSES):
        method.reset_metrics()
        losses.append(one_step())
    return networks.steps(method, batches), losses, tf1_step.settings_of(networks)


def start(stack, args, path, settings, rows, losses):
    """Workers that can take a step, by name; `rows` gets what each of them said."""
    started = {}
    for name in args.cases:
        layout, mode = CASES[name]
        command = [args.torch_python, "-m", "benchmarks.speed.torch_worker"]
        worker = stack.enter_context(workers.Worker(command))
        asked = {"layout": layout, "mode": mode}
        version = worker.ask("prepare", path=str(path), settings=settings, **asked)
        try:
            answer = worker.ask("run", steps=LOSSES, every=5)
        except RuntimeError as error:
            print(f"{name} (torch {version['torch']}) cannot run:\n    {error}\n")
            continue
        pairs = zip(answer["losses"], losses, strict=True)
        # Compiled code has its number of threads built in: all of them.
        threads = "all"
        if mode == "eager":
            threads = workers.choose_threads(worker, "run", steps=1, every=5)
        differences = [f"{abs(theirs / own - 1):.1e}" for theirs, own in pairs]
        rows.append([name, threads, f"{answer['losses'][0]:.6f}", *differences])
        started[f"PyTorch {name}"] = worker
    return started


def main(arguments=None):
    parser = timing.parser(__doc__)
    parser.add_argument("--torch_python", default="python")
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    args = parser.parse_args(arguments)
    timing.print_setting(args)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path = pathlib.Path(folder) / "weights.npz"
        run, losses, settings = ours(args, path)
        rows = [["ours", "-", f"{losses[0]:.6f}", *["0"] * LOSSES]]
        started = start(stack, args, path, settings, rows, losses)
        differences = [f"relative difference, step {i}" for i in range(LOSSES)]
        timing.print_table(["", "threads", "loss", *differences], rows)
        cases = {"ours": run}
        for name, worker in started.items():
            cases[name] = lambda worker=worker: worker.time("run", steps=5, every=5)
        series = timing.alternate(cases, args.rounds, per=5)
    if not started:
        raise SystemExit("No PyTorch case could run; --torch_python needs torch.")
    fastest = min(started, key=lambda name: series[name].median())
    timing.print_series(series, fastest)


if __name__ == "__main__":
    main()
