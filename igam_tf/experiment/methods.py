"""Rows of the table: how each method's training is made from an `Experiment`."""

import dataclasses

from igam_tf import attacks, training
from igam_tf.data import registry
from igam_tf.experiment import networks


def standard(experiment, student, teacher, total_steps):
    """Plain training on natural images."""
    del teacher
    method = training.StandardTraining(student, **_common(experiment))
    return _compiled(method, experiment, total_steps)


def pgd(experiment, student, teacher, total_steps):
    """Adversarial training with the attack radius of the evaluation."""
    del teacher
    attack = _attack(experiment, experiment.adversarial_steps)
    method = training.AdversarialTraining(student, attack, **_common(experiment))
    return _compiled(method, experiment, total_steps)


def igam(experiment, student, teacher, total_steps, *, matched_to="teacher"):
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
        matched_to=matched_to,
        matching_start=round(experiment.matching_start * total_steps),
        discriminator_every=experiment.discriminator_every,
        discriminator_input=experiment.discriminator_input,
        **_common(experiment, matches=True, total_steps=total_steps),
    )
    return _compiled_players(method, experiment, total_steps)


def jarn(experiment, student, teacher, total_steps):
    """Input gradients that look like images."""
    del teacher
    shape = student.input_shape[1:]
    method = training.JARN(
        student,
        networks.discriminator(experiment, shape),
        adversarial_weight=experiment.jarn_weight,
        matching_start=round(experiment.matching_start * total_steps),
        discriminator_every=experiment.jarn_discriminator_every,
        discriminator_input=experiment.discriminator_input,
        **_common(experiment, matches=True, total_steps=total_steps),
    )
    return _compiled_players(method, experiment, total_steps)


def kdiga(experiment, student, teacher, total_steps, *, matched_to="teacher"):
    """Distillation and input gradients of the finetuned teacher."""
    method = training.KDIGA(
        student,
        teacher,
        alpha=experiment.kdiga_alpha,
        temperature=experiment.kdiga_temperature,
        gradient_weight=experiment.kdiga_weight,
        matched_to=matched_to,
        **_common(experiment, matches=True, total_steps=total_steps),
    )
    return _compiled(method, experiment, total_steps)


def gradient_norm(experiment, student, teacher, total_steps):
    """Small input gradients."""
    del teacher
    method = training.GradNorm(
        student,
        cross_entropy_weight=experiment.cross_entropy_weight,
        gradient_norm=_penalty(
            experiment, experiment.gradient_norm_weight, total_steps
        ),
        **{**_common(experiment, matches=True), "penalty": None},
    )
    return _compiled(
        method,
        experiment,
        total_steps,
        clip_norm=experiment.clip_norm,
        ema_momentum=experiment.ema_momentum,
    )


def edges(experiment, student, teacher, total_steps):
    """Input gradients on the edges of the image."""
    del teacher
    method = training.EdgeReg(
        student,
        edge_weights=(experiment.edge_weight_start, experiment.edge_weight),
        total_steps=total_steps,
        **_common(experiment, matches=True, total_steps=total_steps),
    )
    return _compiled(method, experiment, total_steps, clip_norm=experiment.clip_norm)


def pag(experiment, student, teacher, total_steps, *, targets):
    """Input gradients of every class along target gradients."""
    del teacher
    augmentation = registry.find(experiment.target).augmentation
    method = training.PAG(
        student,
        targets,
        weight=experiment.pag_weight,
        classes=experiment.pag_classes or None,
        augmentation=dataclasses.replace(augmentation, noise=experiment.image_noise),
        **_common(experiment, matches=True, total_steps=total_steps),
    )
    return _compiled(method, experiment, total_steps)


#: Rows that train a student; the row "finetune" is the teacher itself.
TRAINED = {
    "standard": standard,
    "igam": igam,
    "kdiga": kdiga,
    "jarn": jarn,
    "gradient_norm": gradient_norm,
    "edges": edges,
    "pag": pag,
    "pgd": pgd,
}


def teacher_input_shape(finetuned):
    """Input shape of the frozen teacher inside a finetuned one."""
    return tuple(finetuned.get_layer("frozen_teacher").input_shape[1:])


def jit_compile(experiment):
    """The flag's value as `compile` takes it."""
    return {"true": True, "false": False}.get(experiment.jit_compile, "auto")


def _common(experiment, *, matches=False, total_steps=0):
    """Arguments of every method, and of those that shape input gradients."""
    common = {
        "weight_decay": experiment.weight_decay,
        "micro_batch": experiment.micro_batch or None,
        "seed": experiment.seed,
    }
    if matches and experiment.matching_attack_steps:
        common["attack"] = _attack(experiment, experiment.matching_attack_steps)
    if matches and experiment.gradient_norm_penalty:
        common["penalty"] = _penalty(
            experiment, experiment.gradient_norm_penalty, total_steps
        )
    return common


def _attack(experiment, num_steps):
    return attacks.pgd(
        eps=experiment.eps,
        step_size=experiment.step_size,
        num_steps=num_steps,
        norm=experiment.norm,
    )


def _penalty(experiment, weight, total_steps):
    return training.GradientNormPenalty(
        weight=weight,
        eps=experiment.gradient_norm_eps,
        norm=experiment.gradient_norm,
        ramp_steps=round(experiment.gradient_norm_ramp * total_steps),
        batch_norm=experiment.gradient_norm_batch_norm,
    )


def _compiled(method, experiment, total_steps, *, clip_norm=0, ema_momentum=0, **kwargs):
    name, rate = experiment.optimizer, experiment.learning_rate
    optimizer = networks.optimizer(
        name, rate, total_steps, clip_norm=clip_norm, ema_momentum=ema_momentum
    )
    method.compile(optimizer, jit_compile=jit_compile(experiment), **kwargs)
    return method


def _compiled_players(method, experiment, total_steps):
    """With the discriminator's own rate, or the student's optimizer and schedule."""
    rate = experiment.discriminator_learning_rate
    second = networks.optimizer("adam", rate, total_steps, constant=True) if rate else None
    return _compiled(method, experiment, total_steps, discriminator_optimizer=second)
