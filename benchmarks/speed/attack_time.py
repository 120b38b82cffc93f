"""PGD-20 on 512 images: ours, Foolbox, ART and torchattacks on the same weights.

    python -m benchmarks.speed.attack_time --depth=8 --width=1 --batch_size=256 \\
        --eval_python=PYTHON --torch_python=PYTHON

`--eval_python` has tensorflow, foolbox and adversarial-robustness-toolbox;
`--torch_python` has keras, torch and torchattacks. Each library is a process of its own
that attacks on request, so that all alternate in one series. Nobody starts at random,
and what stands must be equal to half a point. "Foolbox, tf.function" is Foolbox on a
model compiled by hand; its documentation passes the model as it is.

Without `--model` and `--data_dir` the network is drawn at random, the images are noise
and the labels the network's own answers; eps is chosen so that about half stand.
"""

import contextlib
import os
import pathlib
import tempfile

from benchmarks.speed import timing, workers

NUM_STEPS = 20
NAMES = {
    "foolbox": "Foolbox",
    "foolbox_graph": "Foolbox, tf.function",
    "art": "ART",
    "torchattacks": "torchattacks",
}


def make_model(args):
    """The network: loaded, or drawn with moving statistics of its own."""
    import keras

    from benchmarks.speed import networks

    if args.model:
        return keras.saving.load_model(args.model, compile=False)
    model = networks.network(args)
    for seed in range(20):
        model(networks.random_batch(args, seed)[0][:64], training=True)
    return model


def make_data(args, model):
    """Images and labels: CIFAR-10's test images, or noise with the model's answers."""
    import numpy as np

    count = args.num_images
    if args.data_dir:
        from igam_tf import data

        split = data.read("cifar10", args.data_dir, test_examples=count).test
        images = np.asarray(split.images[:count], "float32") / 255
    else:
        images = np.random.default_rng(1).random((count, 32, 32, 3)).astype("float32")
    if args.model and args.data_dir:
        return images, np.asarray(split.labels[:count], "int32")
    return images, answers(model, images, args.batch_size)


def answers(model, images, batch_size):
    logits = model.predict(images, batch_size=batch_size, verbose=0)
    return logits.argmax(axis=1).astype("int32")


def choose_eps(model, images, labels, batch_size):
    """An eps under which about half of some images stand PGD-5."""
    low, high = 0.0, 0.1
    images, labels = images[:64], labels[:64]
    for _ in range(8):
        eps = (low + high) / 2
        found = ours(model, images, labels, batch_size, eps, eps / 4, 5)
        standing = (answers(model, found, batch_size) == labels).mean()
        low, high = (eps, high) if standing > 0.5 else (low, eps)
    return eps


def ours(model, images, labels, batch_size, eps, step_size, num_steps):
    import numpy as np

    from igam_tf import attacks

    attack = attacks.pgd(
        eps=eps, step_size=step_size, num_steps=num_steps, random_start=False
    )
    batches = range(0, len(images), batch_size)
    found = [
        attack(model, images[i : i + batch_size], labels[i : i + batch_size])
        for i in batches
    ]
    return np.concatenate(found)


def start(stack, args, paths, sizes):
    """Workers of the libraries that are there, by name."""
    started = {}
    for library in args.libraries:
        python = args.torch_python if library == "torchattacks" else args.eval_python
        if not python:
            print(f"{NAMES[library]}: no interpreter given, left out\n")
            continue
        command = [python, "-m", "benchmarks.speed.attack_worker", library]
        worker = stack.enter_context(workers.Worker(command))
        model_path, data_path = (str(paths[k]) for k in ("model", "data"))
        worker.ask("prepare", model_path=model_path, data_path=data_path)
        if library == "torchattacks":
            few = {
                "num_images": 64,
                "batch_size": 64,
                "out": str(paths["out"]),
                **sizes,
            }
            workers.choose_threads(worker, "run", **few)
        started[NAMES[library]] = worker
    return started


def main(arguments=None):
    parser = timing.parser(__doc__, batch_size=256)
    parser.add_argument("--eval_python", default="")
    parser.add_argument("--torch_python", default="")
    parser.add_argument("--libraries", nargs="*", choices=NAMES, default=list(NAMES))
    parser.add_argument("--num_images", type=int, default=512)
    parser.add_argument("--model", help=".keras file for CIFAR-10")
    parser.add_argument("--data_dir", help="TFDS folder with cifar10")
    parser.add_argument("--eps", type=float, help="8/255 with --model; else chosen")
    args = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np

    timing.print_setting(args)
    model = make_model(args)
    images, labels = make_data(args, model)
    eps = args.eps or (8 / 255 if args.model else None)
    eps = eps or choose_eps(model, images, labels, args.batch_size)
    sizes = {"eps": eps, "step_size": eps / 4, "num_steps": NUM_STEPS}
    results = {}

    def run_ours():
        results["ours"] = ours(model, images, labels, args.batch_size, **sizes)

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        names = {"model": "model.keras", "data": "data.npz", "out": "few.npy"}
        paths = {k: pathlib.Path(folder) / v for k, v in names.items()}
        model.save(paths["model"])
        np.savez(paths["data"], images=images, labels=labels)
        started = start(stack, args, paths, sizes)
        cases = {"ours": run_ours}
        for name, worker in started.items():
            out = str(pathlib.Path(folder) / f"{len(cases)}.npy")
            asked = {"batch_size": args.batch_size, "out": out, **sizes}
            cases[name] = lambda w=worker, asked=asked: w.time("run", **asked)
            results[name] = out
        series = timing.alternate(cases, args.rounds)
        print_results(series, results, model, labels, eps, args.batch_size)


def print_results(series, results, model, labels, eps, batch_size):
    import numpy as np

    rows = []
    for name, found in results.items():
        found = np.load(found) if isinstance(found, str) else found
        standing = answers(model, found, batch_size) == labels
        rows.append([name, f"{100 * standing.mean():.2f}"])
    print(f"eps {eps:.5f}")
    timing.print_table(["PGD-20", "% standing"], rows)
    others = [name for name in series if name != "ours"]
    fastest = min(others, key=lambda n: series[n].median()) if others else "ours"
    timing.print_series(series, fastest)


if __name__ == "__main__":
    main()
