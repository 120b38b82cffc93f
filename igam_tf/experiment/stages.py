"""The stages of a run: teacher, finetune, rows; `results.py` evaluates and reports.

A stage whose file is in the run folder is not run again; an interrupted training goes
on at the epoch where it stopped.
"""

import dataclasses
import functools
import zlib

from igam_tf import attacks, data, distribution, models, training
from igam_tf.data import registry
from igam_tf.experiment import checks, config, controls, methods, networks, results
from igam_tf.experiment import teacher_check
from igam_tf.experiment.alignment import Alignment
from igam_tf.experiment.folder import RunFolder
from igam_tf.training import callbacks, matched

VALIDATION_EXAMPLES = 1000


def run(experiment, *, changes=None):
    """Runs an experiment to its table.

    Args:
        experiment: `igam_tf.experiment.Experiment`.
        changes: where the settings differ from the recipe, such as "width 1 (recipe:
            10)"; they stand in the results. None: what an earlier session said.

    Returns:
        The contents of `results.json`, and under "run_dir" where it lies.

    Raises:
        ValueError: if data, checkpoint, transform or folder do not fit the settings;
            before any training.
        igam_tf.training.callbacks.TrainingDivergedError: if a loss becomes NaN.
        igam_tf.errors.WorkerLostError: if another worker went away.
    """
    with distribution.precision(experiment.precision):
        this = _Run(experiment, changes)
        with distribution.noticing_lost_workers(this.strategy), this.folder.in_use():
            this.prepare()
            return this.run()


