"""Loads, describes and converts TF1 checkpoints of MadryLab and the IGAM authors."""

from igam_tf.checkpoints.convert import convert
from igam_tf.checkpoints.describe import CheckpointInfo, describe
from igam_tf.checkpoints.digest import digest
from igam_tf.checkpoints.errors import CheckpointError
from igam_tf.checkpoints.fetch import fetch
from igam_tf.checkpoints.load import load, load_madry, load_weights
from igam_tf.checkpoints.save import save_tf1
from igam_tf.checkpoints.tf1.parts import Part

__all__ = [
    "CheckpointError",
    "CheckpointInfo",
    "Part",
    "convert",
    "describe",
    "digest",
    "fetch",
    "load",
    "load_madry",
    "load_weights",
    "save_tf1",
]
