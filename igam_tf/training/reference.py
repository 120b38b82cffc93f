"""The settings with which IGAM reproduces the authors' TensorFlow 1 code.

    method = igam_tf.IGAM(student, teacher, discriminator, **reference.arguments())
    method.compile(reference.optimizer())

`tests/golden` compares this with numbers made by their graph: twelve steps in a row in
float64 agree to 1e-5. Where the defaults of `IGAM` differ, docs/paper.md says why.
"""

from typing import Any

from igam_tf.training.optimizers import Momentum, piecewise_constant

TOTAL_STEPS = 320_000
LEARNING_RATE = 0.1


def arguments(total_steps: int = TOTAL_STEPS) -> dict[str, Any]:
    """Named arguments of `IGAM`: those of CIFAR-10 -> CIFAR-100 in `train_igam.py`.

    Args:
        total_steps: number of steps of the training; matching begins after seven
            eighths of them (280,000 of 320,000).

    Returns:
        dict of arguments.
    """
    return {
        "adversarial_weight": 2.0,
        "difference_weight": 10.0,
        "pixel_range": 255.0,
        "input_gradient_of": "probability",
        "difference_reduction": "sum",
        "teacher_batch_norm": "batch",
        "moving_variance": "unbiased",
        "matching_start": total_steps * 7 // 8,
        "discriminator_every": 5,
        "discriminator_input": "after_update",
        "weight_decay": 2e-4,
    }


def optimizer(total_steps: int = TOTAL_STEPS) -> Momentum:
    """Momentum with their schedule; the discriminator follows it by default.

    Args:
        total_steps: number of steps; the rate drops at half and at three quarters.

    Returns:
        Momentum.
    """
    return Momentum(piecewise_constant(LEARNING_RATE, total_steps), momentum=0.9)
