"""Attacks: a loss, a step rule, an initialisation and a projection, composed.

    attack = igam_tf.attacks.pgd(eps=8 / 255, num_steps=20)
    adversarial_images = attack(model, images, labels)  # any Keras classifier

Restarts are a wrapper that keeps each image's worst case; AutoAttack is an ensemble of
four attacks. All share the call above; FGSM, PGD and restarts of it also `perturb`,
the same inside a `tf.function` (adversarial training).

`igam_tf.attacks.names` knows the attacks' names without importing TensorFlow; the names
below import it when they are first used.
"""

from igam_tf import lazy

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        "APGD": "autoattack",
        "Attack": "attack",
        "AutoAttack": "autoattack",
        "FAB": "autoattack",
        "GradientAttack": "gradient_attack",
        "Restarts": "restarts",
        "SPSA": "spsa",
        "Square": "autoattack",
        "fgsm": "gradient_attack",
        "parse": "naming",
        "pgd": "gradient_attack",
        "restart_seed": "restarts",
    },
)
