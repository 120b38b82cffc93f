"""Runs the stages of a plan: devices, seeds, folder, resume. It knows no method."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from igam_tf import data, distribution
from igam_tf.data import registry
from igam_tf.experiment import own_data, own_networks, preflight, reading, results
from igam_tf.experiment.experiment import Experiment
from igam_tf.experiment.folder import RunFolder
from igam_tf.experiment.plan import plan
from igam_tf.experiment.setup import jit_compile
from igam_tf.settings import naming

if TYPE_CHECKING:
    from igam_tf.experiment.stages import Stage


def run(
    experiment: Experiment, *, changes: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """Runs an experiment to its table.

    Args:
        experiment: `igam_tf.experiment.Experiment`.
        changes: where the settings differ from the recipe, such as "width 1 (recipe:
            10)"; they are recorded in the results. None: those of an earlier session.

    Returns:
        The contents of `results.json`, and the run folder under "run_dir".

    Raises:
        ValueError: if data, checkpoint, transform or folder do not fit the settings;
            before any training.
        igam_tf.training.callbacks.TrainingDivergedError: if a loss becomes NaN.
        igam_tf.errors.WorkerLostError: if another worker went away.
    """
    with distribution.precision(experiment.run.precision):
        preflight.check_packages(experiment)
        this = Run(experiment, changes)
        with distribution.noticing_lost_workers(this.strategy), this.folder.in_use():
            this.say(this.devices())
            preflight.check_shared_folder(this.folder, this.strategy)
            this.read_target()
            own_networks.check_recorded(experiment, this.folder)
            said = preflight.check_rows(experiment, this.target, this.strategy)
            this.say(f"Run folder: {this.folder.path}")
            for sentence in said:
                this.say(sentence)
            this.execute(plan(experiment, finished_rows=this.folder.finished_rows()))
            found = this.folder.read_json("results.json") if this.is_chief else {}
            return {**found, "run_dir": str(this.folder.path)}


class Run:
    """A run in progress: what its stages work with.

    Args:
        experiment: the settings.
        changes: see `run`.

    Attributes:
        strategy: the `tf.distribute` strategy that trains.
        is_chief: whether this process writes and prints.
        folder: `RunFolder`.
        target: `igam_tf.data.Task` of the target, after `read_target`.
        models: models that stages made in this session, by the names of the stages.
        traced: models that attacks were compiled for, by their configurations.
    """

    target: data.Task

    def __init__(
        self, experiment: Experiment, changes: tuple[str, ...] | None = None
    ) -> None:
        self.experiment = experiment
        self.changes = changes
        # First of all: TensorFlow connects to other workers before it does anything.
        with naming("--devices, --strategy"):
            self.strategy = distribution.strategy(
                experiment.run.strategy, devices=experiment.run.devices
            )
        self.is_chief = distribution.is_chief(self.strategy)
        self.folder = RunFolder(experiment, writes=self.is_chief)
        self.models: dict[str, keras.Model] = {}
        self.traced: dict[str, keras.Model] = {}

    def devices(self) -> str:
        """What it trains on, in a line."""
        return distribution.describe(
            self.strategy,
            precision=self.experiment.run.precision,
            jit_compile=jit_compile(self.experiment),
        )

    def read_target(self) -> None:
        """Reads the data of the target task."""
        self.target = self._told("target", reading.read_target(self.experiment))

    @property
    def is_streamed(self) -> bool:
        """Whether the target's training images are read as training goes."""
        return self.target.train.is_streamed

    def read_source(self) -> data.Task:
        """The data of the source task."""
        return self._told("source", reading.read_source(self.experiment))

    def _told(self, role, found):
        is_own = registry.is_own(getattr(self.experiment.data, role))
        if is_own:
            own_data.complete(self.experiment, self.folder)
        if is_own or found.train.is_streamed or found.held_out_fraction:
            self.say(own_data.sentence(role, found))
        return found

    def execute(self, stages: Sequence[Stage]) -> None:
        """Runs the unfinished stages of a plan, in order."""
        stages = self._needed(stages)
        self._say_what_is_finished(stages)
        for number, stage in enumerate(stages):
            if stage.chief_only:
                # No stage has recorded the run if all trainings were finished before.
                self.record()
                if not self.is_chief:
                    continue
                finished = stage.is_finished(self)
            else:
                finished = self._is_finished(stage)
            if not finished:
                made = stage.run(self)
                if made is not None:
                    self.models[stage.name] = made
            later = [s for s in stages[number + 1 :] if not s.chief_only]
            needed = {name for stage in later for name in stage.inputs}
            self.models = {k: m for k, m in self.models.items() if k in needed}
        distribution.wait_for_all(self.strategy)

    def _say_what_is_finished(self, stages):
        """What a run that goes on will not do again."""
        if not self.is_chief:
            return
        done = [s.name for s in stages if s.output and s.is_finished(self)]
        if done:
            self.say(f"Finished already, and not done again: {', '.join(done)}.")

    def _needed(self, stages):
        """Without intermediate stages that no unfinished stage takes a model of."""
        inputs: set[str] = set()
        needed = []
        for stage in reversed(stages):
            if stage.is_intermediate and stage.name not in inputs:
                continue
            needed.append(stage)
            if not self._is_finished(stage):
                inputs.update(stage.inputs)
        return needed[::-1]

    def _is_finished(self, stage):
        """The first worker's answer: others may look after it has written the file."""
        finished = stage.is_finished(self)
        if not distribution.is_multiworker(self.strategy):
            return finished
        return bool(distribution.from_first_worker(self.strategy, int(finished)))

    def model(self, stage: str, output: str) -> keras.Model:
        """The model of a finished stage: that of this session, or from the folder.

        Args:
            stage: name of the stage.
            output: its file in the run folder.
        """
        if stage not in self.models:
            self.models[stage] = self.folder.load_model(output, self.strategy)
        return self.models[stage]

    @functools.cached_property
    def local_strategy(self) -> tf.distribute.Strategy:
        """For what one worker does alone."""
        return distribution.local(self.strategy)

    @functools.cached_property
    def transfer_sources(self) -> dict[str, keras.Model]:
        """Models whose adversarial images the evaluation tries on every row."""
        return results.transfer_sources(self)

    @functools.cached_property
    def _made_of(self):
        """Files and functions that students are made of, as they were read."""
        return own_networks.recorded(self.experiment)

    def record(self) -> None:
        """Writes what the run is into its folder."""
        self.folder.record(self.experiment, self.changes, self._made_of)

    def seed(self, purpose: str) -> int:
        """A seed for each purpose, so that a resumed run draws the same numbers."""
        text = f"{self.experiment.run.seed} {purpose}"
        return zlib.crc32(text.encode()) % 2**31

    def say(self, text: str) -> None:
        """Prints, in one process."""
        if self.is_chief:
            print(text, flush=True)

    def finish(self, stage: str, model: keras.Model, output: str) -> None:
        """Saves the model of a stage and removes its checkpoints."""
        self.record()
        self.folder.save_model(model, output)
        self.folder.remove(stage, "checkpoints")
        distribution.wait_for_all(self.strategy)
