"""Exports the training step of a method as programs that need no TensorFlow."""

import functools
import os

import tensorflow as tf

from igam_tf.data import batches
from igam_tf.data.registry import Augmentation
from igam_tf.export.manifest import batch_specs, common_manifest
from igam_tf.export.program import STABLEHLO_VERSION, lower
from igam_tf.export.runner import folder
from igam_tf.export.runner.folder import SCHEDULE, SECOND
from igam_tf.export.variables import Captures
from igam_tf.training import TrainingMethod

# Steps that one run of the schedule's program answers.
_SCHEDULE_STEPS = 1000


def export_step(
    model: TrainingMethod,
    batch: tuple[object, object],
    path: str | os.PathLike,
    *,
    augmentation: Augmentation | None = None,
    save_state: bool = True,
    stablehlo_version: str = STABLEHLO_VERSION,
) -> str | os.PathLike:
    """Writes the training step of a compiled method as StableHLO, with its state.

    One program for each of the method's phases, one for the second update if there is
    one, and a small one that says which of them a step needs: the host reads the
    latter 1,000 steps at a time and calls the former. Nothing that a phase does not
    need is computed, compiled or held in memory, and the device waits for no branch.

    Every program is a function of its arguments alone: batch, step and variables. All
    randomness is drawn from the method's seed and the step.

    `igam_tf.export.runner` runs the folder with JAX, `import_state` brings the result
    back.

    Args:
        model: compiled `TrainingMethod` on one device.
        batch: example (images, labels), arrays or tf.TensorSpec, of the size to train
            with: images (batch, height, width, channels), float32 in [0, 1] or uint8;
            labels (batch,). Programs take batches of this size only.
        path: folder to write; must not exist.
        augmentation: `igam_tf.data.Augmentation` of each batch inside of the step, or
            None.
        save_state: whether to write the variables too. Without them the folder is
            small, and good for measuring.
        stablehlo_version: version to write the programs for; older ones can be read by
            older JAX.

    Returns:
        The path.

    Raises:
        ValueError: if the model is not compiled, is on several replicas, or if the
            batch is not of fixed size or does not fit the model.
        FileExistsError: if the path exists.
    """
    folder.check_new(path)
    _check_model(model)
    inputs = batch_specs(batch, model.student)
    inputs["step"] = tf.TensorSpec([], tf.int64)
    captures = Captures(model)
    lowered = functools.partial(lower, captures=captures, version=stablehlo_version)
    second = model.second_update_due(tf.constant(0, tf.int64)) is not None
    programs = {}
    for phase in model.phases:
        # Only the last phase is ever followed by the second update.
        last = phase == model.phases[-1]
        student_step = _StudentStep(model, phase, augmentation, second and last)
        programs[phase] = lowered(student_step, inputs)
    if second:
        programs[SECOND] = lowered(
            *_second_step(model, student_step, programs[model.phases[-1]])
        )
    programs[SCHEDULE] = lowered(*_schedule(model, second))
    manifest = {
        **common_manifest("step", model.student, inputs, programs, captures),
        "method": type(model).__name__,
        "phases": list(model.phases),
        "reports": list(_reports(model)),
        "step_variable": _step_variable(model, captures),
        "augmentation": repr(augmentation),
    }
    files = {f"{name}.stablehlo": artifact for name, (artifact, _) in programs.items()}
    folder.write_folder(path, manifest, files, captures.state() if save_state else None)
    return path


class _StudentStep:
    """The student's update in one phase, as a function of images, labels and step.

    Returns sums and counts of the report and, where the second update may follow, what
    it takes ("prepared/0", ...), which then stays on the device.
    """

    def __init__(self, model, phase, augmentation, keep_prepared):
        self.model = model
        self.phase = phase
        self.augmentation = augmentation or Augmentation()
        self.keep_prepared = keep_prepared
        self.structure = None

    def __call__(self, images, labels, step):
        key = tf.stack([tf.constant(self.model.seed, tf.int64), step])
        images = batches.augmented(images, key, self.augmentation)
        (report, logits, labels), prepared = self.model.train_step(
            (images, labels), step, phase=self.phase
        )
        right = tf.argmax(logits, axis=1, output_type=labels.dtype) == labels
        correct = tf.reduce_sum(tf.cast(right, tf.float32))
        report = {**report, "accuracy": (correct, tf.size(labels))}
        values = [report[name] for name in _reports(self.model)]
        # Two vectors and not two scalars a name: every array costs the host time.
        outputs = {
            name: tf.stack([tf.cast(value[index], tf.float32) for value in values])
            for index, name in enumerate(("sums", "counts"))
        }
        if self.keep_prepared:
            self.structure = prepared
            for index, tensor in enumerate(tf.nest.flatten(prepared)):
                outputs[_prepared(index)] = tensor
        return outputs


def _second_step(model, student_step, program):
    """The second update, and its inputs, which the student's program left."""
    _, entry = program
    results = {result["name"]: result for result in entry["results"]}
    count = len(tf.nest.flatten(student_step.structure))
    inputs = {
        name: tf.TensorSpec(results[name]["shape"], results[name]["dtype"])
        for name in map(_prepared, range(count))
    }
    inputs["step"] = tf.TensorSpec([], tf.int64)

    def step_function(*tensors):
        *flat, step = tensors
        prepared = tf.nest.pack_sequence_as(student_step.structure, flat)
        model.second_update(prepared, step)
        return {}

    return step_function, inputs


def _schedule(model, second):
    """Phase, and whether the second update is due, of steps in a row."""

    def one(step):
        phase = tf.cast(model.phase(step), tf.int32)
        due = model.second_update_due(step) if second else False
        return phase, tf.cast(due, tf.bool) & (phase == len(model.phases) - 1)

    def schedule(first_step):
        steps = first_step + tf.range(_SCHEDULE_STEPS, dtype=tf.int64)
        phase, due = tf.map_fn(one, steps, fn_output_signature=(tf.int32, tf.bool))
        return {"phase": phase, "second_due": due}

    return schedule, {"first_step": tf.TensorSpec([], tf.int64)}


def _prepared(index):
    return f"prepared/{index}"


def _reports(model):
    return ("loss", *model.reports, "accuracy")


def _step_variable(model, captures):
    iterations = model.optimizer.iterations
    return next(n for n, v in captures.used.items() if v is iterations)


def _check_model(model):
    if not isinstance(model, TrainingMethod):
        raise ValueError(
            f"export_step got {type(model).__name__}: expected a compiled training "
            "method such as igam_tf.StandardTraining(student) or igam_tf.IGAM(...); "
            "evaluation of a plain model is igam_tf.export.export_attack."
        )
    if not model.compiled:
        raise ValueError(
            f"{type(model).__name__} is not compiled: the step includes the optimizer; "
            "call compile(optimizer=...) first."
        )
    mixes = model.soft_labels is not None and model.soft_labels.mixes
    if mixes or model.distortions is not None:
        raise ValueError(
            f"{type(model).__name__} mixes or distorts its images inside of the step, "
            "by operations that XLA does not compile: export it without distortions, "
            "mixup and cutmix, and change the images before they are given to it."
        )
    if model.num_replicas > 1:
        raise ValueError(
            f"{type(model).__name__} was made for {model.num_replicas} replicas: an "
            "export is the step of one device; make it outside of the strategy's scope."
        )
