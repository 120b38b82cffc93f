"""A model for images of another range is called that, and not masked."""

import keras
import numpy as np
import tensorflow as tf
from small_models import digits, perceptron

import igam_tf
from igam_tf.evaluation.ranges import range_warnings


def examples(count=100):
    images, labels = digits()
    return images[1200 : 1200 + count], labels[1200 : 1200 + count]


def behind(scale, offset=0.0):
    """The network of images in [0, 1], made one of other images."""
    rescale = keras.layers.Rescaling(scale, offset)
    return keras.Sequential([keras.Input((8, 8, 1)), rescale, perceptron()])


def test_grey_levels_are_named():
    result = igam_tf.evaluate(
        behind(1 / 255),
        examples(),
        ["clean", "pgd5"],
        eps=0.1,
        panel=False,
        progress=False,
    )
    (warning,) = result["warnings"]
    assert "[0, 255]" in warning and "Rescaling(255)" in warning
    assert "pass --input_range=0,255 on the command line" in warning
    assert "as by chance" in warning
    assert result["robustbench"]["unreliable"] is True


def test_signs_of_masking_are_not_said_of_the_wrong_images():
    result = igam_tf.evaluate(
        behind(1 / 255), examples(60), ["clean", "pgd5"], eps=0.1, progress=False
    )
    assert len(result["warnings"]) == 1 and "masked" not in result["warnings"][0]


def always_one(scale):
    """A linear model of two pixels' grey levels that says 0 below `scale`, 1 above."""
    model = keras.Sequential(
        [keras.Input((1, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    weights = np.array([[0.0, 1.0], [0.0, 0.0]], np.float32)
    model.set_weights([weights, np.array([0.5 * scale, 0.0], np.float32)])
    return model


def two_classes(count):
    labels = (np.arange(count) % 2).astype(np.int32)
    images = np.zeros((count, 1, 2, 1), np.float32)
    images[:, 0, 0, 0] = 0.2 + 0.6 * labels
    return images, labels


def test_by_hand():
    """At chance on [0, 1] all images are class 0; times 255 all are right."""
    right = range_warnings(always_one(1.0), two_classes(40), batch_size=16)
    assert right == []
    (warning,) = range_warnings(always_one(255.0), two_classes(40), batch_size=16)
    assert "50%, as by chance" in warning and "100% when" in warning
    # Of 14 images, 7 and 14 right: p is 0.008.
    (warning,) = range_warnings(always_one(255.0), two_classes(14), batch_size=16)
    assert "50%, as by chance" in warning
    # Both say that nobody could tell: too few images, and a model that is no better.
    assert range_warnings(always_one(255.0), two_classes(8), batch_size=8) == []
    assert range_warnings(always_one(1e9), two_classes(40), batch_size=16) == []
    data = tf.data.Dataset.from_tensor_slices(two_classes(40)).batch(7)
    assert range_warnings(always_one(255.0), data, batch_size=16) == [warning]


def test_images_of_both_signs():
    """Class 1 above zero: for images in [-1, 1], all in [0, 1] are of class 1."""
    model = keras.Sequential(
        [keras.Input((1, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.set_weights([np.array([[0, 1], [0, 0]], np.float32), np.zeros(2, np.float32)])
    (warning,) = range_warnings(model, two_classes(40), batch_size=40)
    assert "[-1, 1]" in warning and "Rescaling(2, -1)" in warning
    assert "--input_range=-1,1" in warning


def test_images_divided_twice():
    """Class 1 above 0.75 / 255: all of these images, and half of them / 255."""
    images, labels = two_classes(40)
    images = images / 2 + 0.5
    (warning,) = range_warnings(always_one(1.5 / 255), (images, labels), batch_size=40)
    assert "[0, 1/255]" in warning and "Rescaling(0.00392157)" in warning
