"""RandAugment, colour jitter and random erasing, made of Keras' layers, in the step.

Keras' `RandAugment` and `RandomColorJitter` draw from generators of their own, whose
state no step could set, and one operation for a whole batch; the layers they consist of
take the generator as an argument, and so are put together here.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from igam_tf import streams
from igam_tf.training.soft_labels import check_alone

#: What RandAugment's magnitudes are parts of.
LARGEST = 10.0
# What comes into the image from outside of it.
_GREY = 0.5
_PIXELS = (0.0, 1.0)

#: A function of images, in [0, 1], and the generator of what is drawn.
_Operation = Callable[[tf.Tensor, keras.random.SeedGenerator], tf.Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distortions:
    """Distorts the images of a batch, in the order of the arguments.

    Draws depend on the seed of the step alone. Images stay in [0, 1]. Under XLA they
    are distorted outside of what it compiles.

    Args:
        rand_augment: magnitude M of RandAugment (Cubuk et al. 2020), up to 10; 0 for
            none. Each image gets two of its fourteen operations, drawn anew, each of a
            strength drawn up to M / 10 of: rotation 30 degrees, shear 0.3, shift 45 %
            of the side, brightness, colour, contrast and sharpness 1 +- 0.9,
            solarisation of all, posterisation to 8 - 4 M / 10 bits. GradNorm: 9.
            Images of other than three channels go without the change of colour.
        color_jitter: s of brightness, contrast and saturation, each times a number in
            [1 - s, 1 + s]; 0 for none. GradNorm's configuration has 0.4, which timm
            leaves out beside RandAugment.
        random_erasing: probability that a box of an image, of 2 to 33 % of its area,
            becomes noise (Zhong et al. 2020); 0 for none. GradNorm: 0.25.

    Raises:
        ValueError: if a number is out of its range.
    """

    rand_augment: float = 0.0
    color_jitter: float = 0.0
    random_erasing: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (
            ("rand_augment", LARGEST), ("color_jitter", 1.0), ("random_erasing", 1.0)
        ):  # fmt: skip
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise ValueError(
                    f"{name}={value!r}: expected a number from 0, for none, to "
                    f"{most:g}."
                )
        # Here, since Keras' layers make variables, which a step must not.
        object.__setattr__(self, "_steps", self._made())

    def __call__(self, images: Any, seed: tf.Tensor) -> tf.Tensor:
        """The distorted images.

        Args:
            images: float tensor (batch, height, width, channels) in [0, 1].
            seed: int32 tensor [2] of the step.

        Returns:
            Tensor like `images`.

        Raises:
            ValueError: if images come in pairs.
        """
        check_alone(images, "rand_augment, color_jitter and random_erasing")
        shape, dtype = images.shape, images.dtype
        for purpose, change in self._steps:  # type: ignore[attr-defined]
            seeds = streams.StepSeeds(streams.seed_of(seed, purpose))
            images = change(tf.cast(images, tf.float32), seeds)
        return tf.ensure_shape(tf.cast(images, dtype), shape)

    def _made(self):
        found = []
        if self.rand_augment:
            change = functools.partial(rand_augment, operations(self.rand_augment))
            found.append((streams.Purpose.RAND_AUGMENT, change))
        if self.color_jitter:
            change = functools.partial(_in_turn, _jitter(self.color_jitter))
            found.append((streams.Purpose.COLOR_JITTER, change))
        if self.random_erasing:
            erasing = keras.layers.RandomErasing(
                (self.random_erasing, self.random_erasing), **_layer()
            )
            change = functools.partial(_drawn, erasing)
            found.append((streams.Purpose.RANDOM_ERASING, change))
        return tuple(found)


def rand_augment(
    choices: dict[str, _Operation],
    images: tf.Tensor,
    seeds: keras.random.SeedGenerator,
    num_operations: int = 2,
) -> tf.Tensor:
    """Each image after operations drawn for it: each costs its own images only.

    Args:
        choices: `operations`.
        images: float32 tensor (batch, height, width, channels) in [0, 1].
        seeds: generator of all that is drawn.
        num_operations: for each image, one after the other.

    Returns:
        Tensor like `images`.
    """
    made = list(choices.values())
    for _ in range(num_operations):
        count = tf.shape(images)[0]
        drawn = keras.random.randint([count], 0, len(made), seed=seeds)
        parts = tf.dynamic_partition(images, drawn, len(made))
        places = tf.dynamic_partition(tf.range(count), drawn, len(made))
        changed = [
            tf.ensure_shape(operation(part, seeds), [None, *images.shape[1:]])
            for operation, part in zip(made, parts, strict=True)
        ]
        images = tf.dynamic_stitch(places, changed)
    return images


def operations(magnitude: float) -> dict[str, _Operation]:
    """The fourteen operations of RandAugment, by their names in its paper.

    Args:
        magnitude: from 0 to 10.

    Returns:
        Dict of functions (images, generator) to images.
    """
    layers, part = keras.layers, magnitude / LARGEST
    change, bits = 0.9 * part, 8 - round(4 * part)
    filled = {"fill_mode": "constant", "fill_value": _GREY, **_layer(value_range=False)}
    enhanced = {
        "color": layers.RandomColorDegeneration((-change, change), **_layer()),
        "contrast": layers.RandomContrast((change, change), **_layer()),
        # Twice its factor is what Keras blends with.
        "sharpness": layers.RandomSharpness(
            (0.5 - change / 2, 0.5 + change / 2), **_layer()
        ),
        "posterize": layers.RandomPosterization((bits, bits), **_layer()),
        "rotate": layers.RandomRotation(30 / 360 * part, **filled),
        "shear_x": layers.RandomShear(0.3 * part, 0.0, **filled),
        "shear_y": layers.RandomShear(0.0, 0.3 * part, **filled),
        "translate_x": layers.RandomTranslation(0.0, 0.45 * part, **filled),
        "translate_y": layers.RandomTranslation(0.45 * part, 0.0, **filled),
    }
    found = {name: functools.partial(_drawn, made) for name, made in enhanced.items()}
    found["color"] = functools.partial(_of_colour, enhanced["color"])
    equalization = layers.Equalization(**_layer(seed=False))
    auto_contrast = layers.AutoContrast(**_layer(seed=False))
    return {
        "identity": lambda images, seeds: images,
        "auto_contrast": functools.partial(_one_by_one, auto_contrast),
        "equalize": functools.partial(_one_by_one, equalization),
        "solarize": functools.partial(_solarized, part),
        "brightness": functools.partial(_brightened, change),
        **found,
    }


def _jitter(strength):
    """Brightness, contrast and saturation; Keras takes f / (1 - f) times the latter."""
    low, high = 1.0 - strength, 1.0 + strength
    contrast = keras.layers.RandomContrast((strength, strength), **_layer())
    saturation = keras.layers.RandomSaturation(
        (low / (1 + low), high / (1 + high)), **_layer()
    )
    return (
        functools.partial(_brightened, strength),
        functools.partial(_drawn, contrast),
        functools.partial(_of_colour, saturation),
    )


def _layer(*, seed=True, value_range=True):
    """Arguments of Keras' layers: its own seed, which is not used, drew from Python."""
    found = {"dtype": "float32"}
    if seed:
        found["seed"] = 0
    if value_range:
        found["value_range"] = _PIXELS
    return found


