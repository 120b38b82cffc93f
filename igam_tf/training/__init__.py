"""Training methods, one file each; each is a `keras.Model` to compile and fit."""

from igam_tf.training import reference
from igam_tf.training.base import TrainingMethod
from igam_tf.training.finetune import finetune, finetuning_optimizer, with_new_logits
from igam_tf.training.igam import IGAM
from igam_tf.training.optimizers import Momentum, piecewise_constant
from igam_tf.training.standard import AdversarialTraining, StandardTraining

__all__ = [
    "AdversarialTraining",
    "IGAM",
    "Momentum",
    "StandardTraining",
    "TrainingMethod",
    "finetune",
    "finetuning_optimizer",
    "piecewise_constant",
    "reference",
    "with_new_logits",
]
