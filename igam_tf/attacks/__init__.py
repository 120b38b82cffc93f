"""Attacks: a loss, a step rule, an initialisation and a projection, composed.

    attack = igam_tf.attacks.pgd(eps=8 / 255, num_steps=20)
    adversarial_images = attack(model, images, labels)  # any Keras classifier

Restarts are a wrapper that keeps each image's worst case. All attacks share the call
above, and `perturb`, the same inside a `tf.function` (adversarial training).
"""

from igam_tf.attacks.attack import Attack
from igam_tf.attacks.gradient_attack import GradientAttack, fgsm, pgd
from igam_tf.attacks.naming import parse
from igam_tf.attacks.restarts import Restarts, restart_seed

__all__ = [
    "Attack",
    "GradientAttack",
    "Restarts",
    "fgsm",
    "parse",
    "pgd",
    "restart_seed",
]
