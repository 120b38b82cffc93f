"""The settings of an experiment in groups of what belongs together.

`run.py` makes a flag of every field of every group; those of a method are defined
beside its class, in `igam_tf.training`.
"""

from igam_tf.experiment.settings.networks import (
    NETWORKS,
    FinetuningSettings,
    StudentSettings,
    TeacherSettings,
)
from igam_tf.experiment.settings.run import (
    OWN_DATA,
    DataSettings,
    EvaluationSettings,
    RunSettings,
    TableSettings,
    own_options,
)
from igam_tf.experiment.settings.training import (
    AttackSettings,
    MatchingSettings,
    PenaltySettings,
    TrainingSettings,
)

__all__ = [
    "AttackSettings",
    "DataSettings",
    "EvaluationSettings",
    "FinetuningSettings",
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
