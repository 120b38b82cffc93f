"""Verified bounds: images of which no perturbation at all is misclassified.

An attack's accuracy is an upper bound of the robust accuracy; what is proved here is a
lower one. `network` reads a Keras model as matrices and ReLUs, `bounds` bounds them
linearly, `exact` decides what that leaves open, `counting` counts.
"""

from igam_tf import lazy

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        "PiecewiseLinear": "network",
        "margins": "bounds",
        "read_network": "network",
        "verify": "counting",
    },
)
