"""The command `igam-tf evaluate`; imports TensorFlow only after parsing."""

import pathlib
import sys
from collections.abc import Sequence

from igam_tf import files
from igam_tf.cli import argument_types, commands, compare, importing, own_data
from igam_tf.data import registry
from igam_tf.evaluation.corruptions.names import Corruptions

_DESCRIPTION = """\
Evaluates a Keras classifier on the test images of a data set, clean and under attack,
and looks for signs of gradient masking. Prints a table, and writes everything measured
as JSON. A killed evaluation goes on where it was when the same command is run again.
With --compare, two such files are compared image by image (--compare --help).
"""
_EXAMPLE = """\
examples:
  igam-tf evaluate model.keras --dataset=cifar10 \\
      --attacks=clean,pgd20x5,autoattack --data_dir=DIR
  igam-tf evaluate mobilenet.keras --dataset=cifar10 \\
      --input_range=0,255 --outputs=probabilities
  igam-tf evaluate --compare first.results.json second.results.json
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one evaluation.

    Args:
        arguments: list of strings, or None for `sys.argv`.

    Returns:
        int: exit status, 0 or 1.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if compare.is_asked_for(arguments):
        return compare.main(arguments)
    # First of all: it may register the data set that the parser looks for.
    if own := importing.named(arguments):
        status = commands.run(
            lambda: importing.import_files(own), interrupted="nothing was done"
        )
        if status:
            return status
    options = _parser().parse_args(arguments)
    return commands.run(
        lambda: _run(options), interrupted="the same command goes on from here"
    )


def _parser():
    parser = commands.Parser(
        prog="igam-tf evaluate",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
    )
    add = parser.add_argument
    add("model", help=".keras or .h5 file, folder of a SavedModel, or TensorFlow 1 "
        "checkpoint of MadryLab's networks; from images in [0, 1] to logits, unless "
        "said otherwise")  # fmt: skip
    add("--dataset", required=True, type=argument_types.dataset, metavar="NAME",
        help=", ".join(sorted(registry.DATASETS)) + "; or your own images: a folder "
        "with one sub-folder a class, .npz, images.npy,labels.npy, .csv, .parquet; or "
        "tfds:NAME")  # fmt: skip
    own_data.add_arguments(parser)
    _add_model_arguments(add)
    add("--data_dir", help="folder of prepared data; TFDS' own if left out")
    add("--nodownload", dest="download", action="store_false",
        help="never download data")  # fmt: skip
    _add_attack_arguments(add)
    add("--nopanel", dest="panel", action="store_false",
        help="leave out the gradient-masking panel")  # fmt: skip
    add("--panel_examples", default=100, type=argument_types.count_or_none,
        metavar="N", help="images that the panel looks at, 0 for no panel (default: "
        "100)")  # fmt: skip
    add("--out", metavar="FILE", type=pathlib.Path,
        help="JSON file for the results (default: MODEL.results.json)")  # fmt: skip
    return parser


def _add_attack_arguments(add):
    add("--attacks", default="clean,fgsm,pgd20", type=argument_types.attacks,
        metavar="LIST",
        help="separated by commas: clean, fgsm, pgdK or cwK with K steps, pgdKxN with "
        "N restarts, pgdK-t towards every class, autoattack, autoattack-plus, "
        "autoattack-rand, apgd-ce, apgd-dlr, apgd-t, fab, fab-t, square or squareN of "
        "N queries, spsa, fmn, fmnK, fmn-t or fmnK-t, ddn or ddnK (L2 only); any of "
        "these with a radius of its own: pgd20@4/255, autoattack@l2:0.5 (default: "
        "clean,fgsm,pgd20)")  # fmt: skip
    add("--eps", default="8/255", type=argument_types.fraction,
        help="radius of the ball in the norm, of images in [0, 1] (default: 8/255, "
        "which is one of Linf: in L2 0.5 is usual for CIFAR-10, in L1 12)")  # fmt: skip
    add("--step_size", type=argument_types.fraction,
        help="step of PGD (default: eps / 4 in linf, 2.5 eps / steps in l2 and "
        "l1)")  # fmt: skip
    add("--norm", default="linf", choices=("linf", "l2", "l1"),
        help="l1: all but spsa and ddn, with --nopanel (default: linf)")  # fmt: skip
    add("--batch_size", default=128, type=argument_types.count, metavar="N",
        help="images at once (default: 128)")  # fmt: skip
    add("--max_examples", type=argument_types.count, metavar="N",
        help="the first N test images (default: all)")  # fmt: skip
    add("--batch_norm", default="inference", choices=("inference", "batch"),
        help="batch: statistics of each batch (default: inference)")  # fmt: skip
    add("--seed", default=0, type=int,
        help="of random starts, and of corruptions made here (default: 0)")  # fmt: skip
    add("--corruptions", type=argument_types.names_list, metavar="LIST",
        help="common corruptions to evaluate on as well: all, names separated by "
        "commas (gaussian_noise, fog ...; made of the test images), or the folder of "
        "CIFAR-10-C or CIFAR-100-C")  # fmt: skip
    add("--severities", default="1,2,3,4,5", type=argument_types.severities,
        metavar="LIST", help="of the corruptions (default: 1,2,3,4,5)")  # fmt: skip
    add("--verified", action="store_true",
        help="count as well the images of which it is proved that nothing in the ball "
        "misleads, for small networks of ReLUs (CROWN)")  # fmt: skip
    add("--transfer_from", action="append", default=[], metavar="MODEL",
        help="another classifier of the data set (from images in [0, 1] to logits), "
        "whose adversarial images the panel tries; may be given several "
        "times")  # fmt: skip


def _add_model_arguments(add):
    """What the model takes and gives, where that is not images in [0, 1] and logits."""
    add("--input_range", type=argument_types.numbers, metavar="LOW,HIGH",
        help="what black and white are to MODEL, such as 0,255 or -1,1; eps stays a "
        "fraction of [0, 1] (default: 0,1)")  # fmt: skip
    add("--input_mean", type=argument_types.numbers, metavar="MEAN[,...]",
        help="what MODEL needs taken off its pixels, of each channel or of all, in the "
        "units of --input_range")  # fmt: skip
    add("--input_std", type=argument_types.numbers, metavar="STD[,...]",
        help="what the difference is divided by")  # fmt: skip
    add("--outputs", default="logits", choices=("logits", "probabilities"),
        help="probabilities: MODEL ends in a softmax, or in the sigmoid of one number, "
        "which is taken off (default: logits)")  # fmt: skip
    add("--output", metavar="NAME",
        help="which of several outputs of MODEL has the classes")  # fmt: skip
    add("--import", action="append", dest="imported", metavar="FILE.py",
        help="Python file that is run first: layers and models of your own, data sets "
        "that it registers; may be given several times")  # fmt: skip


#: Arguments of `igam_tf.checkpoints.load_classifier` that are options here.
_READS = ("input_range", "input_mean", "input_std", "outputs", "output")


def _run(options):
    # Long because every option is handed on, in one call.
    path = pathlib.Path(options.model)
    out = options.out or path.with_name(f"{path.stem}.results.json")
    _check_output(out, [path, *map(pathlib.Path, options.transfer_from)])
    _check_radii(options)
    corruptions = None
    if options.corruptions:
        corruptions = Corruptions.parse(options.corruptions, options.severities)
    own = own_data.given(options)
    info = registry.find(options.dataset, data_dir=options.data_dir, **own)
    own_data.check_classes(options.model, info)
    reads = {name: getattr(options, name) for name in _READS}
    model = _load(options.model, info, **reads)
    sources = {source: _load(source, info) for source in options.transfer_from}

    from igam_tf import data, reports
    from igam_tf.evaluation import evaluate

    task = data.read(
        options.dataset,
        options.data_dir,
        train_examples=1,
        test_examples=options.max_examples,
        download=options.download,
        **own,
    )
    written, images = {}, own_data.recorded(options)

    def save(result):
        result["robustbench"]["dataset"] = info.name
        rows = {path.stem: {"label": path.stem, "evaluation": result}}
        written.update(title=f"{path.name} on {info.name}", rows=rows)
        # With which `igam-tf report` takes the file for the same model.
        written["reads"] = {name: value for name, value in reads.items() if value}
        written["model"], written["images"] = path.name, images
        files.write_json(out, written)

    evaluate(
        model,
        data.evaluation_batches(task.test, options.batch_size),
        attacks=options.attacks,
        eps=options.eps,
        step_size=options.step_size,
        norm=options.norm,
        batch_size=options.batch_size,
        batch_norm=options.batch_norm,
        seed=options.seed,
        panel=options.panel and options.panel_examples > 0,
        panel_examples=options.panel_examples or 1,
        # All of them, where none are left out: batches do not tell how many they hold.
        max_examples=len(task.test),
        corruptions=corruptions,
        verified=options.verified,
        transfer_from=sources,
        checkpoint_dir=out.with_name(f"{out.name}.unfinished"),
        save=save,
    )
    print(f"\n{reports.format_table(written)}\nWritten to {out}", flush=True)


def _check_output(out, models):
    """The results can be written, and take the place of no model."""
    if out.is_dir():
        raise IsADirectoryError(
            f"--out={out} is a folder: expected a file in it, such as "
            f"{out / 'results.json'}."
        )
    if not out.parent.is_dir():
        raise FileNotFoundError(f"--out={out}: there is no folder {out.parent}.")
    if any(model.exists() and out.exists() and out.samefile(model) for model in models):
        raise ValueError(
            f"--out={out} is the model: expected another file, such as "
            f"{out.with_name(out.stem + '.results.json')}."
        )
    try:
        # A folder may look writable and not be (a full or a read-only disk).
        with files.replacing(out.with_name(f"{out.name}.write-test")) as temporary:
            temporary.write_text("")
        out.with_name(f"{out.name}.write-test").unlink()
    except OSError as error:
        raise OSError(
            f"--out={out}: cannot write to {out.parent} ({error.strerror}); pass a "
            "file in a folder that you may write to."
        ) from error


def _check_radii(options):
    """The settings of the attacks, before a model or data is read."""
    from igam_tf.attacks import checks, parse

    with_step = {} if options.step_size is None else {"step_size": options.step_size}
    checks.radius("--eps", options.eps, options.norm)
    if options.norm != "linf" and options.eps == argument_types.fraction("8/255"):
        print(
            f"Warning: --norm={options.norm} with --eps=8/255, a radius of Linf: next "
            "to nothing moves in that ball; pass --eps, such as 0.5 in L2 or 12 in L1."
        )
    for name, step in with_step.items():
        checks.step(f"--{name}", step, options.norm, options.eps)
    checks.seed(options.seed)
    for name in options.attacks:
        parse(name, eps=options.eps, norm=options.norm, seed=options.seed, **with_step)


def _load(path, info, **options):
    """A classifier of the data set; a ValueError if it is not one."""
    from igam_tf import checkpoints, models

    model = checkpoints.load_classifier(
        path, image_shape=info.image_shape, say=print, **options
    )
    model = models.in_float32(model)
    shape = tuple(model.input_shape[1:])
    # None stands for any size.
    fits = len(shape) == len(info.image_shape) and all(
        have in (None, want) for have, want in zip(shape, info.image_shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"{path} takes images of shape {shape}, and {info.name} has "
            f"{tuple(info.image_shape)}: expected a classifier of {info.name}"
            f"{_size_flag(shape, info)}."
        )
    outputs = model.output_shape
    classes = outputs[-1] if isinstance(outputs, tuple) else outputs
    if classes != info.num_classes:
        raise ValueError(
            f"{path} returns {classes} classes, and {info.name} has "
            f"{info.num_classes}: expected a classifier of {info.name}."
        )
    return model


def _size_flag(shape, info):
    """The flag that brings images of one's own to the size of a model, or nothing."""
    from igam_tf.data import registry

    if info.name in registry.DATASETS or None in shape or len(shape) != 3:
        return ""
    if shape[2] != info.image_shape[2]:
        return ""
    return f" (--image_size={shape[0]}x{shape[1]} brings a folder's images to its size)"
