"""Step time with real input over step time with one constant batch, side by side.

    python -m benchmarks.speed.input_pipeline --data_dir=DIR --depth=14 --width=4

DIR holds TFDS-prepared CIFAR-10. Its training images are shuffled and augmented as the
recipes do (padding, crop, flip, and the noise of CIFAR-10 -> CIFAR-100). Both cases of
a method step the same compiled network, in turn; the bar is within 3 %.
"""

import dataclasses
import os

from benchmarks.speed import timing


def real_batches(args):
    from igam_tf import data

    task = data.read(args.dataset, args.data_dir, download=False, progress=False)
    info = data.DATASETS[args.dataset]
    augmentation = dataclasses.replace(info.augmentation, noise=args.image_noise)
    batches = data.training_batches(
        task.train, args.batch_size, augmentation=augmentation, seed=0
    )
    return batches, augmentation


def only_input(batches, count):
    """A function that draws batches and does nothing with them."""
    iterator = iter(batches)

    def run():
        for _ in range(count):
            next(iterator)[0].numpy()

    return run


def main(arguments=None):
    parser = timing.parser(__doc__)
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--image_noise", type=float, default=8 / 255)
    args = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from benchmarks.speed import networks

    timing.print_setting(args)
    batches, augmentation = real_batches(args)
    print(f"{augmentation}\n")
    cases, constant = {}, networks.constant_batches(args)
    for name in ("plain", "IGAM"):
        method = networks.compiled(networks.METHODS[name](args))
        cases[f"{name}, constant"] = networks.steps(method, constant)
        cases[f"{name}, real"] = networks.steps(method, batches)
    cases["input alone"] = only_input(batches, networks.CYCLE)
    series = timing.alternate(cases, args.rounds, per=networks.CYCLE)
    timing.print_series(series)
    rows = []
    for name in ("plain", "IGAM"):
        real, fixed = series[f"{name}, real"], series[f"{name}, constant"]
        rows.append([name, *(f"{real.ratio(fixed, c):.3f}" for c in ("wall", "cpu"))])
    timing.print_table(["real / constant", "wall", "CPU"], rows)


if __name__ == "__main__":
    main()
