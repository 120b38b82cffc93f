"""Checks of settings that concern more than one field, or look a name up.

Each is a function of an `Experiment` that raises a ValueError with the flag, the
received value and the way out. No data is read here.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Iterable
from typing import TYPE_CHECKING

from igam_tf import edges
from igam_tf.attacks import names, radii
from igam_tf.attacks.fractions import fraction
from igam_tf.data import registry
from igam_tf.evaluation import statistic_names
from igam_tf.experiment import controls, own_networks
from igam_tf.experiment.settings import OWN_DATA
from igam_tf.settings import naming
from igam_tf.training.methods import METHODS

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment

_ROLES = ("source", "target")
# A step of PGD in L1 that is shorter than this share of the radius leads nowhere.
_LEAST_STEP_L1 = 1 / 100


def check(experiment: Experiment) -> None:
    """All checks of this file, and those of the methods.

    Args:
        experiment: `Experiment`.

    Raises:
        ValueError: naming the flag.
    """
    check_source(experiment)
    for role in _ROLES if experiment.data.source else ("target",):
        experiment.data.known(role)
    check_own_data(experiment)
    for method in experiment.methods:
        if method not in METHODS:
            raise ValueError(
                f"--methods: {method!r} is unknown; expected names of {tuple(METHODS)}."
            )
    controls.check(experiment.table.controls)
    check_radii(experiment)
    check_steps(experiment)
    check_l1(experiment)
    check_attacks(experiment)
    experiment.evaluation.asked_corruptions()
    check_discriminator(experiment)
    check_schedule(experiment)
    check_augmenting(experiment)
    for settings in experiment.methods_settings:
        settings.check(experiment)
    own_networks.check_name(experiment)
    own_networks.check_input_range(experiment)
    check_depth(experiment.network("student"), experiment.student.depth, "--depth")
    check_depth(
        experiment.network("teacher"), experiment.teacher.depth, "--teacher_depth"
    )


def check_source(experiment: Experiment) -> None:
    """Only a teacher that is trained here needs data of its own task."""
    if experiment.data.source or not have_teacher(experiment.methods):
        return
    if not experiment.teacher.checkpoint:
        raise ValueError(
            "--source is not given: expected the data set that the teacher is trained "
            "on here, or --teacher_checkpoint with a robust network, whose own images "
            "are not needed then."
        )
    if "natural_teacher" in experiment.table.controls:
        raise ValueError(
            "--controls=natural_teacher trains a teacher on --source, which is not "
            "given: expected a data set, or other controls."
        )


def have_teacher(methods: Iterable[str]) -> bool:
    """Whether any of these methods, by name, learns from a teacher or is one."""
    known = [METHODS[name] for name in methods if name in METHODS]
    return any(method.needs_teacher or method.is_teacher for method in known)


def check_own_data(experiment: Experiment) -> None:
    """What says how own data are read is given where there are own data."""
    settings = experiment.data
    own = {role: registry.is_own(getattr(settings, role)) for role in _ROLES}
    defaults = {field.name: field.default for field in dataclasses.fields(settings)}
    for flag in OWN_DATA:
        if flag == "split_seed":
            continue  # Held out images of registered data sets are chosen by it, too.
        applies = own["source"] if flag == "source_image_size" else any(own.values())
        given = getattr(settings, flag)
        if given != defaults[flag] and not applies:
            shown = f"--{flag}" if given is True else f"--{flag}={given}"
            raise ValueError(
                f"{shown}: expected a path, your own images, in --source"
                f"{'' if flag == 'source_image_size' else ' or --target'}; "
                "registered data sets are read, split and augmented as they are "
                "(--input_transform resizes what a teacher sees)."
            )


def check_depth(network: str, depth: int, flag: str) -> None:
    """The network of this name has this depth."""
    if network == "wide_resnet" and (depth < 8 or (depth - 2) % 6):
        raise ValueError(
            f"{flag}={depth}: a Wide-ResNet has depth 6 n + 2: 8, 14, 20, 26, 32, ..."
        )
    if network == "preact_resnet" and depth not in (10, 18, 34):
        raise ValueError(f"{flag}={depth}: a preact_resnet has depth 10, 18 or 34.")


def check_radii(experiment: Experiment) -> None:
    """Radii are distances between images in [0, 1]."""
    eps, norm = experiment.attack.eps, experiment.attack.norm
    if norm == "linf" and eps > 1:
        raise ValueError(
            f"--eps={eps}: expected at most 1, the pixel range, for Linf; 8 grey "
            "levels are 8/255."
        )
    longest = _longest(experiment, norm)
    if eps > longest:
        raise ValueError(
            f"--eps={eps}: expected at most {longest:.4g}, the {radii.NORMS[norm]} "
            "distance of black and white images of "
            f"{experiment.data.info('target').name}; for grey levels divide by 255."
        )


def check_steps(experiment: Experiment) -> None:
    """A step fits into the ball that it is taken in."""
    attack, teacher = experiment.attack, experiment.teacher
    balls = [("step_size", attack.step_size, "eps", attack.eps)]
    if not teacher.checkpoint:
        balls.append(
            ("teacher_step_size", teacher.step_size, "teacher_eps", teacher.eps)
        )
    for name, step, radius, eps in balls:
        # In a ball of radius 0 nothing moves, whatever the step.
        if eps and step > 2 * eps * (1 + 1e-6):
            raise ValueError(
                f"--{name}={step:g}: expected at most twice --{radius}="
                f"{fraction(eps)}, the width of the ball; a quarter of the radius is "
                "usual. Pixels are in [0, 1]: 2 grey levels are 2/255."
            )


def check_l1(experiment: Experiment) -> None:
    """In L1 there is no panel, and no step that was meant for Linf."""
    ball, count = experiment.attack, experiment.evaluation.panel_examples
    if ball.norm != "l1":
        return
    if count:
        raise ValueError(
            f"--norm=l1 with --panel_examples={count}: expected --panel_examples=0, "
            "because the attacks of the masking panel are of Linf and L2."
        )
    steps = [("step_size", ball.step_size)]
    own = experiment.settings_of("pgd").flags()["adversarial_step_size"]
    if "pgd" in experiment.methods and own:
        steps.append(("adversarial_step_size", own))
    for name, step in steps:
        if step < _LEAST_STEP_L1 * ball.eps:
            raise ValueError(
                f"--norm=l1 with --eps={fraction(ball.eps)} and --{name}="
                f"{fraction(step)}: 100 steps of PGD would not reach the ball's rim; "
                f"expected a longer step, such as --{name}={ball.eps / 8:.3g}, an "
                "eighth of the radius."
            )


def check_attacks(experiment: Experiment) -> None:
    """Attacks have names that are known, and suit norm and mode of the evaluation."""
    for attack in experiment.evaluation.attacks:
        _check_attack(experiment, attack, "--attacks")
        if experiment.evaluation.batch_norm == "batch" and attack.startswith(
            ("autoattack", "fmn", "ddn")
        ):
            raise ValueError(
                f"--batch_norm=batch with --attacks={attack}: expected "
                "--batch_norm=inference, because this attack drops images or comes "
                "back to them one by one, and with batch statistics each result "
                "depends on the others; for the authors' mode take pgdK, or the parts "
                "of AutoAttack one at a time (apgd-ce, square)."
            )

    _check_statistics(experiment)
    if experiment.run.epoch_attack:
        _check_attack(experiment, experiment.run.epoch_attack, "--epoch_attack")


def _check_attack(experiment, attack, flag):
    """A name, with a norm and a radius that fit it and the target's images."""
    try:
        names.check(attack, experiment.attack.norm)
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from None
    _, norm, eps = radii.split(attack)
    norm = norm or experiment.attack.norm
    if eps is not None and eps > (longest := _longest(experiment, norm)):
        raise ValueError(
            f"{flag}: {attack!r}: expected a radius of at most {longest:.4g}, the "
            f"{radii.NORMS[norm]} distance of black and white images."
        )


