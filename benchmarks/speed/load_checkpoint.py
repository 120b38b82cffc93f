"""Loading the wide CIFAR checkpoint against reading and assigning its bytes.

    python -m benchmarks.speed.load_checkpoint

Writes MadryLab's wide net (WRN-32-10, 45.9 million parameters, 184 MB) with random
weights as a TF1 checkpoint, and prints, as JSON, medians of seconds:

- `read_and_assign`: the data file's bytes, assigned to a model that exists;
- `load_weights`: the loader, into a model that exists (it also parses the index,
  verifies checksums and looks for NaN);
- `load_madry`: the loader, which builds the model too;
- `build`: `wide_resnet` alone, kernels drawn at random; `build_layers`: the same layers
  at width 1, where drawing costs next to nothing: what Keras takes, which nothing that
  returns a Keras model can save;

ratios (the bar is 1.5), and the peak memory over the size of the file (the bar is 3).
The measured take turns, so that a busy machine slows all of them, and dead models are
collected in between: Keras models are cyclic garbage, and a process that piles them up
pays for ever new pages. `first_load_madry_seconds` is one call in a fresh process.
"""

import argparse
import gc
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

CHILD = "--child"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--width", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="load_checkpoint_") as folder:
        results = {}
        for what in ("write", "times", "peak"):
            results |= _in_child(what, folder, options)
    results["peak_over_file"] = round(
        results["peak_mebibytes"] / results["file_mebibytes"], 2
    )
    print(json.dumps(results, indent=1))


def _in_child(what, folder, options):
    """Runs one of the functions below in a fresh process."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.speed.load_checkpoint",
        CHILD,
        what,
        folder,
    ]
    command += [str(options.repeats), str(options.width)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def write(folder, repeats, width):
    from igam_tf import checkpoints

    del repeats
    checkpoints.save_tf1(_build(width), folder)
    size = _data_file(folder).stat().st_size
    return {"file_mebibytes": round(size / 2**20, 1)}


def times(folder, repeats, width):
    from igam_tf import checkpoints

    model = _build(width)
    measured = {
        "read_and_assign": lambda: _read_and_assign(model, folder),
        "load_weights": lambda: checkpoints.load_weights(model, folder),
        "load_madry": lambda: checkpoints.load_madry(folder),
        "build": lambda: _build(width),
        "build_layers": lambda: _build(1),
    }
    seconds = {name: [] for name in measured}
    # The first round pays for what TensorFlow does once per process.
    for repeat in range(repeats + 1):
        for name, run in measured.items():
            gc.collect()
            start = time.perf_counter()
            run()
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    least = medians["read_and_assign"]
    ratios = {
        "load_weights_over_read_and_assign": medians["load_weights"] / least,
        "load_madry_over_read_and_assign": medians["load_madry"] / least,
        "load_madry_over_build_layers_read_and_assign": (
            medians["load_madry"] / (medians["build_layers"] + least)
        ),
    }
    return {f"{name}_seconds": round(value, 3) for name, value in medians.items()} | {
        name: round(ratio, 2) for name, ratio in ratios.items()
    }


def peak(folder, repeats, width):
    """Peak resident memory of `load_madry` over that of the process before it."""
    from igam_tf import checkpoints

    del repeats, width
    _build(1)  # What TensorFlow allocates once is not the loader's.
    before = _status("VmRSS")
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # Resets VmHWM.
    start = time.perf_counter()
    model = checkpoints.load_madry(folder)
    seconds = time.perf_counter() - start
    return {
        "first_load_madry_seconds": round(seconds, 3),
        "peak_mebibytes": round(_status("VmHWM") - before, 1),
        "parameters": model.count_params(),
    }


def _build(width):
    from igam_tf.models import wide_resnet

    return wide_resnet(depth=32, width=width, normalization="standardize")


def _read_and_assign(model, folder):
    """The least that loading can be: no index, no checksums, any order."""
    import numpy as np

    # Weight by weight: one buffer for the whole file takes five times as long, because
    # its pages are new to the process.
    with open(_data_file(folder), "rb") as file:
        for weight in model.weights:
            value = np.fromfile(file, np.float32, int(np.prod(weight.shape)))
            weight.assign(value.reshape(weight.shape))


def _data_file(folder):
    return next(pathlib.Path(folder).glob("*.data-*"))


def _status(field):
    """A field of /proc/self/status in MiB (Linux)."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/self/status has no {field}; this benchmark needs Linux.")


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        run = {"write": write, "times": times, "peak": peak}[sys.argv[2]]
        print(json.dumps(run(sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))))
    else:
        main()