def _in_turn(changes, images, seeds):
    for change in changes:
        images = change(images, seeds)
    return images


def _drawn(layer, images, seeds):
    drawn = layer.get_random_transformation(images, training=True, seed=seeds)
    return tf.clip_by_value(layer.transform_images(images, drawn), *_PIXELS)


def _of_colour(layer, images, seeds):
    return _drawn(layer, images, seeds) if images.shape[-1] == 3 else images


def _brightened(strength, images, seeds):
    """Times a number; Keras' layer adds one."""
    factor = _per_image(images, 1.0 - strength, 1.0 + strength, seeds)
    return tf.clip_by_value(factor * images, *_PIXELS)


def _solarized(part, images, seeds):
    """Inverts what is brighter than a threshold; Keras' layer draws any."""
    threshold = _per_image(images, 1.0 - part, 1.0, seeds)
    return tf.where(images < threshold, images, 1.0 - images)


def _per_image(images, low, high, seeds):
    shape = [tf.shape(images)[0], 1, 1, 1]
    return keras.random.uniform(shape, low, high, "float32", seeds)


def _one_by_one(layer, images, seeds):
    """Keras takes one histogram of all images, and no contrast of none."""
    del seeds

    def one(image):
        changed = layer.transform_images(image[None], None)[0]
        return tf.ensure_shape(tf.clip_by_value(changed, *_PIXELS), image.shape)

    # Outside of a graph map_fn forgets the shape where there is no image.
    return tf.reshape(tf.map_fn(one, images), tf.shape(images))