def _check_statistics(experiment):
    attacked = any(attack != "clean" for attack in experiment.evaluation.attacks)
    for name in experiment.evaluation.statistics:
        try:
            statistic_names.check(name)
        except ValueError as error:
            raise ValueError(f"--statistics: {error}") from None
        if name in statistic_names.BY_OUTCOME and not attacked:
            raise ValueError(
                f"--statistics={name} with --attacks=clean: expected an attack, which "
                "says what images are robust."
            )
        if name == "edge_correlation":
            with naming("--statistics, --target"):
                edges.check_size(experiment.data.info("target").image_shape, name)


def _longest(experiment, norm):
    """Distance of black and white images of the target."""
    size = math.prod(experiment.data.info("target").image_shape)
    return {"linf": 1.0, "l2": size**0.5, "l1": float(size)}[norm]


def check_discriminator(experiment: Experiment) -> None:
    """Every layer of the discriminator has at least one unit."""
    channels = experiment.matching.discriminator_channels
    for count in channels:
        is_whole = isinstance(count, numbers.Integral) and not isinstance(count, bool)
        if not is_whole or not 1 <= count <= 2**16:
            shown = ",".join(map(str, channels))
            raise ValueError(
                f"--discriminator_channels={shown}: expected whole numbers from 1 to "
                f"{2**16} with commas, such as 16,32,64."
            )


def check_schedule(experiment: Experiment) -> None:
    """A warm-up and an end belong to the cosine, and the end is not above its start."""
    settings = experiment.training
    asked = {
        "learning_rate_warmup": settings.warmup,
        "learning_rate_end": settings.learning_rate_end,
    }
    given = [f"--{name}={value:g}" for name, value in asked.items() if value]
    if given and settings.schedule != "cosine":
        raise ValueError(
            f"{' and '.join(given)} with --learning_rate_schedule={settings.schedule}: "
            "expected --learning_rate_schedule=cosine, which alone has them."
        )
    if settings.learning_rate_end > settings.learning_rate:
        raise ValueError(
            f"--learning_rate_end={settings.learning_rate_end:g}: expected at most "
            f"--learning_rate={settings.learning_rate:g}, from which it falls."
        )


def check_augmenting(experiment: Experiment) -> None:
    """Images with partners stay as they are, and smoothed labels are made use of."""
    for name in experiment.methods:
        smoothing = experiment.augmenting.label_smoothing
        if smoothing and not experiment.settings_of(name).learns_labels():
            raise ValueError(
                f"--label_smoothing={smoothing:g} with --methods={name}: expected "
                "--label_smoothing=0, because the row learns from its teacher and no "
                "term of its loss has the labels of the images; or make this row in a "
                "run of its own. --mixup and --cutmix do have an effect, on the images."
            )
    given = experiment.augmenting.changes_images()
    if given and "shuffled" in experiment.table.controls:
        raise ValueError(
            f"{given} with --controls=shuffled: its images come with partners, whose "
            "gradients are not those of mixed or distorted ones; leave one of the two "
            "out."
        )
