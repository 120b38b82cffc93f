"""How fast streamed images are decoded, and what that adds to a training step.

    python -m benchmarks.speed.streaming --data=FOLDER --image_size=96 --batch_size=32

FOLDER has one sub-folder a class, as `run.py --target` takes it. First one core alone
reads, decodes and crops images (random resized crop); then plain and GradNorm training
of a pre-activation ResNet step on streamed batches and on one constant batch, in turn,
each pair with the same compiled network. The bar is within 5 %. Every call has an
iterator of its own: none decodes ahead while another case steps.
"""

import os
import time

from benchmarks.speed import timing


def read(args):
    """The folder, streamed, and its augmentation."""
    from igam_tf import data
    from igam_tf.data import registry

    options = {"image_size": args.image_size, "stream": True}
    info = registry.find(args.data, **options)
    return data.read(args.data, progress=False, **options), info.augmentation


def decoding_rate(split, augmentation, count):
    """Images that one core reads, decodes and crops in a second of its time."""
    import numpy as np
    import tensorflow as tf

    from igam_tf.data.augmenting import resized_crops
    from igam_tf.data.own import pictures

    places = np.random.default_rng(0).permutation(len(split))[:count].tolist()
    files = [split.images.source.read(place)[0] for place in places]  # cached by now
    sizes = [pictures.header(file)[:2] for file in files]
    seed = tf.constant([0, 1])
    boxes = resized_crops(tf.constant(sizes), seed, augmentation.resized_crop)
    start = time.process_time()
    for place, box in zip(places, boxes.numpy().tolist(), strict=True):
        file, _ = split.images.source.read(place)
        pictures.header(file)
        pictures.cropped(file, split.images.image_shape, box=tuple(box))
    return len(places) / (time.process_time() - start)


def methods(args, num_classes):
    """Compiled methods by name."""
    from benchmarks.speed import networks
    from igam_tf import models, training

    shape = (args.image_size, args.image_size, 3)
    for name, kind in (
        ("plain", training.StandardTraining),
        ("GradNorm", training.GradNorm),
    ):
        student = models.preact_resnet(
            depth=args.depth, width=args.width, num_classes=num_classes,
            image_shape=shape,
        )  # fmt: skip
        yield name, networks.compiled(kind(student))


def steps(method, batches, count):
    """A function that takes some steps on the first batches of a data set."""
    from benchmarks.speed import networks

    return lambda: networks.steps(method, batches, count)()


def main(arguments=None):
    """Prints the rate, and a table of ratios."""
    parser = timing.parser(__doc__, depth=18, width=16)
    parser.add_argument("--data", required=True)
    parser.add_argument("--image_size", type=int, default=96)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from igam_tf import data

    timing.print_setting(args)
    task, augmentation = read(args)
    rate = decoding_rate(task.train, augmentation, args.images)
    print(
        f"{augmentation}: one core reads, decodes and crops {rate:.0f} images a "
        f"second to {args.image_size}x{args.image_size}.\n"
    )
    batches = data.training_batches(
        task.train, args.batch_size, augmentation=augmentation, seed=0
    )
    constant = batches.take(1).cache().repeat()
    cases, names = {}, []
    for name, method in methods(args, task.num_classes):
        names.append(name)
        cases[f"{name}, constant"] = steps(method, constant, args.steps)
        cases[f"{name}, streamed"] = steps(method, batches, args.steps)
    series = timing.alternate(cases, args.rounds, per=args.steps)
    timing.print_series(series)
    rows = []
    for name in names:
        real, fixed = series[f"{name}, streamed"], series[f"{name}, constant"]
        rows.append([name, *(f"{real.ratio(fixed, c):.3f}" for c in ("wall", "cpu"))])
    timing.print_table(["streamed / constant", "wall", "CPU"], rows)


if __name__ == "__main__":
    main()
