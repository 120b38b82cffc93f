"""Makes the teacher of a run, and gives it logits of the target task."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import keras

from igam_tf import attacks, data, distribution, models, training
from igam_tf.experiment import (
    controls,
    networks,
    preflight,
    reading,
    teacher_check,
)
from igam_tf.experiment.experiment import Experiment
from igam_tf.experiment.fitting import fit
from igam_tf.experiment.setup import Setup, augmentation, jit_compile
from igam_tf.settings import naming

if TYPE_CHECKING:
    from igam_tf.experiment.runner import Run
    from igam_tf.experiment.stages import Finetuning


def make(run: Run, stage: str, control: str) -> keras.Model:
    """The robust teacher of the source task, loaded or trained, or that of a control.

    Args:
        run: the run.
        stage: name of the stage.
        control: "", "natural_teacher" or "random_teacher".
    """
    experiment = run.experiment
    is_loaded = bool(experiment.teacher.checkpoint) and not control
    with run.strategy.scope():
        distribution.set_seed(run.seed("teacher"))
        if is_loaded:
            teacher = networks.loaded_teacher(experiment)
        else:
            teacher = networks.untrained_teacher(experiment)
            _check(run, teacher)
    run.folder.require_space(teacher.count_params())
    if not is_loaded and control != "random_teacher":
        _train(run, stage, teacher, is_robust=not control)
    run.finish(stage, teacher, f"{stage}.keras")
    return teacher


def measure(run: Run) -> None:
    """Checks that a teacher from a file fits, and measures it once on its own task."""
    if teacher_check.is_recorded(run):
        return
    with run.strategy.scope():
        teacher = networks.loaded_teacher(run.experiment)
        _check(run, teacher)
    teacher_check.record(run, teacher)


def finetuned(run: Run, stage: Finetuning) -> keras.Model:
    """The teacher with new logits, trained on natural images of the target task.

    Args:
        run: the run.
        stage: the `Finetuning` stage.
    """
    same = _same_training(run, stage)
    if same is not None:
        return _taken_over(run, stage, same)
    name, (teacher,) = stage.name, stage.inputs
    teacher = run.model(teacher, f"{teacher}.keras")
    with run.strategy.scope():
        distribution.set_seed(run.seed("finetune"))
        model = with_new_logits(run.experiment, teacher, run.target)
        method = finetuning(run.experiment, model, run.seed("finetune"))
    fit(
        run,
        name,
        method,
        run.target,
        epochs=stage.epochs,
        batch_size=run.experiment.training.batch_size,
        augmentation=augmentation(run.experiment),
    )
    # The row is what is evaluated, and what users load.
    kept = models.in_float32(model) if stage.is_row else model
    run.finish(name, kept, stage.output)
    return model


def _same_training(run, stage):
    """The finished stage that trained the same under another name, or None.

    The row of the teacher, and the teacher of other rows, differ in epochs only.
    """
    other = dataclasses.replace(stage, is_row=not stage.is_row)
    if stage.control or other.epochs != stage.epochs:
        return None
    # Rows are saved in float32; and several workers would have to agree.
    is_half = run.experiment.run.precision != "float32"
    if is_half or distribution.is_multiworker(run.strategy):
        return None
    return other if other.is_finished(run) else None


def _taken_over(run, stage, same):
    """The model and the history of the same training."""
    run.record()
    run.say(f"{stage.name}: as {same.name}, which is the same training")
    model = run.folder.load_model(same.output, run.strategy)
    history = run.folder.file(same.name, "history.csv")
    if history.exists():
        run.folder.write_text(f"{stage.name}/history.csv", history.read_text())
    run.finish(stage.name, model, stage.output)
    return model


def with_new_logits(
    experiment: Experiment, teacher: keras.Model, task: data.Task
) -> keras.Model:
    """The frozen teacher behind the input transform of the settings, with new logits.

    Args:
        experiment: the settings.
        teacher: classifier of the source task.
        task: the target: `num_classes` and `image_shape`.
    """
    with naming("--input_transform, or the teacher"):
        return training.with_new_logits(
            teacher,
            num_classes=task.num_classes,
            image_shape=task.image_shape,
            input_transform=experiment.finetuning.input_transform,
            batch_norm=experiment.teacher.batch_norm,
        )


def finetuning(
    experiment: Experiment, model: keras.Model, seed: int
) -> training.TrainingMethod:
    """The compiled method that trains the new logits of a teacher."""
    micro_batch = experiment.run.micro_batch or None
    method = training.StandardTraining(model, micro_batch=micro_batch, seed=seed)
    method.compile(training.finetuning_optimizer(), jit_compile=jit_compile(experiment))
    return method


def adversarial_training(
    experiment: Experiment,
    teacher: keras.Model,
    seed: int,
    total_steps: int,
    *,
    is_robust: bool = True,
) -> training.TrainingMethod:
    """The compiled method that trains a teacher; unless robust, on natural images."""
    settings, attack = experiment.teacher, None
    if is_robust:
        attack = attacks.pgd(
            eps=settings.eps, step_size=settings.step_size, num_steps=settings.num_steps
        )
    method = training.StandardTraining(
        teacher,
        attack=attack,
        weight_decay=settings.weight_decay,
        micro_batch=experiment.run.micro_batch or None,
        seed=seed,
    )
    optimizer = networks.optimizer(
        settings.optimizer,
        settings.learning_rate,
        total_steps,
        # MadryLab's MNIST challenge: Adam at one rate.
        constant=settings.optimizer == "adam",
    )
    method.compile(optimizer, jit_compile=jit_compile(experiment))
    return method


def _check(run, teacher):
    """Everything that the later stages need to fit together, before they start."""
    experiment = run.experiment
    model = with_new_logits(experiment, teacher, run.target)
    run.say(teacher_check.seen(experiment, model))
    for name in dict.fromkeys(controls.split(row)[0] for row in experiment.rows):
        method = experiment.settings_of(name)
        if method.needs_teacher and not method.is_teacher:
            student = networks.student(experiment, method.student_normalization)
            setup = Setup(
                experiment=experiment,
                task=run.target,
                student=student,
                teacher=model,
                total_steps=100,
            )
            method.build(setup)


def _train(run, stage, teacher, *, is_robust):
    experiment = run.experiment
    source, settings = run.read_source(), experiment.teacher
    if warning := reading.held_out_warning(experiment, source, run.target):
        run.say(warning)
    preflight.check_batch(
        "teacher_batch_size", settings.batch_size, source.train, run.strategy
    )
    steps = settings.epochs * data.steps_per_epoch(source.train, settings.batch_size)
    with run.strategy.scope():
        method = adversarial_training(
            experiment, teacher, run.seed("teacher"), steps, is_robust=is_robust
        )
    fit(
        run,
        stage,
        method,
        source,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        augmentation=experiment.data.info("source").augmentation,
    )
