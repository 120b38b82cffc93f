"""Names and shapes of the TF1 variables, and the Keras weights they belong to.

One table per network, made from a few sizes and without building the network, so that
a checkpoint is compared with it before any memory is spent. Names: MadryLab's
`cifar10_challenge` and `mnist_challenge`, and the authors' `train_igam.py`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import keras

from igam_tf.checkpoints.errors import CheckpointError

STATISTICS = ("moving_mean", "moving_variance")
STUDENT_SCOPE = "classifier/"
DISCRIMINATOR_SCOPE = "discriminator/"
TARGET_HEAD = "target_task_logit"
PARTS = ("teacher", "student", "discriminator")
_NORM = ("beta", "gamma", *STATISTICS)
_STEM_FILTERS = 16


class Row(NamedTuple):
    """A TF1 variable and the weight of a Keras layer that it corresponds to."""

    name: str
    layer: str
    weight: str
    shape: tuple[int, ...]

    @property
    def trainable(self) -> bool:
        return self.weight not in STATISTICS


def wide_resnet_rows(
    *,
    depth: int,
    width: int,
    num_classes: int,
    num_channels: int = 3,
    scope: str = "",
    head: str = "logit",
) -> list[Row]:
    """Variables of MadryLab's CIFAR net, in the order in which its graph makes them.

    Args:
        depth: 6 n + 2 for n residual units in each stage.
        width: k for 16 k, 32 k and 64 k filters.
        num_classes: number of logits of `head`.
        num_channels: channels of the images.
        scope: "" for teachers, `STUDENT_SCOPE` for IGAM's students.
        head: "logit", or `TARGET_HEAD` for the head of a finetuned teacher.

    Returns:
        list of Row.
    """
    rows = [_kernel(f"{scope}input/init_conv", "init_conv", 3, num_channels, 16)]
    filters = _STEM_FILTERS
    for stage in (1, 2, 3):
        filters_out = _STEM_FILTERS * width * 2 ** (stage - 1)
        for unit in range((depth - 2) // 6):
            tf1, layer = f"{scope}unit_{stage}_{unit}", f"unit_{stage}_{unit}"
            first = "shared" if (stage, unit) == (1, 0) else "residual_only"
            rows += _norm(f"{tf1}/{first}_activation", f"{layer}_1_norm", filters)
            sizes = (3, filters, filters_out)
            rows.append(_kernel(f"{tf1}/sub1/conv1", f"{layer}_conv1", *sizes))
            rows += _norm(f"{tf1}/sub2", f"{layer}_2_norm", filters_out)
            sizes = (3, filters_out, filters_out)
            rows.append(_kernel(f"{tf1}/sub2/conv2", f"{layer}_conv2", *sizes))
            filters = filters_out
    rows += _norm(f"{scope}unit_last", "unit_last_norm", filters)
    return rows + _dense(f"{scope}{head}", "logit", filters, num_classes)


def mnist_rows(
    *,
    filters: Sequence[int],
    hidden_units: int,
    num_classes: int,
    image_shape: tuple[int, int, int],
) -> list[Row]:
    """Variables of MadryLab's MNIST net: `Variable`, `Variable_1` ... `Variable_7`."""
    inputs = image_shape[2]
    layers: list[tuple[str, tuple[int, ...]]] = []
    for i, num_filters in enumerate(filters, start=1):
        layers.append((f"conv{i}", (5, 5, inputs, num_filters)))
        inputs = num_filters
    pooled = [-(-side // 2 ** len(filters)) for side in image_shape[:2]]
    layers.append(("hidden", (pooled[0] * pooled[1] * inputs, hidden_units)))
    layers.append(("logit", (hidden_units, num_classes)))
    rows: list[Row] = []
    for layer, shape in layers:
        rows.append(Row(numbered("Variable", len(rows)), layer, "kernel", shape))
        rows.append(Row(numbered("Variable", len(rows)), layer, "bias", shape[-1:]))
    return rows


def discriminator_rows(
    *, channels: Sequence[int], image_shape: tuple[int, int, int], dense: bool = False
) -> list[Row]:
    """Variables of the authors' discriminator (`dense`: its fully connected variant).

    Args:
        channels: channels of each convolution, or units of each dense layer.
        image_shape: (height, width, channels) of the gradients that it sees.
        dense: whether it is the fully connected variant.

    Returns:
        list of Row.
    """
    height, width, inputs = image_shape
    rows = []
    if dense:
        inputs *= height * width
    for i, outputs in enumerate(channels):
        if dense:
            rows += _dense(f"{DISCRIMINATOR_SCOPE}fc{i}", f"fc{i}", inputs, outputs)
        else:
            name = f"{DISCRIMINATOR_SCOPE}conv{i}"
            rows.append(_kernel(name, f"conv{i}", 4, inputs, outputs))
            rows.append(Row(f"{name}/biases", f"conv{i}", "bias", (outputs,)))
            height, width = -(-height // 2), -(-width // 2)
        rows += _norm(
            DISCRIMINATOR_SCOPE[:-1], f"norm{i}", outputs, numbered("BatchNorm", i)
        )
        inputs = outputs
    if not dense:
        inputs *= height * width
    return rows + _dense(f"{DISCRIMINATOR_SCOPE}logit", "logit", inputs, 2)


def model_rows(model: keras.Model, *, part: str | None = None) -> list[Row]:
    """The rows of a Keras model of `igam_tf.models`, read off its layers.

    Args:
        model: `wide_resnet`, `mnist_cnn`, `discriminator` or `dense_discriminator`; or
            a finetuned `wide_resnet`, whose last layer is named `TARGET_HEAD`.
        part: one of `PARTS`, or None: "discriminator" for one, else "teacher".

    Returns:
        list of Row.

    Raises:
        CheckpointError: if the model is none of these, or cannot be that part.
    """
    weights = {
        f"{layer.name}/{_plain(weight.name)}": tuple(weight.shape)
        for layer in model.layers
        for weight in layer.weights
    }
    rows = _rows_of_layers(weights, tuple(model.input_shape[1:]), part)
    if rows is None or {f"{r.layer}/{r.weight}": r.shape for r in rows} != weights:
        raise CheckpointError(
            f"model {model.name!r} is no network of the TF1 code; expected one made by "
            "wide_resnet, mnist_cnn, discriminator or dense_discriminator of "
            "igam_tf.models, or by igam_tf.finetune of a wide_resnet. Save other "
            "models with model.save('....keras')."
        )
    _check_part(rows, part, model)
    return rows


def _check_part(rows, part, model):
    """Refuses a network whose names cannot be those of the part."""
    scopes = {"student": STUDENT_SCOPE, "discriminator": DISCRIMINATOR_SCOPE}
    fits = {name: rows[0].name.startswith(scope) for name, scope in scopes.items()}
    fits["teacher"] = not any(fits.values())
    if part is not None and not fits[part]:
        raise CheckpointError(
            f"model {model.name!r} cannot be the {part} of a TF1 checkpoint: a teacher "
            "is a wide_resnet, a mnist_cnn or a finetuned wide_resnet, a student a "
            "wide_resnet, a discriminator one of igam_tf.models."
        )


def _rows_of_layers(weights, image_shape, part):
    """Rows that a model with these weights would have; None for a foreign model."""
    head = TARGET_HEAD if f"{TARGET_HEAD}/kernel" in weights else "logit"
    logit = weights.get(f"{head}/kernel")
    if logit is None:
        return None
    if "init_conv/kernel" in weights:
        units = sum(name.startswith("unit_1_") and "conv1/" in name for name in weights)
        rows = wide_resnet_rows(
            depth=6 * units + 2,
            width=weights.get("unit_1_0_conv1/kernel", (0,))[-1] // _STEM_FILTERS,
            num_classes=logit[-1],
            num_channels=image_shape[-1],
            scope=STUDENT_SCOPE if part == "student" else "",
            head=head,
        )
        return [r._replace(layer=head) if r.layer == "logit" else r for r in rows]
    if head != "logit":
        return None  # The authors' code has such a head on Wide-ResNets only.
    convs = _sizes(weights, "conv")
    if "hidden/kernel" in weights:
        return mnist_rows(
            filters=convs,
            hidden_units=logit[0],
            num_classes=logit[1],
            image_shape=image_shape,
        )
    dense = not convs
    # A discriminator that sees a window takes gradients larger than what it sees; the
    # sizes of its kernels decide.
    channels = _sizes(weights, "fc") if dense else convs
    if not channels:
        return None
    seen = seen_shape(
        channels,
        dense,
        inputs=weights.get("fc0/kernel", (0,))[0],
        logit_inputs=logit[0],
        num_channels=image_shape[-1],
    )
    return discriminator_rows(channels=channels, image_shape=seen, dense=dense)


def seen_shape(
    channels: Sequence[int],
    dense: bool,
    *,
    inputs: int,
    logit_inputs: int,
    num_channels: int,
) -> tuple[int, int, int]:
    """(height, width, channels) of the square gradient that a discriminator sees."""
    num_channels = max(num_channels, 1)
    pixels = inputs // num_channels if dense else logit_inputs // max(channels[-1], 1)
    side = round(math.sqrt(pixels)) * (1 if dense else 2 ** len(channels))
    return (side, side, num_channels)


def _sizes(weights, kind):
    """Last dimensions of conv0, conv1, ... (or from 1 on), in order."""
    layers = sorted(
        (int(name.split("/")[0][len(kind) :]), shape[-1])
        for name, shape in weights.items()
        if name.startswith(kind)
        and name.endswith("/kernel")
        and name.split("/")[0][len(kind) :].isdigit()
    )
    return tuple(size for _, size in layers)


def _kernel(name, layer, side, inputs, outputs):
    return Row(f"{name}/DW", layer, "kernel", (side, side, inputs, outputs))


def _dense(name, layer, inputs, outputs):
    return [
        Row(f"{name}/DW", layer, "kernel", (inputs, outputs)),
        Row(f"{name}/biases", layer, "bias", (outputs,)),
    ]


def _norm(name, layer, size, scope="BatchNorm"):
    return [Row(f"{name}/{scope}/{weight}", layer, weight, (size,)) for weight in _NORM]


def numbered(name: str, number: int) -> str:
    """What TensorFlow 1 calls the variable, or scope, of that name and number."""
    return f"{name}_{number}" if number else name


def _plain(name):
    return name.split("/")[-1].split(":")[0]
