"""The networks and optimizers that an `Experiment` asks for."""

import keras

from igam_tf import checkpoints, models, training, transforms
from igam_tf.data import registry


def student(experiment, method="igam"):
    """A fresh student of the target task, for a method."""
    task = registry.find(experiment.target)
    return _classifier(
        experiment.network("student"),
        task,
        depth=experiment.depth,
        width=experiment.width,
        # PAG's targets lie along the image, which contrast normalisation removes.
        normalization="none" if method == "pag" else "zero_mean_unit_norm",
        activation=experiment.activation,
    )


def teacher(experiment):
    """A fresh teacher of the source task, as MadryLab's challenges define it."""
    task = registry.find(experiment.source)
    return _classifier(
        experiment.network("teacher"),
        task,
        depth=experiment.teacher_depth,
        width=experiment.teacher_width,
        normalization="standardize",
        activation="",
    )


def untrained_teacher(experiment):
    """The network of the teacher with the weights that its training starts from.

    Of a `--teacher_checkpoint` it is the same network, its weights drawn anew; layers
    that normalise the images as they were adapted to keep their statistics.
    """
    if not experiment.teacher_checkpoint:
        return teacher(experiment)
    loaded = loaded_teacher(experiment)
    fresh = keras.models.clone_model(loaded)
    for ours, theirs in zip(_layers(fresh), _layers(loaded), strict=True):
        if isinstance(theirs, keras.layers.Normalization):
            ours.set_weights(theirs.get_weights())
            ours.finalize_state()
    return fresh


def _layers(model):
    """All layers of a model, those of the models inside it as well."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def loaded_teacher(experiment):
    """The teacher of `--teacher_checkpoint`; of several networks, the teacher.

    Raises:
        ValueError: if it takes other images than the source task has.
    """
    path, options = experiment.teacher_checkpoint, {}
    if not path.endswith(".keras"):
        parts = checkpoints.describe(path).parts
        if len(parts) > 1:
            options["part"] = "teacher"
        if experiment.teacher_batch_norm == "batch":
            # Only read where the file itself has no moving statistics.
            options["moving_statistics"] = "initial"
    loaded = checkpoints.load(path, **options)
    source = registry.find(experiment.source)
    if tuple(loaded.input_shape[1:]) != tuple(source.image_shape):
        raise ValueError(
            f"--teacher_checkpoint={path} takes images of shape "
            f"{loaded.input_shape[1:]}, but --source={source.name} has "
            f"{tuple(source.image_shape)}; pass the source it was trained on."
        )
    return loaded


def discriminator(experiment, teacher_shape):
    """The discriminator of the target's input gradients.

    Args:
        experiment: the settings.
        teacher_shape: (height, width, channels) of the teacher's input; a transform
            that crops to it hides the rest from the discriminator.
    """
    shape = registry.find(experiment.target).image_shape
    window = transforms.gradient_window(
        experiment.input_transform, shape, teacher_shape
    )
    channels = experiment.discriminator_channels
    if experiment.discriminator == "dense":
        return models.dense_discriminator(
            gradient_shape=shape, units=channels, crop_to=window
        )
    return models.discriminator(gradient_shape=shape, channels=channels, crop_to=window)


def optimizer(
    name, learning_rate, total_steps, *, constant=False, clip_norm=0, ema_momentum=0
):
    """SGD with momentum 0.9, or Adam, with two drops of the rate.

    Args:
        name: "momentum" or "adam".
        learning_rate: rate at the start.
        total_steps: number of steps, for the drops at half and at three quarters.
        constant: no drops.
        clip_norm: global norm to which gradients are clipped; 0 for none.
        ema_momentum: of averaged weights, with which `fit` ends; 0 for none.
    """
    more = {"global_clipnorm": clip_norm} if clip_norm else {}
    if ema_momentum:
        more.update(use_ema=True, ema_momentum=ema_momentum)
    rate = learning_rate
    if not constant:
        rate = training.piecewise_constant(learning_rate, total_steps)
    if name == "adam":
        return keras.optimizers.Adam(rate, epsilon=1e-8, **more)
    return training.Momentum(rate, momentum=0.9, **more)


def _classifier(name, task, *, depth, width, normalization, activation):
    common = {"num_classes": task.num_classes, "image_shape": task.image_shape}
    if activation:
        common["activation"] = activation
    if name == "wide_resnet":
        return models.wide_resnet(
            depth=depth, width=width, normalization=normalization, **common
        )
    if name == "preact_resnet":
        return models.preact_resnet(
            depth=depth, width=16 * width, normalization=normalization, **common
        )
    if name == "vit":
        return models.vit(
            depth=depth, width=48 * width, normalization=normalization, **common
        )
    if name == "conv_net":
        return models.conv_net(width=width, normalization=normalization, **common)
    if name == "small_cnn":
        return models.small_cnn(hidden_units=32 * width, **common)
    return models.mnist_cnn(**common)
