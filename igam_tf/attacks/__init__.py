"""Attacks: a loss, a step rule, a random start and a projection, composed.

    attack = igam_tf.attacks.pgd(eps=8 / 255, num_steps=20)
    adversarial_images = attack(model, images, labels)  # any Keras classifier

Restarts are a wrapper that keeps each image's worst case; AutoAttack is an ensemble of
four attacks. All share the call above. A `GraphAttack` (FGSM, PGD, restarts of it) can
also `perturb`, the same inside a `tf.function` (adversarial training); the others run
from Python on the images that are left (`StepwiseAttack`: APGD, FAB, Square, SPSA, and
FMN and DDN, which find the smallest perturbation of each image).

`igam_tf.attacks.names` lists the attacks' names without importing TensorFlow; the names
below import it when they are first used.
"""

from igam_tf import lazy

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        "APGD": "apgd",
        "Attack": "attack",
        "AutoAttack": "autoattack",
        "DDN": "ddn",
        "FAB": "fab",
        "FMN": "fmn",
        "GradientAttack": "gradient_attack",
        "GraphAttack": "attack",
        "MinimumNormAttack": "minimum_norm",
        "Restarts": "restarts",
        "SPSA": "spsa",
        "Square": "square",
        "StepwiseAttack": "stepwise",
        "TargetedPGD": "targeted",
        "fgsm": "gradient_attack",
        "parse": "names",
        "pgd": "gradient_attack",
        "restart_seed": "geometry",
    },
)
