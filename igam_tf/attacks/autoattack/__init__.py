"""AutoAttack and the attacks it consists of.

    attack = igam_tf.AutoAttack(eps=8 / 255, norm="linf", version="standard")
    adversarial_images = attack(model, images, labels)  # any Keras classifier

Each is usable alone: `APGD`, `FAB`, `Square`. They follow the authors' code (F. Croce,
M. Hein: Reliable evaluation of adversarial robustness with an ensemble of diverse
parameter-free attacks, ICML 2020), which `benchmarks/parity/autoattack_reference.py` compares
them with.
"""

from igam_tf.attacks.autoattack.apgd import APGD
from igam_tf.attacks.autoattack.autoattack import AutoAttack
from igam_tf.attacks.autoattack.campaign import Outcome
from igam_tf.attacks.autoattack.fab import FAB
from igam_tf.attacks.autoattack.meter import Progress
from igam_tf.attacks.autoattack.square import Square

__all__ = ["APGD", "AutoAttack", "FAB", "Outcome", "Progress", "Square"]
