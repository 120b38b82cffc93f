"""Small TF1 checkpoints for the tests of this folder, written by `save_tf1`."""

import keras
import numpy as np
import tensorflow as tf

from igam_tf import models
from igam_tf.checkpoints import save_tf1
from igam_tf.checkpoints.tf1.names import model_rows


def small_net(**kwargs):
    """A WRN-8-1 with weights and batch statistics that are all different."""
    kwargs = {"depth": 8, "width": 1, "normalization": "standardize"} | kwargs
    model = models.wide_resnet(**kwargs)
    randomize(model)
    return model


def randomize(model):
    generator = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(generator.uniform(0.1, 1.0, weight.shape))


def write(folder, tensors, name="checkpoint-7"):
    """Writes any tensors as a TF1 checkpoint; returns its prefix."""
    folder.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveV2(
        prefix=str(folder / name),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )
    return str(folder / name)


def tensors_of(model, part=None):
    """dict of TF1 name -> array."""
    return {
        row.name: np.asarray(getattr(model.get_layer(row.layer), row.weight))
        for row in model_rows(model, part=part)
    }


def equal_weights(a, b):
    return len(a.weights) == len(b.weights) and all(
        np.array_equal(keras.ops.convert_to_numpy(x), keras.ops.convert_to_numpy(y))
        for x, y in zip(a.weights, b.weights)
    )


def saved(folder, **kwargs):
    model = small_net(**kwargs)
    save_tf1(model, folder, step=7)
    return model
