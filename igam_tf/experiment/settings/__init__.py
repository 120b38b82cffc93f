"""The settings of an experiment in groups of what belongs together.

`run.py` makes a flag of every field of every group; those of a method are defined
beside its class, in `igam_tf.training`.
"""

from igam_tf.experiment.settings.evaluation import EvaluationSettings
from igam_tf.experiment.settings.networks import (
    NETWORKS,
    FinetuningSettings,
    StudentSettings,
    TeacherSettings,
)
from igam_tf.experiment.settings.run import (
    OWN_DATA,
    DataSettings,
    RunSettings,
    TableSettings,
    own_options,
)
from igam_tf.experiment.settings.training import (
    AttackSettings,
    AugmentingSettings,
    MatchingSettings,
    PenaltySettings,
    TrainingSettings,
)

#: Flags that came later: they are part of the name of a run folder only where they are
#: given, so that folders of earlier versions are found.
LATER = frozenset(
    {
        *OWN_DATA,
        *AugmentingSettings.flag_names(),
        "teacher_input_range",
        "student_checkpoint",
        "natural_finetune_epochs",
        "patch_size",
        "learning_rate_schedule",
        "learning_rate_warmup",
        "learning_rate_end",
        "gradient_clip_norm",
        "weights_ema",
        "gradient_norm_difference_step",
        "rslad_alpha",
        "rslad_steps",
        "igdm_weight",
        "igdm_rslad_alpha",
        "igdm_steps",
        "rrm_weight",
        "rrm_cross_entropy_weight",
        "matching_distance",
        "kdiga_distance",
        "held_out_fraction",
        "igam_distillation_weight",
        "igam_temperature",
        "adversarial_step_size",
        "adversarial_random_start",
        "edge_gradient_of",
        "statistics",
        "epoch_attack",
        "corruptions",
        "severities",
    }
)

__all__ = [
    "AttackSettings",
    "AugmentingSettings",
    "DataSettings",
    "EvaluationSettings",
    "FinetuningSettings",
    "LATER",
    "MatchingSettings",
    "NETWORKS",
    "OWN_DATA",
    "PenaltySettings",
    "RunSettings",
    "StudentSettings",
    "TableSettings",
    "TeacherSettings",
    "TrainingSettings",
    "own_options",
]
