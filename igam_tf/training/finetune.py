"""Stage one of IGAM: a new logit layer on a frozen robust teacher (section 4.1)."""

import keras

from igam_tf import models, transforms
from igam_tf.training.standard import StandardTraining


def finetune(
    teacher,
    train,
    *,
    num_classes,
    input_transform="auto",
    epochs=6,
    optimizer=None,
    batch_norm="inference",
    weight_decay=0.0,
    jit_compile="auto",
    seed=0,
    **fit_kwargs,
):
    """Fits a teacher to the target task: its weights frozen, its logits anew.

    Args:
        teacher: robust functional keras.Model of the source task, images to logits.
        train: data set of (images, labels) batches of the target task.
        num_classes: number of classes of the target task.
        input_transform: see `igam_tf.transforms.input_transform`.
        epochs: epochs of training the logit layer (6 for most of the paper's pairs).
        optimizer: Adam(1e-3) with TF1's epsilon 1e-8 by default, as the authors.
        batch_norm: mode of the frozen layers, "inference" or "batch".
        weight_decay: on the new logit layer; 0 in the authors' code.
        jit_compile: see `TrainingMethod.compile`.
        seed: seed of the randomness of the training step.
        **fit_kwargs: of `fit`: callbacks, validation_data, steps_per_epoch, verbose.

    Returns:
        keras.Model from target images to target logits: transform, teacher, logits.

    Raises:
        ValueError: if the teacher has no dense logit layer or no transform fits.
    """
    images, _ = train.element_spec
    model = with_new_logits(
        teacher,
        num_classes=num_classes,
        image_shape=tuple(images.shape[1:]),
        input_transform=input_transform,
        batch_norm=batch_norm,
    )
    method = StandardTraining(model, weight_decay=weight_decay, seed=seed)
    method.compile(optimizer or finetuning_optimizer(), jit_compile=jit_compile)
    method.fit(train, epochs=epochs, **fit_kwargs)
    return model


def finetuning_optimizer():
    """Adam as TensorFlow 1 had it by default: rate 1e-3, epsilon 1e-8."""
    return keras.optimizers.Adam(1e-3, epsilon=1e-8)


def with_new_logits(
    teacher, *, num_classes, image_shape, input_transform="auto", batch_norm="inference"
):
    """The frozen teacher behind an input transform, with a new logit layer.

    Trainable are the new layer and, if there is one, the transpose convolution of the
    transform. Args and raises: see `finetune`.

    Returns:
        keras.Model from images (batch, *image_shape) to logits (batch, num_classes).
    """
    last = teacher.layers[-1]
    if not isinstance(last, keras.layers.Dense):
        raise ValueError(
            f"The teacher {teacher.name!r} ends in {type(last).__name__} "
            f"{last.name!r}; expected a functional keras.Model that ends in the Dense "
            "layer of its logits, without a softmax."
        )
    features = keras.Model(teacher.inputs, last.input)
    # A copy, so that the caller's teacher stays trainable.
    frozen = keras.models.clone_model(features)
    frozen.name = "frozen_teacher"
    frozen.set_weights(features.get_weights())
    models.freeze(frozen, batch_norm=batch_norm)
    transform = transforms.input_transform(
        input_transform, image_shape, tuple(teacher.input_shape[1:])
    )
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
