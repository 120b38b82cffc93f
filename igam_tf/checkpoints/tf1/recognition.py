"""Recognizing the networks of a TF1 checkpoint by names and shapes of its variables."""

import dataclasses
import math
import re

from igam_tf.checkpoints.tf1 import names
from igam_tf.checkpoints.tf1.bundle import Bundle
from igam_tf.checkpoints.tf1.parts import Part
from igam_tf.checkpoints.values import FLOATS

_SLOT = re.compile(r"/(Momentum|Adam(_\d+)?)$")
_BOOKKEEPING = re.compile(r"^(global_step|beta[12]_power(_\d+)?)$")
_TINY_IMAGENET_CLASSES = 200

Shapes = dict[str, tuple[int, ...]]


def find_parts(bundle: Bundle) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """The networks that a checkpoint holds, by its index alone.

    Args:
        bundle: the opened checkpoint.

    Returns:
        Tuple (the networks, sorted names of the variables that belong to none of them;
        optimizer slots and counters are left out).
    """
    shapes = {
        name: entry.shape
        for name, entry in bundle.entries.items()
        if not is_slot(name) and not _BOOKKEEPING.match(name)
    }
    parts: list[Part] = []
    owned: set[str] = set()
    for find in (_wide_teacher, _mnist, _student, _discriminator):
        part = find(shapes)
        if part is not None:
            parts.append(part)
            for head, _ in part.heads:
                owned.update(row.name for row in part.rows(head))
    return tuple(parts), tuple(sorted(set(shapes) - owned))


def without_a_place(bundle: Bundle, part: Part) -> list[str]:
    """Weights in the scope of a network that its architecture has no place for.

    What optimizers and averages keep of a weight, under its name, is none; nor are
    single numbers.

    Args:
        bundle: the opened checkpoint.
        part: one of `find_parts`.

    Returns:
        Sorted names.
    """
    owned = {row.name for head, _ in part.heads for row in part.rows(head)}
    scope = _scope(part)
    return sorted(
        name
        for name, entry in bundle.entries.items()
        if scope.match(name)
        and name not in owned
        and entry.dtype in FLOATS
        and entry.shape
        and not any(name.startswith(f"{weight}/") for weight in owned)
    )


def _scope(part):
    if part.kind == "madry_mnist":
        return re.compile(r"Variable(_\d+)?$")
    if part.kind == "igam_discriminator":
        return re.compile(names.DISCRIMINATOR_SCOPE)
    return _wide_scope(names.STUDENT_SCOPE if part.name == "student" else "")


def _wide_scope(scope):
    """What the names of a Wide-ResNet under a scope begin with."""
    return re.compile(
        rf"{scope}(input|logit|{names.TARGET_HEAD}|unit_last|unit_\d+_\d+)/"
    )


def is_slot(name: str) -> bool:
    """Whether a variable is the slot of an optimizer."""
    return _SLOT.search(name) is not None


def _wide_teacher(shapes: Shapes) -> Part | None:
    sizes = _wide_sizes(shapes, "")
    if sizes is None:
        return None
    heads = tuple(
        (head, _shape(shapes, f"{name}/DW", 2)[-1])
        for head, name in (("source", "logit"), ("target", names.TARGET_HEAD))
        if f"{name}/DW" in shapes
    )
    finetuned = "target" in dict(heads)
    part = Part(
        name="teacher",
        kind="igam_finetuned_teacher" if finetuned else "madry_cifar",
        # Without any, the one that is reported as missing.
        heads=heads or (("source", 0),),
        normalization="standardize",
        **sizes,
    )
    return _for_tiny_imagenet(part)


def _student(shapes: Shapes) -> Part | None:
    sizes = _wide_sizes(shapes, names.STUDENT_SCOPE)
    if sizes is None:
        return None
    part = Part(
        name="student",
        kind="igam_student",
        heads=(("source", _shape(shapes, "classifier/logit/DW", 2)[-1]),),
        normalization="zero_mean_unit_norm",
        **sizes,
    )
    return _for_tiny_imagenet(part)


