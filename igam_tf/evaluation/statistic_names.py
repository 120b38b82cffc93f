"""What `igam_tf.evaluation.gradient_statistics` can measure, without TensorFlow."""

#: Name in `--statistics` -> title of its column.
STATISTICS = {
    "gradient_l1": "grad L1",
    "gradient_l1_robust": "grad L1, robust",
    "gradient_l1_vulnerable": "grad L1, vulnerable",
    "gradient_l2": "grad L2",
    "hessian_norm": "Hessian norm",
    "curvature": "curvature",
    "linearity_error": "linearity error",
    "edge_correlation": "edge correlation",
}
#: Those that need to know which images withstand an attack.
BY_OUTCOME = {"gradient_l1_robust": True, "gradient_l1_vulnerable": False}


def check(name: str) -> None:
    """Raises ValueError unless `name` is that of a statistic."""
    if name not in STATISTICS:
        raise ValueError(f"{name!r} is unknown; expected names of {tuple(STATISTICS)}.")
