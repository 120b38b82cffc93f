"""Settings of how a run runs: where, on which devices, in which precision."""

import dataclasses

from igam_tf.experiment.setting import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Settings that say little about what is trained; see `Experiment`."""

    run_dir: str = setting(
        "",
        "Run folder; runs/SOURCE_to_TARGET-HASH, or runs/TABLE-SIZE of a table, if left "
        "out.",
        may_change=True,
    )
    seed: int = setting(
        0, "Seed of everything random.", at_least=0, at_most=2**31 - 1
    )
    strategy: str = setting(
        "auto",
        "mirrored over local devices, multiworker (machines in TF_CONFIG), one device, "
        "or auto.",
        may_change=True,
        choices=("auto", "one", "mirrored", "multiworker"),
    )
    devices: int = setting(
        0, "Local replicas; 0 for all GPUs, or one CPU.", may_change=True, at_least=0
    )
    precision: str = setting(
        "float32",
        "What networks compute in; weights are float32.",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    micro_batch: int = setting(
        0,
        "Images of a replica in memory at once, gradients added up over the batch; 0 "
        "for the whole batch.",
        at_least=0,
    )
    jit_compile: str = setting(
        "auto",
        "XLA: auto is on a GPU only.",
        may_change=True,
        choices=("auto", "true", "false"),
    )
    steps_per_execution: int = setting(
        1,
        "Training steps per call of the compiled function, at most; a divisor of the "
        "steps of an epoch is taken.",
        may_change=True,
        at_least=1,
    )
