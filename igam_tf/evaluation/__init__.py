"""Evaluation: how many images a classifier gets right, clean and under attack."""

from igam_tf import lazy

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        "alignment_bound": "alignment",
        "best_distances": "best_known",
        "Corruptions": "corruptions.names",
        "compare": "paired",
        "compare_corruptions": "corruptions.comparison",
        "compare_evaluations": "comparison",
        "compare_many": "paired",
        "correlation": "alignment",
        "corrupted": "corruptions.making",
        "distances_of": "curve",
        "evaluate": "accuracy",
        "gradient_statistics": "input_statistics",
        "evaluate_corruptions": "corruptions.counting",
        "linearized_robustness": "alignment",
        "masking_panel": "masking",
        "measure_alignment": "alignment",
        "measured_robustness": "distance",
        "optimality": "best_known",
        "relative_corruption_error": "corruptions.relative",
        "robust_curve": "curve",
        "success_rates": "class_pairs",
        "verify": "verified.counting",
        "wilson_interval": "statistics",
    },
)