def _for_tiny_imagenet(part: Part) -> Part:
    """The 64x64 input of nets with 200 classes, and how their teacher sees it."""
    if dict(part.heads).get("source") != _TINY_IMAGENET_CLASSES:
        return part
    part = dataclasses.replace(part, image_shape=(64, 64, part.image_shape[-1]))
    if part.name == "student":
        return part
    finetuned = part.kind == "igam_finetuned_teacher"
    return dataclasses.replace(
        part,
        kind=part.kind if finetuned else "tiny_imagenet_teacher",
        normalization="unit_norm" if finetuned else "zero_mean_unit_norm",
        note="the authors trained it on images without their mean "
        "(zero_mean_unit_norm), and finetuned and used it with the mean (unit_norm)",
    )


def _wide_sizes(shapes, scope):
    """Depth, width and input of the Wide-ResNet under a scope, or None."""
    own = _wide_scope(scope)
    shapes = {name: shape for name, shape in shapes.items() if own.match(name)}
    stem = f"{scope}input/init_conv/DW"
    convs = {
        match.groups(): shape[-1]
        for name, shape in shapes.items()
        if (match := re.search(r"unit_(\d+)_(\d+)/sub1/conv1/DW$", name)) and shape
    }
    if not convs and stem not in shapes:
        return None
    # The most that any stage has: what the others lack is then reported as missing.
    units = max(sum(s == stage for s, _ in convs) for stage in "123")
    return {
        "depth": 6 * max(units, 1) + 2,
        "width": max(convs.get(("1", "0"), 16) // 16, 1),
        "image_shape": (32, 32, max(_shape(shapes, stem, 4)[2], 1)),
        "moving_statistics": any(name.endswith("/moving_mean") for name in shapes),
    }


def _mnist(shapes: Shapes) -> Part | None:
    if len(shapes.get("Variable", ())) != 4:
        return None
    num_convs = _num_convolutions(shapes)
    kernels = [_kernel(shapes, number, 4) for number in range(num_convs)]
    hidden = _kernel(shapes, num_convs, 2)
    logit = _kernel(shapes, num_convs + 1, 2)
    pixels = hidden[0] // max(kernels[-1][-1], 1)
    side = 2**num_convs * round(math.sqrt(pixels))
    return Part(
        name="teacher",
        kind="madry_mnist",
        image_shape=(side or 28, side or 28, max(kernels[0][2], 1)),
        heads=(("source", logit[1]),),
        channels=tuple(kernel[-1] for kernel in kernels),
        hidden_units=hidden[1],
    )


def _num_convolutions(shapes):
    """How many lie before two dense layers; as in the original where it is unclear."""
    kinds = [len(shapes.get(names.numbered("Variable", 2 * i), ())) for i in range(12)]
    count = next((i for i, rank in enumerate(kinds) if rank != 4), 0)
    return count if kinds[count : count + 3] == [2, 2, 0] else 2


def _kernel(shapes, number, rank):
    """The kernel of a layer of the MNIST net, each of which has a bias after it."""
    return _shape(shapes, names.numbered("Variable", 2 * number), rank)


def _discriminator(shapes: Shapes) -> Part | None:
    layers = {
        int(match.group(2)): (match.group(1), shape)
        for name, shape in shapes.items()
        if (match := re.fullmatch(r"discriminator/(conv|fc)(\d{1,2})/DW", name))
    }
    if not layers:
        return None
    dense = any(kind == "fc" for kind, _ in layers.values())
    kernels = [layers[i][1] for i in sorted(layers)]
    channels = tuple(max(kernel[-1:], default=0) for kernel in kernels)
    first = _shape(shapes, "discriminator/conv0/DW", 4)
    inputs = _shape(shapes, "discriminator/fc0/DW", 2)[0]
    # Of squares, no number of pixels in colour is one in grey.
    is_grey = inputs > 0 and math.isqrt(inputs) ** 2 == inputs
    image_shape = names.seen_shape(
        channels,
        dense,
        inputs=inputs,
        logit_inputs=_shape(shapes, "discriminator/logit/DW", 2)[0],
        num_channels=(1 if is_grey else 3) if dense else first[2],
    )
    return Part(
        name="discriminator",
        kind="igam_discriminator",
        image_shape=image_shape,
        heads=(("source", 2),),
        normalization="zero_mean_unit_norm",
        channels=channels,
        dense=dense,
    )


def _shape(shapes, name, rank):
    """The shape of a variable, or zeros if it is missing or of another rank."""
    shape = shapes.get(name, ())
    return shape if len(shape) == rank else (0,) * rank
