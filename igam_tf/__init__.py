"""Robust classifiers through input gradients, for Keras and TensorFlow 2.

`import igam_tf` is cheap: TensorFlow is imported when a name that needs it is first
used, so that `run.py --help` answers at once.
"""

from igam_tf import backend, lazy

__version__ = "0.1.0"

backend.warn_of_others()

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        # Rooms.
        "adapters": None,
        "attacks": None,
        "cards": None,
        "checkpoints": None,
        "data": None,
        "distribution": None,
        "evaluation": None,
        "experiment": None,
        "export": None,
        "gradients": None,
        "models": None,
        "pjrt": None,
        "reports": None,
        "training": None,
        "transforms": None,
        "zoo": None,
        # Names.
        "AutoAttack": "attacks",
        "EdgeReg": "training",
        "GradNorm": "training",
        "IGAM": "training",
        "IGDM": "training",
        "JARN": "training",
        "KDIGA": "training",
        "PAG": "training",
        "RRM": "training",
        "RSLAD": "training",
        "StandardTraining": "training",
        "AdversarialTraining": "training",
        "finetune": "training",
        "evaluate": "evaluation",
        "export_attack": "export",
        "export_step": "export",
        "import_state": "export",
        "input_gradient": "gradients",
        "load": "cards",
    },
    defined=["__version__"],
    moved={
        "directions": "derivatives.directions",
        "moments": "derivatives.moments",
        "padding": "transforms.padding",
        "replacement": "derivatives.replacement",
        "resizing": "derivatives.resizing",
        "second_derivatives": "derivatives.second_derivatives",
        "seen_pixels": "transforms.seen_pixels",
    },
)
