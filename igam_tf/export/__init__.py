"""Training and attacks without TensorFlow: StableHLO programs and their state.

    igam_tf.export.export_step(method, (images, labels), "step")
    # Elsewhere, with JAX and NumPy only:  python -m igam_tf.pjrt step --data=...
    igam_tf.export.import_state(method, "trained/state.npz")

The other side is `igam_tf.pjrt`.
"""

from igam_tf.export.attack import export_attack
from igam_tf.export.step import export_step
from igam_tf.export.variables import import_state

__all__ = ["export_attack", "export_step", "import_state"]
