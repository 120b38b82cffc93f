"""AutoAttack: the ensemble, any batches, resumption, few classes, random models."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import (
    CountsCalls,
    assert_same_images,
    digits,
    digits_net,
    linear_model,
)
from test_apgd import linear_case

import igam_tf
from igam_tf import export, training
from igam_tf.attacks import APGD, FAB, AutoAttack, Restarts, Square, fgsm
from igam_tf.attacks.engine import checkpoint

# The four attacks, cut short.
PARTS = (
    APGD(eps=0.1, num_steps=12),
    APGD(eps=0.1, num_steps=12, loss="dlr_targeted", num_targets=3, seed=1),
    FAB(eps=0.1, num_steps=12, num_targets=3),
    Square(eps=0.1, num_queries=120, seed=3),
)


def short(norm="linf", **settings):
    eps = {"linf": 0.1, "l2": 0.6, "l1": 2.5}[norm]
    parts = tuple(dataclasses.replace(part, eps=eps, norm=norm) for part in PARTS)
    return AutoAttack(eps=eps, norm=norm, version=parts, **settings)


def batch(count=60):
    images, labels = digits()
    return images[1200 : 1200 + count], labels[1200 : 1200 + count]


def counted_model():
    counter = CountsCalls()
    layers = [keras.Input((8, 8, 1)), counter, digits_net()]
    return keras.Sequential(layers), counter


def test_standard_is_what_the_paper_says():
    attack = igam_tf.AutoAttack()
    assert list(attack.attacks) == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert attack.eps == 8 / 255 and attack.norm == "linf"
    # An image that stands: 100 steps and the start, for nine targets, and so on.
    passes = {name: part.image_passes() for name, part in attack.attacks.items()}
    assert passes == {
        "apgd-ce": (101, 101),
        "apgd-t": (909, 909),
        "fab-t": (1800, 900),
        "square": (5001, 0),
    }
    rand = AutoAttack(eps=0.5, norm="l2", version="rand").attacks
    assert [(part.loss, part.eot_iter) for part in rand.values()] == [
        ("cross_entropy", 20),
        ("dlr", 20),
    ]
    assert len({part.seed for part in attack.attacks.values()}) == 4


def test_l1_and_plus_are_what_the_authors_run():
    """In L1 an attack of 100 steps looks three times besides, in each of its balls."""
    parts = AutoAttack(eps=12, norm="l1").attacks
    assert {name: part.image_passes() for name, part in parts.items()} == {
        "apgd-ce": (5 * 103, 5 * 103),
        "apgd-t": (5 * 103, 5 * 103),
        "fab-t": (1800, 900),
        "square": (5001, 0),
    }
    assert parts["apgd-ce"].num_restarts == parts["apgd-t"].num_targets == 5
    plus = AutoAttack(version="plus").attacks
    passes = {name: part.for_classes(10).image_passes() for name, part in plus.items()}
    # FAB without targets: one backward pass for each of ten classes.
    assert passes == {
        "apgd-ce": (505, 505),
        "apgd-dlr": (505, 505),
        "fab": (1000, 5000),
        "square": (5001, 0),
        "apgd-t": (909, 909),
        "fab-t": (1800, 900),
    }
    assert len({part.seed for part in plus.values()}) == 6
    standard = AutoAttack().attacks
    for name in ("apgd-t", "fab-t", "square"):
        assert plus[name] == standard[name]


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_results_do_not_depend_on_batches_and_nothing_is_traced_again(norm):
    model, counter = counted_model()
    images, labels = batch()
    whole = short(norm, batch_size=60).outcome(model, images, labels)
    traces = counter.calls
    # One each: clean images, judging, and begin and steps of four attacks; FAB has two
    # calls of the model in a step, and does not look at it in the beginning; a look at
    # the number of classes is not compiled. APGD on two losses traces twice.
    assert traces <= 12
    count = [int(stands.sum()) for stands in whole.robust.values()]
    assert count == sorted(count, reverse=True) and count[-1] < count[1] < count[0]
    for batch_size in (16, 7):
        parts = short(norm, batch_size=batch_size).outcome(model, images, labels)
        for name, stands in whole.robust.items():
            assert (parts.robust[name] != stands).sum() <= 1, name
        assert_same_images(parts.adversarial, whole.adversarial, atol=1e-5)
    halves = [
        short(norm)(model, images[half], labels[half], first_index=half.start)
        for half in (slice(0, 30), slice(30, 60))
    ]
    assert_same_images(np.concatenate(halves), whole.adversarial, atol=1e-5)
    assert counter.calls == traces


def test_outcome_is_the_worst_case_of_each_image():
    images, labels = batch()
    outcome = short().outcome(digits_net(), images, labels)
    prediction = digits_net()(outcome.adversarial).numpy().argmax(axis=1)
    np.testing.assert_array_equal(prediction == labels, outcome.robust["square"])
    assert np.abs(outcome.adversarial - images).max() <= 0.1 + 1e-6
    # The first attack alone breaks what it breaks in the ensemble.
    alone = PARTS[0](digits_net(), images, labels)
    prediction = digits_net()(alone).numpy().argmax(axis=1)
    np.testing.assert_array_equal(prediction == labels, outcome.robust["apgd-ce"])
    # Images that are wrong without an attack are left as they are.
    wrong = ~outcome.robust["clean"]
    assert wrong.any()
    np.testing.assert_array_equal(outcome.adversarial[wrong], images[wrong])


def test_exact_robust_accuracy_of_a_linear_model():
    model, images, labels, robust = linear_case(5, eps=0.1, count=40)
    outcome = AutoAttack(eps=0.1).outcome(model, images, labels)
    assert outcome.robust["apgd-ce"].sum() > robust.sum()
    for name in ("apgd-t", "fab-t", "square"):
        np.testing.assert_array_equal(outcome.robust[name], robust)
    assert outcome.notes == []
    # Each by itself, but for the random search, comes to the same.
    for attack in (APGD(eps=0.1, loss="dlr_targeted"), FAB(eps=0.1)):
        adversarial = attack(model, images, labels)
        stands = model(adversarial).numpy().argmax(axis=1) == labels
        np.testing.assert_array_equal(stands, robust)


class Killed(BaseException):
    pass


def killed_after(count):
    calls = []

    def callback(progress):
        calls.append(progress)
        if len(calls) > count:
            raise Killed

    return callback, calls


def test_a_killed_evaluation_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_SECONDS_BETWEEN", 0.0)
    images, labels = batch(40)
    everything, all_calls = killed_after(10**6)
    expected = short(callback=everything, batch_size=16).outcome(
        digits_net(), images, labels
    )
    done = 0
    for count in (3, 9, 2, 12):
        callback, calls = killed_after(count)
        attack = short(callback=callback, batch_size=16, checkpoint_dir=tmp_path)
        with pytest.raises(Killed):
            attack.outcome(digits_net(), images, labels)
        done += len(calls) - 1
    callback, calls = killed_after(10**6)
    attack = short(callback=callback, batch_size=16, checkpoint_dir=tmp_path)
    outcome = attack.outcome(digits_net(), images, labels)
    # Only the chunks in which it was killed are done twice (and those after which
    # nothing of a batch was left, which are not saved on their own).
    assert done + len(calls) <= len(all_calls) + 8
    np.testing.assert_array_equal(outcome.adversarial, expected.adversarial)
    for name, stands in expected.robust.items():
        np.testing.assert_array_equal(outcome.robust[name], stands)
    assert outcome.forward_passes["square"] == expected.forward_passes["square"]
    # Finished: nothing is done again, and nothing is left but one file.
    callback, calls = killed_after(0)
    attack = short(callback=callback, batch_size=7, checkpoint_dir=tmp_path)
    again = attack.outcome(digits_net(), images, labels)
    np.testing.assert_array_equal(again.adversarial, expected.adversarial)
    assert len(list(tmp_path.iterdir())) == 1


def test_another_model_is_another_file_and_damage_is_said(tmp_path):
    images, labels = batch(10)
    attack = dataclasses.replace(short(), version=PARTS[:1], checkpoint_dir=tmp_path)
    attack(digits_net(), images, labels)
    other = keras.models.clone_model(digits_net())
    other.set_weights([1.01 * weights for weights in digits_net().get_weights()])
    attack(other, images, labels)
    assert len(list(tmp_path.iterdir())) == 2
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read.*delete it"):
        attack(other, images, labels)


def test_progress():
    images, labels = batch(20)
    seen = []
    short(callback=seen.append).outcome(digits_net(), images, labels)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert seen[0].attack == "apgd-ce" and seen[-1].attack == "square"
    assert seen[-1].step == seen[-1].num_steps == 120
    assert seen[0].num_robust >= seen[-1].num_robust > 0
    assert seen[0].seconds_left > seen[-1].seconds_left == 0


def test_passes_expected_by_hand():
    """Images not attacked yet count at the rate at which the first ones withstood."""
    images, labels = batch(30)
    right = np.argmax(digits_net()(images), 1) == labels
    images, labels = (np.repeat(array[right], 3, axis=0) for array in (images, labels))
    seen, count = [], right.sum()
    attack = short(callback=seen.append, batch_size=int(count))
    attack.outcome(digits_net(), images, labels)
    # The end of the first of three batches.
    told = next(p for p in seen if p.step == p.num_steps)
    robust = told.num_robust - 2 * count
    assert told.attack == "apgd-ce" and 0 < robust < count
    first, *others = (sum(a.image_passes()) for a in attack.attacks.values())
    waiting = 2 * count * first
    assert told.passes_left == pytest.approx(waiting + told.num_robust * sum(others))
    assert told.passes_expected == pytest.approx(waiting + 3 * robust * sum(others))
    # From then on all have been attacked.
    for told in seen:
        if told.attack != "apgd-ce":
            assert told.passes_expected == told.passes_left


def test_old_names_still_work():
    images, labels = batch(4)
    seen = []
    attack = dataclasses.replace(short(callback=seen.append), version=PARTS[:1])
    outcome = attack.outcome(digits_net(), images, labels)
    with pytest.warns(DeprecationWarning, match="Outcome.robust"):
        assert outcome.standing is outcome.robust
    with pytest.warns(DeprecationWarning, match="Progress.num_robust"):
        assert seen[-1].standing == seen[-1].num_robust


@pytest.mark.parametrize("num_classes, noted", [(2, True), (3, True), (4, False)])
def test_few_classes(num_classes, noted):
    model, images, labels, robust = linear_case(num_classes, eps=0.1, count=60)
    parts = tuple(
        part
        if part.name == "square"
        else dataclasses.replace(part, num_steps=40, num_targets=part.num_targets and 9)
        for part in PARTS
    )
    attack = AutoAttack(eps=0.1, version=parts)
    outcome = attack.outcome(model, images, labels)
    np.testing.assert_array_equal(outcome.robust["square"], robust)
    assert any("too few for the DLR loss" in note for note in outcome.notes) == noted


def test_mixed_precision():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(10),
            ]
        )
    finally:
        keras.mixed_precision.set_global_policy("float32")
    images, labels = batch(20)
    labels = np.asarray(mixed(images)).argmax(axis=1).astype(np.int32)
    outcome = short().outcome(mixed, images, labels)
    assert mixed(images).dtype == "bfloat16"
    assert outcome.robust["square"].sum() < outcome.robust["clean"].sum()
    assert outcome.adversarial.dtype == np.float32


def random_model():
    """Logits of a linear model, of the wrong sign one time in four."""
    model, _, _ = linear_model((3, 3, 1))

    def flipped(logits):
        is_flipped = tf.random.uniform(tf.shape(logits)[:1]) < 0.25
        return logits * tf.where(is_flipped, -1.0, 1.0)[:, None]

    flip = keras.layers.Lambda(flipped)
    return keras.Sequential([keras.Input((3, 3, 1)), *model.layers, flip]), model


@pytest.mark.parametrize("version", ["standard", "rand"])
def test_luck_does_not_hide_that_a_random_model_is_broken(version):
    random, plain = random_model()
    _, images, labels, robust = linear_case(2, eps=0.1, count=60)
    parts = tuple(
        part if part.name != "square" else dataclasses.replace(part, num_queries=50)
        for part in AutoAttack(eps=0.1, version=version).attacks.values()
    )
    attack = AutoAttack(eps=0.1, version=parts)
    adversarial = attack(random, images, labels)
    stands = plain(adversarial).numpy().argmax(axis=1) == labels
    # Chance alone hides a few: over eight seeds 0 to 8 of the 36 that are not robust.
    assert (stands & ~robust).sum() <= (~robust).sum() / 3


def test_refusals(tmp_path):
    images, labels = batch(4)
    with pytest.raises(ValueError, match="training mode.*inference"):
        short()(digits_net(), images, labels, training=True)
    with pytest.raises(ValueError, match="restarts of its own"):
        Restarts(PARTS[0], 2)
    for attack in (PARTS[0], short()):
        with pytest.raises(ValueError, match="inside a compiled function"):
            training.AdversarialTraining(digits_net(), attack)
        with pytest.raises(ValueError, match="inside a compiled function"):
            export.export_attack(digits_net(), attack, tmp_path / "attack", 4)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"version": "best"}, "version is 'best'"),
        ({"version": ()}, "version is empty"),
        ({"version": (fgsm(eps=0.1),)}, "expected attacks of"),
        ({"version": (APGD(eps=0.2),)}, "expected the ensemble's eps"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"eps": 8}, "divide by 255"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        AutoAttack(**{"eps": 0.1, **settings})


def test_nan_does_not_pass_for_robustness():
    root = keras.layers.Lambda(lambda x: keras.ops.sqrt(keras.ops.square(0 * x)))
    flat = [keras.layers.Flatten(), keras.layers.Dense(10)]
    broken = keras.Sequential([keras.Input((8, 8, 1)), root, *flat])
    images, labels = batch(6)
    labels = broken(images).numpy().argmax(axis=1)
    for attack in (PARTS[0], PARTS[2]):
        with pytest.raises(ValueError, match="met NaN at 6 of 6 images"):
            attack(broken, images, labels)


def test_a_checkpoint_is_of_one_model(tmp_path):
    """Two layers of the same name without weights, which do different things."""

    def rounded(levels):
        mask = keras.layers.Lambda(lambda x: tf.round(x * levels) / levels, name="mask")
        return keras.Sequential([keras.Input((8, 8, 1)), mask, digits_net()])

    settings = {"version": PARTS[-1:], "eps": 0.1}
    coarse = AutoAttack(checkpoint_dir=tmp_path, **settings)
    coarse.outcome(rounded(2), *batch())
    fine = rounded(255)
    found = coarse.outcome(fine, *batch()).robust["square"]
    alone = AutoAttack(**settings).outcome(fine, *batch()).robust["square"]
    np.testing.assert_array_equal(found, alone)
