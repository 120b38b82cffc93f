"""Stage one of IGAM: a new logit layer on a frozen robust teacher (section 4.1)."""

import dataclasses
import warnings
from typing import Any, ClassVar

import keras
import numpy as np

from igam_tf import models, transforms
from igam_tf.models.features import before_logits, check_channels_last
from igam_tf.training.method_settings import MethodSettings
from igam_tf.training.standard import StandardTraining
from igam_tf.transforms import seen_pixels


def finetune(
    teacher: keras.Model,
    train: Any,
    *,
    num_classes: int,
    input_transform: str = "auto",
    epochs: int = 6,
    optimizer: keras.optimizers.Optimizer | None = None,
    batch_norm: str = "inference",
    weight_decay: float = 0.0,
    jit_compile: bool | str = "auto",
    seed: int = 0,
    **fit_kwargs: Any,
) -> keras.Model:
    """Fits a teacher to the target task, with frozen weights and a new logit layer.

    Args:
        teacher: robust functional keras.Model of the source task, images to logits.
        train: data of the target task: a tf.data.Dataset of (images, labels) batches,
            a keras.utils.PyDataset, or a tuple of arrays (images, labels).
        num_classes: number of classes of the target task.
        input_transform: see `igam_tf.transforms.input_transform`. What "auto" chose is
            printed (not with verbose=0); what leaves out more than half of the pixels
            is a warning.
        epochs: epochs of training the logit layer (6 for most of the paper's pairs).
        optimizer: Adam(1e-3) with TF1's epsilon 1e-8 by default, as the authors.
        batch_norm: mode of the frozen layers, "inference" or "batch".
        weight_decay: on the new logit layer; 0 in the authors' code.
        jit_compile: see `TrainingMethod.compile`.
        seed: seed of the randomness of the training step.
        **fit_kwargs: of `fit`: callbacks, validation_data, steps_per_epoch, verbose,
            batch_size.

    Returns:
        keras.Model from target images to target logits: transform, teacher, logits.

    Raises:
        ValueError: if the teacher has no dense logit layer, several inputs or outputs,
            or channels first; if no transform fits; if a copy of the teacher would not
            compute what it does.
    """
    image_shape = _image_shape(train)
    model = with_new_logits(
        teacher,
        num_classes=num_classes,
        image_shape=image_shape,
        input_transform=input_transform,
        batch_norm=batch_norm,
    )
    if fit_kwargs.get("verbose", "auto"):
        transform = model.get_layer("input_transform")
        print(f"Input transform: {seen_pixels.explain(input_transform, transform)}.")
    method = StandardTraining(model, weight_decay=weight_decay, seed=seed)
    method.compile(optimizer or finetuning_optimizer(), jit_compile=jit_compile)
    x, y = train if isinstance(train, tuple) else (train, None)
    method.fit(x, y, epochs=epochs, **fit_kwargs)
    return model


def finetuning_optimizer() -> keras.optimizers.Optimizer:
    """Adam as TensorFlow 1 had it by default: rate 1e-3, epsilon 1e-8."""
    return keras.optimizers.Adam(1e-3, epsilon=1e-8)


def with_new_logits(
    teacher: keras.Model,
    *,
    num_classes: int,
    image_shape: tuple[int, int, int],
    input_transform: str = "auto",
    batch_norm: str = "inference",
) -> keras.Model:
    """The frozen teacher behind an input transform, with a new logit layer.

    Only the new layer is trainable, and the transpose convolution of the transform if
    there is one. For arguments and errors see `finetune`.

    Returns:
        keras.Model from images (batch, *image_shape) to logits (batch, num_classes).
    """
    features = before_logits(teacher)
    check_channels_last(tuple(teacher.input_shape[1:]), f"teacher {teacher.name!r}")
    check_channels_last(image_shape, "images of the target task")
    # A copy, so that the caller's teacher stays trainable.
    frozen = models.copy_network(features)
    frozen.name = "frozen_teacher"
    models.freeze(frozen, batch_norm=batch_norm)
    teacher_shape = _taken(teacher, image_shape)
    transform = transforms.input_transform(input_transform, image_shape, teacher_shape)
    warning = seen_pixels.warning(input_transform, transform)
    if warning:
        warnings.warn(warning, stacklevel=2)
    images = keras.Input(image_shape, name="images")
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.VarianceScaling(
            1.0, mode="fan_in", distribution="uniform"
        ),
        dtype=keras.config.floatx(),
        name="target_task_logit",
    )(frozen(transform(images)))
    return keras.Model(images, logits, name="finetuned_teacher")


def _taken(teacher, image_shape):
    """Shape of the teacher's images; those of the target where it takes any size."""
    shape = tuple(teacher.input_shape[1:])
    if len(shape) != len(image_shape):
        raise ValueError(
            f"teacher {teacher.name!r} takes inputs of shape {shape}: expected images "
            "(height, width, channels)."
        )
    return tuple(i if t is None else t for t, i in zip(shape, image_shape, strict=True))


def _image_shape(train):
    """(height, width, channels) of the images of a training set.

    Raises:
        ValueError: if it is of another kind, or its images have no fixed size.
    """
    if isinstance(train, tuple) and len(train) == 2:
        shape = np.shape(train[0])
    elif hasattr(train, "element_spec"):
        shape = tuple(train.element_spec[0].shape)
    elif isinstance(train, keras.utils.PyDataset):
        shape = np.shape(train[0][0])
    else:
        raise ValueError(
            f"train={type(train).__name__}: expected a tf.data.Dataset of (images, "
            "labels) batches, a keras.utils.PyDataset, or a tuple of arrays (images, "
            "labels)."
        )
    if len(shape) != 4 or None in shape[1:]:
        raise ValueError(
            f"train has images of shape {tuple(shape)}: expected batches (batch, "
            "height, width, channels) of one fixed size; resize them, and batch a "
            "Dataset."
        )
    return tuple(int(side) for side in shape[1:])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """The row finetune: the teacher with new logits, as it is."""

    name: ClassVar[str] = "finetune"
    title: ClassVar[str] = "FT"
    uses: ClassVar[frozenset[str]] = frozenset({"teacher", "finetuning"})
    needs_teacher: ClassVar[bool] = True
    is_teacher: ClassVar[bool] = True
