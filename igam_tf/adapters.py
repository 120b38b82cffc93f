"""Adapters that hand classifiers of this package to other attack libraries.

    fmodel = igam_tf.adapters.to_foolbox(model)  # pip install -e ".[foolbox]"
    classifier = igam_tf.adapters.to_art(model)  # pip install -e ".[art]"

Both get the logits of inference mode, for images in [0, 1]. A model that returns
probabilities is refused: either library would quietly report false robustness.
"""

import importlib

import keras
import numpy as np

from igam_tf.attacks.classifier import logits_of, num_classes


def to_foolbox(model: keras.Model) -> object:
    """Wraps a classifier for Foolbox.

    Foolbox compares labels to classes of int64 and, under NumPy 2, fails for others:
    pass `tf.constant(labels, tf.int64)`.

    Args:
        model: Keras model from images (batch, height, width, channels) to logits.

    Returns:
        foolbox.TensorFlowModel.

    Raises:
        ModuleNotFoundError: if Foolbox is not installed.
        ValueError: if the model is no classifier that returns logits.
    """
    foolbox = _installed("foolbox", extra="foolbox")
    _check_classifier(model)

    def logits(images):
        return logits_of(model, images, False)

    return foolbox.TensorFlowModel(logits, bounds=(0, 1))


def to_art(model: keras.Model) -> object:
    """Wraps a classifier for IBM's Adversarial Robustness Toolbox.

    Args:
        model: as in `to_foolbox`.

    Returns:
        art.estimators.classification.TensorFlowV2Classifier.

    Raises:
        ModuleNotFoundError: if ART is not installed.
        ValueError: if the model is no classifier that returns logits.
    """
    art = _installed("art.estimators.classification", extra="art")
    return art.TensorFlowV2Classifier(
        model=model,
        nb_classes=_check_classifier(model),
        input_shape=_image_shape(model),
        # ART cannot tell logits from probabilities by itself. A sum over the batch, so
        # that gradients do not shrink with its size: ART adds 1e-7 to their norms.
        loss_object=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="sum"
        ),
        clip_values=(0, 1),
    )


def _installed(module, *, extra):
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error}: expected {module.split('.')[0]!r} to be installed; "
            f'pip install -e ".[{extra}]" in the repository.',
            name=error.name,
        ) from error


def _check_classifier(model):
    """Number of classes; a ValueError unless it returns logits for a grey image."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"model is {type(model).__name__}: expected a keras.Model.")
    return num_classes(model, np.full((1, *_image_shape(model)), 0.5, np.float32))


def _image_shape(model):
    shape = tuple(model.input_shape[1:])
    if None in shape:
        raise ValueError(
            f"model {model.name!r} takes images of shape {shape}: expected a fixed "
            "size; give its Input one."
        )
    return shape
