"""Loads networks from files: TF1 checkpoints, Keras' files, SavedModels."""

from igam_tf.checkpoints.classifiers import load_classifier
from igam_tf.checkpoints.convert import convert
from igam_tf.checkpoints.describe import CheckpointInfo, describe
from igam_tf.checkpoints.digest import digest, known_digests
from igam_tf.checkpoints.errors import CheckpointError
from igam_tf.checkpoints.fetch import fetch
from igam_tf.checkpoints.load import load, load_madry, load_weights
from igam_tf.checkpoints.load_into import load_into
from igam_tf.checkpoints.save import save_tf1
from igam_tf.checkpoints.tf1.locate import KERAS_SUFFIXES
from igam_tf.checkpoints.tf1.parts import Part

__all__ = [
    "CheckpointError",
    "CheckpointInfo",
    "KERAS_SUFFIXES",
    "Part",
    "convert",
    "describe",
    "digest",
    "fetch",
    "known_digests",
    "load",
    "load_classifier",
    "load_into",
    "load_madry",
    "load_weights",
    "save_tf1",
]
