"""The networks and optimizers that an `Experiment` asks for."""

import keras

from igam_tf import models, training, transforms
from igam_tf.data import registry


def student(experiment):
    """A fresh student of the target task."""
    task = registry.find(experiment.target)
    return _classifier(
        experiment.network("student"),
        task,
        depth=experiment.depth,
        width=experiment.width,
        normalization="zero_mean_unit_norm",
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


def optimizer(name, learning_rate, total_steps, *, constant=False):
    """SGD with momentum 0.9, or Adam, with two drops of the rate.

    Args:
        name: "momentum" or "adam".
        learning_rate: rate at the start.
        total_steps: number of steps, for the drops at half and at three quarters.
        constant: no drops.
    """
    rate = learning_rate
    if not constant:
        rate = training.piecewise_constant(learning_rate, total_steps)
    if name == "adam":
        return keras.optimizers.Adam(rate, epsilon=1e-8)
    return training.Momentum(rate, momentum=0.9)


def _classifier(name, task, *, depth, width, normalization, activation):
    common = {"num_classes": task.num_classes, "image_shape": task.image_shape}
    if activation:
        common["activation"] = activation
    if name == "wide_resnet":
        return models.wide_resnet(
            depth=depth, width=width, normalization=normalization, **common
        )
    if name == "small_cnn":
        return models.small_cnn(hidden_units=32 * width, **common)
    return models.mnist_cnn(**common)
