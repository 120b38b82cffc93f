"""Loads classifiers of one's own as what is evaluated here: from [0, 1] to logits."""

import os
import pathlib
from collections.abc import Callable, Sequence

import keras

from igam_tf import compat, models
from igam_tf.checkpoints.errors import CheckpointError, shortened
from igam_tf.checkpoints.keras_files import read_model
from igam_tf.checkpoints.load import load
from igam_tf.checkpoints.saved_models import is_saved_model, read_saved_model
from igam_tf.checkpoints.tf1.locate import KERAS_SUFFIXES
from igam_tf.errors import reason
from igam_tf.models.copying import check_can_be_copied
from igam_tf.models.features import check_channels_last

OUTPUTS = ("logits", "probabilities")


def load_classifier(
    path: str | os.PathLike,
    *,
    image_shape: Sequence[int | None] | None = None,
    output: str | None = None,
    outputs: str = "logits",
    input_range: Sequence[float] | None = None,
    input_mean: Sequence[float] | None = None,
    input_std: Sequence[float] | None = None,
    say: Callable[[str], object] | None = None,
) -> keras.Model:
    """Loads a classifier, of whatever pixels and ending, for an evaluation.

        model = load_classifier("mine.keras", input_range=(0, 255))
        igam_tf.evaluate(model, test, ["clean", "autoattack"], eps=8 / 255)

    Args:
        path: a `.keras`, `.h5` or `.hdf5` file, the folder of a SavedModel, or a
            TensorFlow 1 checkpoint as `load` takes it. Classes of one's own have to be
            imported before.
        image_shape: (height, width, channels) of the images to come; needed where the
            network does not say what it takes (a model of a class of its own, a
            SavedModel), and where it may take channels first: it is then transposed.
        output: of several outputs, the name of the one with the classes: its key, or
            the name of its layer.
        outputs: "logits", or "probabilities" for a network that ends in a softmax, or
            in the sigmoid of one number; that ending is taken off.
        input_range, input_mean, input_std: the pixels that the network takes, see
            `igam_tf.models.with_pixels`.
        say: called with sentences about what was changed or is at rest, such as
            `print`; None for nobody.

    Returns:
        keras.Model from images (batch, height, width, channels) in [0, 1] to logits
        (batch, classes), with the weights of the file.

    Raises:
        CheckpointError: if the file is damaged, or no classifier.
        FileNotFoundError: if it is missing.
        ValueError: if an argument does not fit it.
    """
    say = say or _nobody
    path = pathlib.Path(path).expanduser()
    model = _functional(_read(path, image_shape), path, image_shape)
    model = _single(model, path, output)
    model = _in_channels_last(model, path, image_shape, say)
    model = _to_logits(model, path, outputs, say)
    _say_what_rests(model, say)
    return models.with_pixels(
        model, input_range=input_range, mean=input_mean, std=input_std
    )


def _nobody(text):
    del text


def _read(path, image_shape):
    if is_saved_model(path):
        if image_shape is None:
            raise ValueError(
                f"{path} is a SavedModel, which does not say what images it takes: "
                "pass image_shape=(height, width, channels)."
            )
        return read_saved_model(path, image_shape)
    return read_model(path) if path.suffix in KERAS_SUFFIXES else load(path)


def _functional(model, path, image_shape):
    """A model of a class of its own, behind an input of the images to come."""
    if getattr(model, "inputs", None) and getattr(model, "outputs", None):
        if len(model.inputs) != 1:
            names = shortened(tensor.name for tensor in model.inputs)
            raise CheckpointError(
                f"{path} takes {len(model.inputs)} inputs ({names}): expected images "
                "as the only one; make keras.Model(images, model([images, ...])) with "
                "the others fixed, and save that."
            )
        return model
    if image_shape is None:
        raise ValueError(
            f"{path} holds {type(model).__name__}, a class of its own, which does not "
            "say what images it takes: pass image_shape=(height, width, channels)."
        )
    images = keras.Input(image_shape, name="images")
    stored = {weight.path for weight in model.weights}
    try:
        called = keras.Model(images, model(images), name=model.name)
    # Whatever the call of a class of one's own raises.
    except Exception as error:
        raise CheckpointError(
            f"{path} holds {type(model).__name__}, which cannot be called with images "
            f"of shape {tuple(image_shape)} ({type(error).__name__}: "
            f"{reason(error, 300)})."
        ) from error
    _check_all_stored(model, stored, path)
    return called


def _check_all_stored(model, stored, path):
    """Refuses weights that were not in the file, and were drawn at random just now."""
    drawn = [weight.path for weight in model.weights if weight.path not in stored]
    if drawn:
        raise CheckpointError(
            f"{path} holds {type(model).__name__} {model.name!r} without "
            f"{len(drawn)} of its weights ({shortened(drawn, 4)}), which it makes when "
            "it is first called: expected a model that was saved after that. Where it "
            "was made, call it on images, load its weights, and save it again."
        )


def _single(model, path, output):
    try:
        check_can_be_copied(model)
        return models.one_output(model, output)
    except ValueError as error:
        raise CheckpointError(
            f"{path}: {error} (output=, --output on the command line.)"
        ) from error


def _in_channels_last(model, path, image_shape, say):
    shape = tuple(model.input_shape[1:])
    if image_shape is not None and len(shape) == len(image_shape) == 3:
        if _fits(shape, image_shape):
            return model
        height, width, channels = image_shape
        if _fits(shape, (channels, height, width)):
            say(
                f"{path} takes images with their channels first, {shape}: they are "
                f"transposed from {tuple(image_shape)} inside of the model."
            )
            return models.with_channels_last(model)
    try:
        check_channels_last(shape, f"the network of {path}")
    except ValueError as error:
        raise CheckpointError(str(error)) from None
    return model


def _fits(shape, images):
    return all(have in (None, want) for have, want in zip(shape, images, strict=True))


def _to_logits(model, path, outputs, say):
    if outputs not in OUTPUTS:
        raise ValueError(f"outputs={outputs!r}: expected one of {OUTPUTS}.")
    shape = tuple(model.output_shape)
    if len(model.input_shape) != 4 or len(shape) != 2:
        raise CheckpointError(
            f"{path} maps {model.input_shape} to {shape}; expected a classifier from "
            "images (batch, height, width, channels) to (batch, classes)."
        )
    ending = models.output_activation(model)
    if outputs == "logits" and ending in ("softmax", "sigmoid", "hard_sigmoid"):
        raise CheckpointError(
            f"{path} ends in a {ending}, and attacks need the logits before it (a "
            f"{ending} hides gradients from them): pass outputs='probabilities' "
            "(--outputs=probabilities on the command line), and it is taken off."
        )
    try:
        if shape[1] == 1:
            say(
                f"{path} returns one number an image: class 1 where it is large; "
                "evaluated are the two logits 0 and that number's."
            )
            return models.two_logits(model)
        if outputs == "probabilities":
            return models.without_softmax(model)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return model


def _say_what_rests(model, say):
    """Layers that do something in training only."""
    found = {
        type(layer).__name__
        for layer in compat.flatten_layers(model)
        if _is_random(layer)
    }
    if found:
        names = shortened(sorted(found))
        say(
            f"The model has layers that work in training only ({names}): they are at "
            "rest, since it is evaluated in inference mode."
        )


def _is_random(layer):
    name = type(layer).__name__
    is_keras = type(layer).__module__.startswith("keras.")
    return is_keras and (
        "Dropout" in name or name.startswith(("Random", "Rand", "Gaussian", "MixUp"))
        or name in ("AugMix", "CutMix")
    )  # fmt: skip
