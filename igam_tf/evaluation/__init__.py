"""Evaluation: how many images a classifier gets right, clean and under attack."""

from igam_tf.evaluation.accuracy import evaluate
from igam_tf.evaluation.intervals import wilson_interval

__all__ = ["evaluate", "wilson_interval"]
