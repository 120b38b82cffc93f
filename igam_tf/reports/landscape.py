"""Loss and decision surfaces around an image: Figure 7 of the paper."""

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.attack import Attack
from igam_tf.attacks.classifier import num_classes
from igam_tf.attacks.engine.compilation import compiled_logits
from igam_tf.attacks.l1 import l1_step
from igam_tf.data import check_images, check_labels
from igam_tf.evaluation.batches import by_batch
from igam_tf.gradients import input_gradient
from igam_tf.losses import cross_entropy


def loss_surface(
    model: keras.Model,
    image: np.ndarray,
    label: int,
    *,
    eps: float,
    norm: str = "linf",
    extent: float = 2.0,
    num_points: int = 61,
    attack: Attack | None = None,
    batch_size: int = 256,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Loss and predicted class on a plane of images around a given one.

    The plane is spanned by the model's adversarial direction and a random one of equal
    length: x + eps (a u + b v), clipped to [0, 1] as an attacker's images are.

    Args:
        model: Keras model from images to logits.
        image: float32 array (height, width, channels) in [0, 1].
        label: integer, its class.
        eps: length of both directions in the norm.
        norm: "linf": the sign of the loss gradient, and random signs (Rademacher).
            "l2": both divided by their L2 length, the second one orthogonal to the
            first. "l1": the few largest values of the gradient, a step of PGD in that
            norm, and random signs of the other pixels, both divided by their L1 length.
        extent: a and b go from -extent to extent.
        num_points: points on each side of the grid.
        attack: attack of `igam_tf.attacks` whose perturbation, in place of the
            gradient, is the adversarial direction; in the same norm. It is divided by
            its eps, so that a = 1 is a perturbation of size `eps` at most.
        batch_size: images at once.
        seed: integer, of the random direction: equal for all models.

    Returns:
        Dict: "steps", float array (num_points,), the values of a and b; "loss", the
        cross entropy of the label, and "classes", the predicted ones: arrays
        (num_points, num_points) whose first index is b, of the random direction.

    Raises:
        ValueError: if an argument does not fit, or the loss or gradient is not finite.
    """
    # Over forty lines because of its arguments.
    image = _checked_image(model, image, label)
    checks.one_of("norm", norm, checks.ALL_NORMS)
    checks.radius("eps", eps, norm)
    for name, value in {"num_points": num_points, "batch_size": batch_size}.items():
        checks.whole_number(name, value, 2 if name == "num_points" else 1)
    checks.seed(seed)
    if not (np.isfinite(extent) and extent > 0):
        raise ValueError(f"extent is {extent}: expected a number above 0.")
    if attack is not None and (attack.norm != norm or not attack.eps > 0):
        raise ValueError(
            f"{attack} for a plane in {norm}: expected an attack in that norm with an "
            "eps above 0."
        )
    adversarial, random = _directions(model, image, label, norm, attack, seed)
    steps = np.linspace(-extent, extent, num_points)
    grids = np.meshgrid(steps, steps, indexing="ij")
    b, a = (grid.reshape(-1, 1, 1, 1) for grid in grids)
    logits = _logits(model, image, eps * a, eps * b, adversarial, random, batch_size)
    labels = np.full(len(logits), label)
    # In float64: neighbours on the grid differ by little.
    losses = cross_entropy(logits.astype(np.float64), labels).numpy()
    if not np.isfinite(losses).all():
        raise ValueError(
            f"the loss of model {model.name!r} is not finite near the image: expected "
            "numbers; look at how its weights were trained or loaded."
        )
    square = (num_points, num_points)
    return {
        "steps": steps,
        "loss": losses.reshape(square),
        "classes": logits.argmax(axis=1).reshape(square),
    }


def _checked_image(model, image, label):
    image = np.asarray(image)
    if image.ndim != 3:
        raise ValueError(
            f"image has shape {image.shape}: expected one image, (height, width, "
            "channels)."
        )
    check_images(image[None])
    check_labels(np.asarray([label]), num_classes(model, image[None]))
    return image


def _directions(model, image, label, norm, attack, seed):
    """The adversarial and the random direction: arrays like the image, of length 1."""
    batch, labels = tf.constant(image[None]), tf.constant([label], tf.int32)
    if attack is not None:
        found = attack(model, image[None], np.int32([label]))[0]
        adversarial = (found - image) / attack.eps
    else:
        gradient = input_gradient(model, batch, labels, of="loss").numpy()[0]
        if not np.isfinite(gradient).all():
            raise ValueError(
                f"the input gradient of model {model.name!r} is not finite."
            )
        adversarial = {
            "linf": np.sign,
            "l2": _unit,
            "l1": lambda g: l1_step(tf.constant(g[None]), batch).numpy()[0],
        }[norm](gradient)
    random = np.random.default_rng(seed).choice([-1.0, 1.0], image.shape)
    if norm == "l1":
        # No pixel in common: the lengths of both add up.
        if attack is None and adversarial.all():
            # Of values that are all equally large, every other one is as steep a step.
            adversarial = adversarial * (np.arange(adversarial.size) % 2 == 0).reshape(
                adversarial.shape
            )
            adversarial /= np.abs(adversarial).sum()
        random = random * (adversarial == 0)
        if not random.any():
            what = "a step along the gradient" if attack is None else attack
            raise ValueError(
                f"{what} changes every pixel: expected some that it leaves for the "
                "other direction of the plane; pass another attack, or None."
            )
        random /= np.abs(random).sum()
    if norm == "l2":
        unit = _unit(adversarial)
        random = _unit(random - np.sum(random * unit) * unit)
    return adversarial.astype(np.float32), random.astype(np.float32)


def _logits(model, image, a, b, adversarial, random, batch_size):
    """Logits (points, classes) of all points; a batch of images is made at a time."""

    def call(_, a, b):
        moved = image + a * adversarial + b * random
        return compiled_logits(model, np.clip(moved, 0, 1).astype(np.float32))

    batch_size = min(batch_size, len(a))
    starts = range(0, len(a), batch_size)
    sizes = [min(batch_size, len(a) - start) for start in starts]
    return by_batch(call, (a, b), sizes, padded_size=batch_size)


def _unit(array):
    """The array divided by its L2 length; zeros stay."""
    # In float64: squares of tiny gradients would vanish.
    array = np.asarray(array, np.float64)
    length = np.linalg.norm(array)
    return array / length if length > 0 else array
