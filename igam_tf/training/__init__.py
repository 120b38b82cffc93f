"""Training methods, one file each; each is a `keras.Model` to compile and fit."""

from igam_tf.training import pag_targets, reference
from igam_tf.training.adversarial import AdversarialTraining
from igam_tf.training.base import TrainingMethod
from igam_tf.training.checkpoint import StudentCheckpoint
from igam_tf.training.distortions import Distortions
from igam_tf.training.edges import EdgeReg
from igam_tf.training.finetune import finetune, finetuning_optimizer, with_new_logits
from igam_tf.training.gradient_norm import GradientNormPenalty, GradNorm
from igam_tf.training.igam import IGAM
from igam_tf.training.igdm import IGDM
from igam_tf.training.jarn import JARN
from igam_tf.training.kdiga import KDIGA
from igam_tf.training.optimizers import (
    Momentum,
    cosine,
    decay_kernels_only,
    piecewise_constant,
)
from igam_tf.training.pag import PAG
from igam_tf.training.rrm import RRM
from igam_tf.training.rslad import RSLAD
from igam_tf.training.score_matching import train_score_network
from igam_tf.training.soft_labels import SoftLabels
from igam_tf.training.standard import StandardTraining

__all__ = [
    "AdversarialTraining",
    "Distortions",
    "EdgeReg",
    "GradNorm",
    "GradientNormPenalty",
    "IGAM",
    "IGDM",
    "JARN",
    "KDIGA",
    "Momentum",
    "PAG",
    "RRM",
    "RSLAD",
    "SoftLabels",
    "StandardTraining",
    "StudentCheckpoint",
    "TrainingMethod",
    "cosine",
    "decay_kernels_only",
    "finetune",
    "finetuning_optimizer",
    "pag_targets",
    "piecewise_constant",
    "reference",
    "train_score_network",
    "with_new_logits",
]
