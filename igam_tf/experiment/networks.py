"""The networks and optimizers that an `Experiment` asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras

from igam_tf import checkpoints, models, training, transforms
from igam_tf.experiment import initial_weights, own_networks, starts

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.settings import TrainingSettings


#: Networks with a normalisation of their images inside, which methods choose.
NORMALIZING = ("wide_resnet", "preact_resnet", "vit", "conv_net")


def student(
    experiment: Experiment, normalization: str = "zero_mean_unit_norm"
) -> keras.Model:
    """A student of the target task, fresh or with the weights of a file.

    Args:
        experiment: the settings.
        normalization: inside of the network, see `igam_tf.models`; a network of
            one's own has its own.
    """
    made = fresh_student(experiment, normalization)
    if start := starts.path(experiment):
        initial_weights.load(made, start)
    return made


def fresh_student(experiment: Experiment, normalization: str) -> keras.Model:
    """The network of `student` as it is built, whatever file the weights come from."""
    task, settings = experiment.data.info("target"), experiment.student
    if own_networks.is_own(settings.model):
        return own_networks.build(settings.model, task, settings.activation)
    return _classifier(
        experiment.network("student"),
        task,
        depth=settings.depth,
        width=settings.width,
        normalization=normalization,
        activation=settings.activation,
        patch_size=settings.patch_size,
    )


def teacher(experiment: Experiment) -> keras.Model:
    """A fresh teacher of the source task, as MadryLab's challenges define it."""
    task = experiment.data.info("source")
    return _classifier(
        experiment.network("teacher"),
        task,
        depth=experiment.teacher.depth,
        width=experiment.teacher.width,
        normalization="standardize",
        activation="",
    )


def untrained_teacher(experiment: Experiment) -> keras.Model:
    """The network of the teacher with the weights that its training starts from.

    For a `--teacher_checkpoint` it is the same network with its weights drawn anew;
    layers that were adapted to normalise the images keep their statistics.
    """
    if not experiment.teacher.checkpoint:
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


def loaded_teacher(experiment: Experiment) -> keras.Model:
    """The teacher of `--teacher_checkpoint`; of several networks, the teacher.

    Raises:
        ValueError: if it is no network that can be loaded, or takes other images, or
            has other classes, than the source task has; names the flag.
        FileNotFoundError: if there is no such file; names the flag.
    """
    path = experiment.teacher.checkpoint
    options: dict[str, Any] = {}
    with naming_checkpoint(path):
        if not path.endswith(checkpoints.KERAS_SUFFIXES):
            options = _options(experiment, checkpoints.describe(path))
        loaded = checkpoints.load(path, **options)
    if experiment.data.source:
        _check_source(experiment, loaded, options)
    return models.with_pixels(loaded, input_range=own_networks.input_range(experiment))


def _check_source(experiment, loaded, options):
    """The teacher is one of the source's images and classes."""
    path = experiment.teacher.checkpoint
    source = experiment.data.info("source")
    if tuple(loaded.input_shape[1:]) != tuple(source.image_shape):
        raise ValueError(
            f"--teacher_checkpoint={path} takes images of shape "
            f"{loaded.input_shape[1:]}, but --source={source.name} has "
            f"{tuple(source.image_shape)}; pass the source it was trained on."
        )
    classes = loaded.output_shape[-1]
    # The logits of a finetuned teacher are those of its own target.
    if classes != source.num_classes and options.get("head") != "target":
        raise ValueError(
            f"--teacher_checkpoint={path} has {classes} classes, but "
            f"--source={source.name} has {source.num_classes}; pass the source it was "
            "trained on."
        )


