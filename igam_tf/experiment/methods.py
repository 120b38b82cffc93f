"""Rows of the table: how each method's training is made from an `Experiment`."""

from igam_tf import attacks, training
from igam_tf.experiment import networks


def standard(experiment, student, teacher, total_steps):
    """Plain training on natural images."""
    del teacher
    method = training.StandardTraining(student, **_common(experiment))
    return _compiled(method, experiment, total_steps)


def pgd(experiment, student, teacher, total_steps):
    """Adversarial training with the attack radius of the evaluation."""
    del teacher
    attack = attacks.pgd(
        eps=experiment.eps,
        step_size=experiment.step_size,
        num_steps=experiment.adversarial_steps,
        norm=experiment.norm,
    )
    method = training.AdversarialTraining(student, attack, **_common(experiment))
    return _compiled(method, experiment, total_steps)


def igam(experiment, student, teacher, total_steps):
    """Input gradient adversarial matching with the finetuned teacher."""
    method = training.IGAM(
        student,
        teacher,
        networks.discriminator(experiment, teacher_input_shape(teacher)),
        adversarial_weight=experiment.adversarial_weight,
        difference_weight=experiment.difference_weight,
        pixel_range=experiment.pixel_range,
        input_gradient_of=experiment.input_gradient_of,
        difference_reduction=experiment.difference_reduction,
        teacher_batch_norm=experiment.teacher_batch_norm,
        moving_variance=experiment.moving_variance,
        matching_start=round(experiment.matching_start * total_steps),
        discriminator_every=experiment.discriminator_every,
        **_common(experiment),
    )
    rate = experiment.discriminator_learning_rate
    return _compiled(
        method,
        experiment,
        total_steps,
        discriminator_optimizer=(
            networks.optimizer("adam", rate, total_steps, constant=True) if rate else None
        ),
    )


#: Rows that train a student; the row "finetune" is the teacher itself.
TRAINED = {"standard": standard, "igam": igam, "pgd": pgd}


def teacher_input_shape(finetuned):
    """Input shape of the frozen teacher inside a finetuned one."""
    return tuple(finetuned.get_layer("frozen_teacher").input_shape[1:])


def jit_compile(experiment):
    """The flag's value as `compile` takes it."""
    return {"true": True, "false": False}.get(experiment.jit_compile, "auto")


def _common(experiment):
    return {
        "weight_decay": experiment.weight_decay,
        "micro_batch": experiment.micro_batch or None,
        "seed": experiment.seed,
    }


def _compiled(method, experiment, total_steps, **kwargs):
    method.compile(
        networks.optimizer(experiment.optimizer, experiment.learning_rate, total_steps),
        jit_compile=jit_compile(experiment),
        **kwargs,
    )
    return method