class _Run:
    def __init__(self, experiment, changes):
        self.experiment = experiment
        self.changes = changes
        # First of all: TensorFlow connects to other workers before it does anything.
        with checks.naming("--devices, --strategy"):
            self.strategy = distribution.strategy(
                experiment.strategy, devices=experiment.devices
            )
        self.is_chief = distribution.is_chief(self.strategy)
        self.folder = RunFolder(experiment, writes=self.is_chief)

    def prepare(self):
        """Reads the target's data, and makes all checks that need it."""
        experiment = self.experiment
        checks.check_shared_folder(self.folder, self.strategy)
        self.target = data.read(
            experiment.target,
            experiment.data_dir or None,
            train_examples=experiment.train_examples or None,
            test_examples=experiment.eval_examples or None,
            download=experiment.download,
        )
        checks.check_batch(experiment, "batch_size", self.target.train, self.strategy)
        checks.check_rows(experiment, self.target)

    def run(self):
        experiment = self.experiment
        self._print(f"Run folder: {self.folder.path}")
        needs_teacher = set(config.WITH_TEACHER) & set(experiment.methods)
        teacher = self.teacher() if needs_teacher else None
        for row in experiment.rows:
            self.row(row, teacher)
        # Where a table has linked every stage, nothing has recorded the run yet.
        self.folder.record(self.experiment, self.changes)
        found = self._results() if self.is_chief else {}
        distribution.wait_for_all(self.strategy)
        return {**found, "run_dir": str(self.folder.path)}

    def _results(self):
        """Table and figures, made by one worker alone."""
        strategy = distribution.local(self.strategy)
        found = results.evaluate(self.experiment, self.folder, self.target, strategy)
        results.report(found, self.folder, self.target, strategy)
        return found

    def _print(self, text):
        if self.is_chief:
            print(text, flush=True)

    # Stage 1: the robust teacher.

    def teacher(self, control=""):
        """The robust teacher of the source task, loaded or trained, or a control's."""
        stage = controls.stage("teacher", control)
        finished = self.folder.load_model(f"{stage}.keras", self.strategy)
        if finished is not None:
            self._measure_teacher(control)
            return finished
        experiment = self.experiment
        is_loaded = bool(experiment.teacher_checkpoint) and not control
        with self.strategy.scope():
            distribution.set_seed(self._seed("teacher"))
            if is_loaded:
                teacher = networks.loaded_teacher(experiment)
            else:
                teacher = networks.untrained_teacher(experiment)
            self._check_teacher(teacher)
        self.folder.require_space(teacher.count_params())
        self._measure_teacher(control)
        if not is_loaded and control != "random_teacher":
            self._train_teacher(teacher, stage, is_robust=not control)
        self._finish(stage, teacher, f"{stage}.keras")
        return teacher

    def _measure_teacher(self, control):
        if not control:
            teacher_check.check(
                self.experiment, self.folder, self.strategy, self.changes
            )

    def _check_teacher(self, teacher):
        """Everything that the later stages need to fit together, before they start."""
        finetuned = self._with_new_logits(teacher)
        self._print(teacher_check.seen(self.experiment, finetuned))
        for method in {"igam", "kdiga"} & set(self.experiment.methods):
            student = networks.student(self.experiment)
            methods.TRAINED[method](self.experiment, student, finetuned, total_steps=100)

    def _train_teacher(self, teacher, stage, *, is_robust):
        experiment = self.experiment
        source = data.read(
            experiment.source,
            experiment.data_dir or None,
            train_examples=experiment.source_train_examples or None,
            test_examples=experiment.eval_examples or None,
            download=experiment.download,
        )
        checks.check_batch(
            experiment, "teacher_batch_size", source.train, self.strategy
        )
        batch_size, epochs = experiment.teacher_batch_size, experiment.teacher_epochs
        attack = None
        if is_robust:
            attack = attacks.pgd(
                eps=experiment.teacher_eps,
                step_size=experiment.teacher_step_size,
                num_steps=experiment.teacher_steps,
            )
        with self.strategy.scope():
            # Adversarial training without an attack is plain training.
            method = training.StandardTraining(
                teacher,
                attack=attack,
                weight_decay=experiment.teacher_weight_decay,
                micro_batch=experiment.micro_batch or None,
                seed=self._seed("teacher"),
            )
            method.compile(
                networks.optimizer(
                    experiment.teacher_optimizer,
                    experiment.teacher_learning_rate,
                    epochs * data.steps_per_epoch(source.train, batch_size),
                    # MadryLab's MNIST challenge: Adam at one rate.
                    constant=experiment.teacher_optimizer == "adam",
                ),
                jit_compile=methods.jit_compile(experiment),
            )
        augmentation = registry.find(experiment.source).augmentation
        self._fit(method, stage, source, epochs, batch_size, augmentation)

    # Stages 2 and 3: the finetuned teacher and the rows of the table.

    def row(self, row, teacher):
        """The model of one row of the table, trained unless it is finished."""
        name = f"{row}/student.keras"
        if self.folder.is_finished(name):
            return
        if row == "finetune":
            self.finetuned(teacher, "finetune", name)
        else:
            student = self._train_row(row, teacher)
            self._finish(row, student, name)

    def finetuned(self, teacher, stage, name):
        """The teacher with new logits, trained on natural images of the target task."""
        experiment = self.experiment
        finished = self.folder.load_model(name, self.strategy)
        if finished is not None:
            return finished
        epochs = {
            "finetune": experiment.baseline_finetune_epochs,
            "finetuned": experiment.finetune_epochs,
        }[controls.split(stage)[0]]
        with self.strategy.scope():
            distribution.set_seed(self._seed("finetune"))
            model = self._with_new_logits(teacher)
            method = training.StandardTraining(model, seed=self._seed("finetune"))
            method.compile(
                training.finetuning_optimizer(),
                jit_compile=methods.jit_compile(experiment),
            )
        self._fit(method, stage, self.target, epochs, experiment.batch_size)
        self._finish(stage, model, name)
        return model

    def _with_new_logits(self, teacher):
        experiment = self.experiment
        with checks.naming("--input_transform, or the teacher"):
            return training.with_new_logits(
                teacher,
                num_classes=self.target.num_classes,
                image_shape=self.target.image_shape,
                input_transform=experiment.input_transform,
                batch_norm=experiment.teacher_batch_norm,
            )

    def _train_row(self, row, teacher):
        experiment = self.experiment
        method_name, control = controls.split(row)
        finetuned = None
        if method_name in config.WITH_TEACHER:
            other = control if control in controls.OTHER_TEACHERS else ""
            stage = controls.stage("finetuned", other)
            teacher = self.teacher(other) if other else teacher
            finetuned = self.finetuned(teacher, stage, f"{stage}.keras")
        initial = None
        if (method_name, experiment.gradient_norm_start) == ("gradient_norm", "standard"):
            self.row("standard", teacher)
            initial = self.folder.load_model("standard/student.keras", self.strategy)
        more, batches = {}, {}
        if method_name == "pag":
            aligned = Alignment(
                experiment, self.folder, self.target, self.strategy, self._seed("pag")
            )
            more, batches = {"targets": aligned.targets}, {"batches": aligned.batches}
        if method_name in controls.METHODS:
            more["matched_to"] = controls.matched_to(control)
        batch_size, epochs = experiment.batch_size, experiment.epochs
        total_steps = epochs * data.steps_per_epoch(self.target.train, batch_size)
        with self.strategy.scope():
            # One seed for all rows: they start from the same weights.
            distribution.set_seed(self._seed("student"))
            student = networks.student(experiment, method_name)
            self.folder.require_space(student.count_params())
            if initial is not None:
                student.set_weights(initial.get_weights())
            method = methods.TRAINED[method_name](
                experiment, student, finetuned, total_steps, **more
            )
        if more.get("matched_to") in matched.WITH_PARTNERS:
            batches["partners"] = more["matched_to"]
        self._fit(method, row, self.target, epochs, batch_size, **batches)
        return student

    def _fit(
        self,
        method,
        stage,
        task,
        epochs,
        batch_size,
        augmentation=None,
        batches=None,
        partners=None,
    ):
        """Trains from the newest checkpoint of the stage to its last epoch."""
        if augmentation is None:
            augmentation = dataclasses.replace(
                registry.find(task.name).augmentation, noise=self.experiment.image_noise
            )
        if batches is None:
            batches = functools.partial(
                data.training_batches,
                task.train,
                augmentation=augmentation,
                partners=partners,
            )
        self.folder.record(self.experiment, self.changes)
        steps_per_epoch = data.steps_per_epoch(task.train, batch_size)
        # An execution must not run into the next epoch's batches.
        method.steps_per_execution = _largest_divisor(
            steps_per_epoch, self.experiment.steps_per_execution
        )
        checkpoint = callbacks.Checkpoint(self.folder.file(stage, "checkpoints"))
        first_epoch = checkpoint.restore(method)
        if first_epoch:
            self._print(f"{stage}: going on after epoch {first_epoch}")
        held_out = data.Split(
            task.test.images[:VALIDATION_EXAMPLES], task.test.labels[:VALIDATION_EXAMPLES]
        )
        written = [
            callbacks.Progress(stage),
            callbacks.History(self.folder.file(stage, "history.csv")),
            checkpoint,
        ]
        method.fit(
            batches(batch_size, seed=self._seed("data"), first_epoch=first_epoch),
            epochs=epochs,
            initial_epoch=first_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_data=data.evaluation_batches(held_out, 250),
            verbose=0,
            callbacks=[callbacks.StopOnDivergence(), *(written if self.is_chief else ())],
        )

    def _seed(self, purpose):
        """A seed for each purpose, so that a resumed run draws what it would have."""
        return zlib.crc32(f"{self.experiment.seed} {purpose}".encode()) % 2**31

    def _finish(self, stage, model, name):
        """Saves the model of a stage; its checkpoints are needed no longer."""
        self.folder.record(self.experiment, self.changes)
        if name.endswith("student.keras"):
            # What is evaluated and what users load.
            model = models.in_float32(model)
        self.folder.save_model(model, name)
        self.folder.remove(stage, "checkpoints")
        distribution.wait_for_all(self.strategy)


def _largest_divisor(number, limit):
    return next(n for n in range(min(number, limit), 0, -1) if number % n == 0)
