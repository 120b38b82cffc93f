"""Common corruptions (Hendrycks & Dietterich 2019): images made or read, and counted.

    igam_tf.evaluate(model, data, corruptions="all")
    igam_tf.evaluation.evaluate_corruptions(model, data, "CIFAR-10-C")

`names` lists them without TensorFlow; `making` makes them of any images, `sources`
reads the published files, `counting` classifies them.
"""

from igam_tf import lazy

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        "Corruptions": "names",
        "compare_corruptions": "comparison",
        "corrupted": "making",
        "evaluate_corruptions": "counting",
        "relative_corruption_error": "relative",
    },
)
