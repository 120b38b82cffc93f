"""The panel: its record, its cost, its single checks on made-up numbers."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import (
    CountsCalls,
    digits,
    digits_net,
    linear_model,
    new_digits_net,
    set_seed,
    weights_file,
)

import igam_tf
from igam_tf import attacks
from igam_tf.evaluation import masking_panel
from igam_tf.evaluation.masking import batch_norm, gradients, radius, strength
from igam_tf.evaluation.masking.model_under_test import ModelUnderTest

CHECKS = [
    "logits", "randomized", "batch_dependent", "vanishing_gradients", "pgd_steps",
    "starting_point", "loss_function", "batch_norm", "eps_sweep", "noise", "square",
    "transfer", "local_linearity",
]  # fmt: skip


def examples(count=60):
    images, labels = digits()
    return images[1200 : 1200 + count], labels[1200 : 1200 + count]


def test_record():
    panel = masking_panel(
        digits_net(), examples(), eps=0.1, seed=5, transfer_from=digits_net()
    )
    assert json.loads(json.dumps(panel)) == panel
    assert list(panel["checks"]) == CHECKS
    assert (panel["num_examples"], panel["eps"], panel["seed"]) == (60, 0.1, 5)
    assert panel["warns"] == []
    for check in panel["checks"].values():
        assert list(check) == [
            "values", "threshold", "warns", "sentence", "source", "seconds",
        ]  # fmt: skip
        assert check["sentence"].endswith(".") and check["source"]
    steps = panel["checks"]["pgd_steps"]["values"]
    assert list(steps) == ["pgd1", "pgd5", "pgd20", "pgd100"]
    # The same as evaluated by hand.
    images, labels = examples()
    attack = attacks.pgd(eps=0.1, num_steps=20, seed=5)
    adversarial = attack(digits_net(), images, labels)
    right = [digits_net()(x).numpy().argmax(1) == labels for x in (images, adversarial)]
    assert steps["pgd20"] == pytest.approx((right[0] & right[1]).mean(), abs=1e-4)
    assert panel["checks"]["noise"]["values"]["accuracy"] > 0.8
    sweep = panel["checks"]["eps_sweep"]["values"]
    assert sweep["0.1"] == steps["pgd20"] and list(sweep.values())[-1] == 0
    assert panel["worst_case"]["accuracy"] <= min(steps.values())
    assert panel["seconds"] > 0


def test_batches_do_not_matter_and_only_the_first_images_are_taken():
    images, labels = examples(40)
    whole = masking_panel(digits_net(), (images, labels), eps=0.1)
    data = tf.data.Dataset.from_tensor_slices(examples(60)).batch(25)
    parts = masking_panel(digits_net(), data, eps=0.1, num_examples=40, batch_size=16)
    for name in ("pgd_steps", "eps_sweep", "vanishing_gradients", "starting_point"):
        assert whole["checks"][name]["values"] == parts["checks"][name]["values"]
    assert parts["num_examples"] == 40


def test_nothing_is_retraced_by_the_next_panel():
    counter = CountsCalls()
    model = keras.Sequential([keras.Input((8, 8, 1)), counter, digits_net()])
    settings = {"eps": 0.1, "batch_size": 10, "num_examples": 25}
    masking_panel(model, examples(), **settings)
    calls = counter.calls
    masking_panel(model, examples(), **settings)
    assert counter.calls == calls


def test_l2_ball_of_a_linear_model():
    """The worst case is known: the margin in units of the gradient's L2 norm."""
    model, weights, _ = linear_model(shape=(4, 4, 1), seed=2)
    generator = np.random.default_rng(0)
    images = generator.uniform(0.3, 0.7, (80, 4, 4, 1)).astype(np.float32)
    logits = model(images).numpy()
    labels = logits.argmax(axis=1)
    margin = np.abs(logits[:, 0] - logits[:, 1])
    eps = 0.1
    robust = margin > eps * np.linalg.norm(weights[:, 0] - weights[:, 1])
    panel = masking_panel(model, (images, labels), eps=eps, norm="l2")
    assert 0 < robust.sum() < 80
    assert panel["worst_case"]["num_correct"] == robust.sum()
    assert panel["warns"] == []
    assert panel["checks"]["local_linearity"]["values"]["gradient_cosine"] == 1
    assert "batch_norm" not in panel["checks"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"eps": 0}, "eps is 0"),
        ({"transfer_from": {"other": linear_model((8, 8, 1))[0]}}, "'other': it has 2"),
        ({"transfer_from": {"f": lambda x: x}}, "transfer_from, 'f'.*keras.Model"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(ValueError, match=message):
        masking_panel(digits_net(), examples(5), **{"eps": 0.1, **change})


class Scripted(ModelUnderTest):
    """A model that is as robust under attacks as a test says."""

    def __init__(self, **outcomes):
        images = np.full((100, 2, 2, 1), 0.5, np.float32)
        model = linear_model((2, 2, 1))[0]
        labels = model(images).numpy().argmax(axis=1).astype(np.int32)
        super().__init__(
            model, [(images, labels)], eps=0.1, norm="linf", training=False, seed=0
        )
        self._outcomes = outcomes

    def robust_under(self, attack, *, training=False):
        if "batch" in self._outcomes:
            mode = "batch" if training else "inference"
            return np.arange(100) < self._outcomes[mode]
        key = f"steps{attack.num_steps}" if attack.eps == self.eps else "larger"
        return np.arange(100) < self._outcomes[key]


@pytest.mark.parametrize(
    "counts, warns, words",
    [
        ((90, 50, 40, 40), False, "100 do as 20: it has converged"),
        ((40, 50, 40, 40), True, "PGD-5 leaves 50%"),
        ((90, 50, 40, 60), True, "PGD-100 leaves 60%"),
        ((90, 50, 40, 30), True, "has not converged"),
        ((90, 50, 40, 39), False, "100 do as 20: it has converged"),
        # No reason to warn, and no all-clear either.
        ((90, 50, 40, 31), False, "another 9% of the images after PGD-20: it may not"),
        ((47, 50, 40, 40), False, "leave up to 3% of the images more robust, but that"),
    ],
)
def test_steps(counts, warns, words):
    numbers = zip((1, 5, 20, 100), counts, strict=True)
    check = strength.steps(Scripted(**{f"steps{k}": n for k, n in numbers}))
    assert check.warns == warns and words in check.sentence
    is_between = not warns and "it has converged" not in check.sentence
    assert ("less than it takes to warn" in check.sentence) == is_between


@pytest.mark.parametrize(
    "at_eps, beyond, warns, words",
    [(50, 0, False, "falls from 50%"), (50, 20, True, "any image")]
    + [(10, 40, True, "any image")],
)
def test_a_model_that_never_falls(at_eps, beyond, warns, words):
    check = radius.radius(Scripted(steps20=at_eps, larger=beyond))
    assert check.warns == warns and words in check.sentence


@pytest.mark.parametrize(
    "evaluated_in, batch, warns",
    [("batch", 60, True), ("batch", 41, False), ("inference", 60, False)],
)
def test_robustness_that_is_due_to_the_batch(evaluated_in, batch, warns):
    """It warns where the reported number is the one with batch statistics."""
    tested = Scripted(inference=40, batch=batch)
    tested.training = evaluated_in == "batch"
    check = batch_norm.batch_norm(tested)
    assert check.warns == warns
    assert f"40% robust with batch norm in inference mode and {batch}%" in (
        check.sentence
    )


def test_an_image_with_two_labels_counts_with_each():
    """The copy with the wrong label is misclassified, and the other one is not."""
    model, _, _ = linear_model(seed=3)
    images = np.random.default_rng(3).random((20, 2, 3, 1)).astype(np.float32)
    labels = model(images).numpy().argmax(axis=1)
    images = np.concatenate([images, images])
    labels = np.concatenate([labels, (labels + 1) % model.output_shape[1]])
    found = igam_tf.evaluate(
        model, (images, labels), ["fgsm"], eps=1e-9, progress=False
    )
    assert found["panel"]["worst_case"]["num_correct"] == len(images) // 2
    assert found["worst_case"]["num_correct"] == len(images) // 2


def test_batch_statistics_of_the_panel_decide_nothing_of_other_batches():
    """All images are right in batches of 32; the panel looks at 20, cut otherwise."""
    set_seed(1)
    model = keras.Sequential([
        keras.Input((4, 4, 1)), keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.BatchNormalization(), keras.layers.Flatten(),
        keras.layers.Dense(4),
    ])  # fmt: skip
    images = np.random.default_rng(0).random((64, 4, 4, 1)).astype(np.float32)
    halves = (model(part, training=True).numpy() for part in np.split(images, 2))
    labels = np.concatenate([logits.argmax(axis=1) for logits in halves])
    found = igam_tf.evaluate(
        model, (images, labels), ["fgsm"], eps=1e-7, batch_norm="batch", batch_size=32,
        panel_examples=20, progress=False,
    )  # fmt: skip
    # Seen in the panel, where other statistics move images over the boundary.
    assert found["panel"]["worst_case"]["num_correct"] < 20
    assert found["worst_case"]["num_correct"] == 64


def test_gradients_of_nan_and_of_almost_nothing():
    tested = Scripted()
    fine = np.ones(100, np.float32)
    for change, words in [(np.nan, "NaN at 20%"), (1e-35, "lost in float32")]:
        clean = np.where(np.arange(100) < 20, change, fine)
        tested.__dict__["gradients"] = {
            "clean": clean, "random_start": fine, "cosine": fine,
        }  # fmt: skip
        check = gradients.vanishing(tested)
        assert check.warns and words in check.sentence


def test_a_network_of_another_processor_sets_off_no_alarm():
    """Trained as `digits_net`, where floating-point order differs: nothing is masked.

    PGD-20 leaves some ten images of a hundred more on the cross entropy than on the
    margin, which is a better loss here and no sign of anything.
    """
    model = new_digits_net()
    with np.load(weights_file("honest_digits")) as arrays:
        model.set_weights([arrays[key] for key in arrays])
    for seed in range(3):
        panel = masking_panel(model, examples(), eps=0.1, seed=seed)
        assert panel["warns"] == []
