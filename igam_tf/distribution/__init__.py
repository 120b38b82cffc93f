"""Where and how a training computes: devices, machines, precision, XLA."""

from igam_tf.distribution.computation import PRECISIONS, precision, resolve_jit_compile
from igam_tf.distribution.devices import describe
from igam_tf.distribution.strategies import STRATEGIES, strategy
from igam_tf.distribution.workers import (
    from_first_worker,
    is_chief,
    is_multiworker,
    local,
    noticing_lost_workers,
    wait_for_all,
)
from igam_tf.streams import set_seed

__all__ = [
    "PRECISIONS",
    "STRATEGIES",
    "describe",
    "from_first_worker",
    "is_chief",
    "is_multiworker",
    "local",
    "noticing_lost_workers",
    "precision",
    "resolve_jit_compile",
    "set_seed",
    "strategy",
    "wait_for_all",
]
