"""The gradient-masking panel: can the robust accuracy of this model be believed?

After Athalye et al. (2018), Carlini et al. (2019) and the flags of AutoAttack (Croce &
Hein 2020): a few hundred gradient steps and Square Attack on a hundred images, and a
plain sentence from each check.
"""

from igam_tf.evaluation.masking.panel import (
    PANEL_VERSION,
    look,
    masking_panel,
    named_models,
)
from igam_tf.evaluation.masking.signs import (
    order_warnings,
    precision_warnings,
    reach_warnings,
)

__all__ = [
    "PANEL_VERSION",
    "look",
    "masking_panel",
    "named_models",
    "order_warnings",
    "precision_warnings",
    "reach_warnings",
]
