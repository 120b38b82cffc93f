"""Links what another run has finished with the same settings, to train it only once."""

import os
from typing import Any

from igam_tf import checkpoints, files
from igam_tf.experiment import networks, own_data, own_networks, stages
from igam_tf.experiment.experiment import FIELDS, Experiment
from igam_tf.experiment.folder import Folder
from igam_tf.experiment.plan import plan
from igam_tf.experiment.settings import OWN_DATA

#: File of the score network that a run trains for the row pag.
SCORE_NETWORK = "score_network.keras"
#: Settings on which it depends.
_OF_SCORES = (
    "target",
    "train_examples",
    "held_out_fraction",
    *OWN_DATA,
    "score_epochs",
    "precision",
    "seed",
)
#: Settings on which numbers of `--epoch_attack` depend, in every history.
_BALL = ("eps", "step_size", "norm")
#: Flag that names a file -> what `flags.json` says of the file, with its digest.
_FILES = {"teacher_checkpoint": "teacher", **own_networks.RECORDED}


def deciding_flags(
    stage: stages.Stage, by_name: dict[str, stages.Stage]
) -> frozenset[str]:
    """Flags that decide a stage's output: its own, and those of its inputs.

    Args:
        stage: a stage of a plan.
        by_name: all stages of that plan by name.
    """
    inputs = (deciding_flags(by_name[name], by_name) for name in stage.inputs)
    return stage.own_flags.union(*inputs)


def trained_stages(experiment: Experiment) -> list[tuple[stages.Stage, dict[str, Any]]]:
    """Stages of an experiment that make a model, with the settings that decide it.

    Returns:
        List of tuples (stage, dict of the deciding flags).
    """
    by_name = {stage.name: stage for stage in plan(experiment)}
    flags = experiment.flags()
    return [
        (stage, {name: flags[name] for name in deciding_flags(stage, by_name)})
        for stage in by_name.values()
        if stage.output.endswith(".keras")
    ]


def share_finished(experiment: Experiment) -> None:
    """Links what other experiments have finished with the same settings.

    A file that a setting names is the same if its contents are; a run that did not
    record them shares nothing that was made of it.

    Args:
        experiment: `Experiment` whose run folder is inside that of a table. Searched
            are the other runs of that table, and those of the tables beside it.

    Raises:
        ValueError: if a file of a neighbour is damaged, or not the one it wrote.
    """
    own, digests = Folder(experiment.run.run_dir), _digests(experiment)
    records = own_data.records(experiment)
    table = own.path.parent
    neighbors = [*table.glob("*/flags.json"), *table.parent.glob("*/*/flags.json")]
    for flags in sorted(neighbors):
        other = Folder(flags.parent, writes=False)
        if other.path.resolve() == own.path.resolve():
            continue
        # What an earlier version did not know, it did as by default.
        defaults = {name: field.default for name, field in FIELDS.items()}
        recorded = other.read_flags() or {}
        theirs = {**defaults, **recorded["settings"]}
        if recorded.get("data", {}) != records:
            continue
        _share_score_network(experiment, theirs, other, own)
        if not _has_history(experiment, theirs):
            continue
        for stage, deciding in trained_stages(experiment):
            if not _is_same(deciding, digests, theirs, recorded):
                continue
            if (own.path / stage.output).exists() or not other.is_finished(
                stage.output
            ):
                continue
            _link_stage(stage, other, own)


def _has_history(experiment, theirs):
    """Whether the histories of another run hold what is asked for, and mean it."""
    if experiment.run.epoch_attack not in ("", theirs["epoch_attack"]):
        return False
    # Otherwise they have numbers of another attack under the same name.
    flags = experiment.flags()
    return not theirs["epoch_attack"] or all(flags[k] == theirs[k] for k in _BALL)


def _is_same(deciding, digests, theirs, recorded):
    """Whether what decides a stage is the same in another run.

    Files are the same by their contents, wherever they are.
    """
    for flag, value in deciding.items():
        known = digests.get(flag)
        # A function may be called otherwise, and do something else in its layers.
        is_file = flag != "student_model" or own_networks.is_file(value)
        if not (known and is_file) and _plain(value) != _plain(theirs[flag]):
            return False
        made_of = recorded.get(_FILES.get(flag)) or {}
        if known and made_of.get("sha256") not in known:
            return False
    return True


def _share_score_network(experiment, theirs, other, own):
    """The score network of pag, which depends on the data and few settings only."""
    settings = experiment.settings_of("pag")
    wanted = "pag" in experiment.methods and settings.targets == "sbg"
    if not wanted or settings.score_model or (own.path / SCORE_NETWORK).exists():
        return
    flags = experiment.flags()
    if any(_plain(flags[name]) != _plain(theirs[name]) for name in _OF_SCORES):
        return
    if other.is_finished(SCORE_NETWORK):
        if digest := other.digest_of(SCORE_NETWORK):
            own.record_digest(SCORE_NETWORK, digest)
        _link(other.path / SCORE_NETWORK, own.file(SCORE_NETWORK))


def _digests(experiment):
    """What may have been recorded of the files that settings name, by flag."""
    found = own_networks.known_digests(experiment)
    if path := experiment.teacher.checkpoint:
        with networks.naming_checkpoint(path):
            found["teacher_checkpoint"] = checkpoints.known_digests(path)
    return found


def _link_stage(stage, other, own):
    # The history first: a stage with a model is finished.
    history = other.path / stage.name / "history.csv"
    if history.exists():
        _link(history, own.file(stage.name, "history.csv"))
    if digest := other.digest_of(stage.output):
        own.record_digest(stage.output, digest)
    _link(other.path / stage.output, own.file(stage.output))


def _plain(value):
    """A setting as JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def _link(source, target):
    try:
        os.link(source, target)
    except OSError:
        # Another file system, or one without links.
        files.copy(source, target)
