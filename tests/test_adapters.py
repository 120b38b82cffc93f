"""Foolbox and ART attack our models, and agree with our FGSM and PGD."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import assert_same_images, digits, digits_net

from igam_tf import adapters, attacks

EPS, STEP = 0.15, 0.03
NO_FOOLBOX = 'Foolbox is not installed: pip install -e ".[foolbox]"'
NO_ART = 'ART is not installed: pip install -e ".[art]"'


def examples(count=60):
    images, labels = digits()
    return images[1200 : 1200 + count], labels[1200 : 1200 + count]


def foolbox_attack(name, norm):
    foolbox = pytest.importorskip("foolbox", reason=NO_FOOLBOX)
    kind = {"linf": "Linf", "l2": "L2"}[norm]
    if name == "fgsm":
        attack = getattr(foolbox.attacks, f"{kind}FastGradientAttack")(
            random_start=False
        )
    else:
        attack = getattr(foolbox.attacks, f"{kind}PGD")(
            abs_stepsize=STEP, steps=10, random_start=False
        )

    def run(model, images, labels):
        images, labels = tf.constant(images), tf.constant(labels, tf.int64)
        fmodel = adapters.to_foolbox(model)
        return attack(fmodel, images, labels, epsilons=EPS)[1].numpy()

    return run


def art_attack(name, norm):
    art = pytest.importorskip("art.attacks.evasion", reason=NO_ART)
    order = {"linf": np.inf, "l2": 2}[norm]

    def run(model, images, labels):
        classifier = adapters.to_art(model)
        if name == "fgsm":
            attack = art.FastGradientMethod(classifier, norm=order, eps=EPS)
        else:
            attack = art.ProjectedGradientDescent(
                classifier,
                norm=order,
                eps=EPS,
                eps_step=STEP,
                max_iter=10,
                verbose=False,
            )
        return attack.generate(images, y=labels)

    return run


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", ["fgsm", "pgd"])
@pytest.mark.parametrize("library", [foolbox_attack, art_attack])
def test_the_same_adversarial_images(library, name, norm):
    theirs = library(name, norm)
    if name == "fgsm":
        ours = attacks.fgsm(eps=EPS, norm=norm)
    else:
        ours = attacks.pgd(
            eps=EPS, step_size=STEP, num_steps=10, norm=norm, random_start=False
        )
    images, labels = examples()
    found = ours(digits_net(), images, labels)
    expected = theirs(digits_net(), images, labels)
    assert np.abs(found - images).max() > 0.02
    # ART's L2 clips to [0, 1] first and then projects to the ball, ours last.
    other_order = library is art_attack and (name, norm) == ("pgd", "l2")
    assert_same_images(found, expected, atol=4e-3 if other_order else 1e-5)
    standing = [
        (digits_net()(x).numpy().argmax(axis=1) == labels).sum()
        for x in (images, found, expected)
    ]
    assert standing[0] > standing[1] and abs(standing[1] - standing[2]) <= 1


@pytest.mark.parametrize(
    "convert, module",
    [(adapters.to_foolbox, "foolbox"), (adapters.to_art, "art")],
)
def test_probabilities_are_refused(convert, module):
    pytest.importorskip(module, reason=NO_FOOLBOX if module == "foolbox" else NO_ART)
    softmax = keras.Sequential([digits_net(), keras.layers.Softmax()])
    with pytest.raises(ValueError, match="returns probabilities"):
        convert(softmax)
    with pytest.raises(ValueError, match="expected a keras.Model"):
        convert(lambda images: images)


@pytest.mark.parametrize(
    "convert, module, extra",
    [
        (adapters.to_foolbox, "foolbox", "foolbox"),
        (adapters.to_art, "art.estimators.classification", "art"),
    ],
)
def test_a_missing_library_is_named(monkeypatch, convert, module, extra):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install -e .\.\[{extra}\]"):
        convert(digits_net())