@contextlib.contextmanager
def naming_checkpoint(path: str) -> Iterator[None]:
    """Puts the flag of the teacher's file in front of errors about it."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"--teacher_checkpoint={path}: {error}") from error
    except ValueError as error:
        raise ValueError(f"--teacher_checkpoint={path}: {error}") from error


def _options(experiment, info):
    """What to load of a TF1 checkpoint: the teacher, with the logits of the source."""
    options = {"part": "teacher"} if len(info.parts) > 1 else {}
    teachers = [part for part in info.parts if part.name == "teacher"]
    if teachers and info.kind != "foreign":
        heads = [head for head, _ in teachers[0].heads]
        options["head"] = "source" if "source" in heads else heads[0]
    if experiment.teacher.batch_norm == "batch":
        # Only read where the file itself has no moving statistics.
        options["moving_statistics"] = "initial"
    return options


def discriminator(
    experiment: Experiment, teacher_shape: tuple[int, int, int] | None = None
) -> keras.Model:
    """The discriminator of the target's input gradients.

    Args:
        experiment: the settings.
        teacher_shape: (height, width, channels) of the teacher's input; a transform
            that crops to it hides the rest from the discriminator. None: without one.
    """
    shape = experiment.data.info("target").image_shape
    window = None
    if teacher_shape is not None:
        window = transforms.gradient_window(
            experiment.finetuning.input_transform, shape, teacher_shape
        )
    channels = experiment.matching.discriminator_channels
    if experiment.matching.discriminator == "dense":
        return models.dense_discriminator(
            gradient_shape=shape, units=channels, crop_to=window
        )
    return models.discriminator(gradient_shape=shape, channels=channels, crop_to=window)


def optimizer(
    name: str,
    learning_rate: float,
    total_steps: int,
    *,
    constant: bool = False,
    clip_norm: float = 0,
    ema_momentum: float = 0,
) -> keras.optimizers.Optimizer:
    """SGD with momentum 0.9, or Adam, with two drops of the rate.

    Args:
        name: "momentum" or "adam".
        learning_rate: rate at the start.
        total_steps: number of steps, for the drops at half and at three quarters.
        constant: no drops.
        clip_norm: global norm to which gradients are clipped; 0 for none.
        ema_momentum: momentum of averaged weights, which `fit` ends with; 0 for none.
    """
    rate = learning_rate
    if not constant:
        rate = training.piecewise_constant(learning_rate, total_steps)
    return _optimizer(name, rate, clip_norm=clip_norm, ema_momentum=ema_momentum)


def student_optimizer(
    settings: TrainingSettings,
    total_steps: int,
    variables: Sequence[keras.Variable],
    *,
    clip_norm: float = 0,
    ema_momentum: float = 0,
) -> keras.optimizers.Optimizer:
    """The optimizer of the settings, with their schedule.

    Args:
        settings: of the training.
        total_steps: number of steps.
        variables: what it will train; AdamW decays their kernels only.
        clip_norm, ema_momentum: of the row, as of `optimizer`; those of the settings,
            if they are given, hold for every row.
    """
    rate: Any = settings.learning_rate
    if settings.schedule == "steps":
        rate = training.piecewise_constant(rate, total_steps)
    elif settings.schedule == "cosine":
        rate = training.cosine(
            rate,
            total_steps,
            warmup=settings.warmup,
            last=settings.learning_rate_end,
        )
    found = _optimizer(
        settings.optimizer,
        rate,
        clip_norm=settings.clip_norm or clip_norm,
        ema_momentum=settings.ema or ema_momentum,
        weight_decay=settings.weight_decay,
    )
    training.decay_kernels_only(found, variables)
    return found


def _optimizer(name, rate, *, clip_norm, ema_momentum, weight_decay=0.0):
    more: dict[str, Any] = {"global_clipnorm": clip_norm} if clip_norm else {}
    if ema_momentum:
        more.update(use_ema=True, ema_momentum=ema_momentum)
    if name == "adamw":
        decay = weight_decay or None
        return keras.optimizers.AdamW(rate, weight_decay=decay, epsilon=1e-8, **more)
    if name == "adam":
        return keras.optimizers.Adam(rate, epsilon=1e-8, **more)
    return training.Momentum(rate, momentum=0.9, **more)


def _classifier(name, task, *, depth, width, normalization, activation, patch_size=4):
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
            depth=depth,
            width=48 * width,
            patch_size=patch_size,
            normalization=normalization,
            **common,
        )
    if name == "conv_net":
        return models.conv_net(width=width, normalization=normalization, **common)
    if name == "small_cnn":
        return models.small_cnn(hidden_units=32 * width, **common)
    return models.mnist_cnn(**common)
