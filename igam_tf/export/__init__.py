"""Training and attacks without TensorFlow: StableHLO programs and their state.

    igam_tf.export.export_step(method, (images, labels), "step")
    # Elsewhere, with JAX and NumPy only:
    #     python -m igam_tf.export.runner step --data=...
    igam_tf.export.import_state(method, "trained/state.npz")

`igam_tf.export.runner` is the other side, and needs no TensorFlow; so the names of this
one are imported when they are first used.
"""

from igam_tf import lazy

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        "export_attack": "attack",
        "export_step": "step",
        "import_state": "variables",
        "runner": None,
    },
)
