"""`igam_tf.evaluate`: counts, batches, modes and bad input."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import CountsCalls, digits, digits_net, linear_model

import igam_tf
from igam_tf import attacks

QUIET = {"progress": False, "panel": False}


def test_data(count=100):
    images, labels = digits()
    return images[1200 : 1200 + count], labels[1200 : 1200 + count]


test_data.__test__ = False


def counts(result):
    return {name: entry["num_correct"] for name, entry in result["attacks"].items()}


def test_counts_equal_a_plain_loop():
    images, labels = test_data()
    result = igam_tf.evaluate(
        digits_net(), (images, labels), eps=0.1, batch_size=32, **QUIET
    )
    clean = digits_net().predict(images, verbose=0).argmax(axis=1) == labels
    expected = {"clean": clean.sum()}
    for name in ("fgsm", "pgd20"):
        adversarial = attacks.parse(name, eps=0.1)(digits_net(), images, labels)
        correct = digits_net().predict(adversarial, verbose=0).argmax(axis=1) == labels
        expected[name] = (clean & correct).sum()
    assert counts(result) == expected
    assert expected["clean"] > expected["fgsm"] > expected["pgd20"] > 0


def test_worst_case_of_a_linear_model():
    model, weights, _ = linear_model(shape=(4, 4, 1), seed=2)
    generator = np.random.default_rng(0)
    images = generator.uniform(0.3, 0.7, (200, 4, 4, 1)).astype(np.float32)
    logits = model(images).numpy()
    labels = logits.argmax(axis=1)
    margin = np.abs(logits[:, 0] - logits[:, 1])
    eps = 0.05
    cases = [("linf", 1, "fgsm"), ("l2", 2, "fgsm"), ("linf", 1, "cw9")]
    for norm, order, attack in cases:
        stands = margin > eps * np.linalg.norm(weights[:, 0] - weights[:, 1], order)
        result = igam_tf.evaluate(
            model, (images, labels), [attack], eps=eps, norm=norm, **QUIET
        )
        assert 0 < stands.sum() < 200
        assert counts(result) == {attack: stands.sum()}


def test_an_attack_that_repairs_an_image_does_not_count():
    """Images wrong when clean stay wrong, whatever the attack makes of them."""
    model, _, _ = linear_model()
    images = np.random.default_rng(0).uniform(0, 1, (50, 2, 3, 1)).astype(np.float32)
    labels = 1 - model(images).numpy().argmax(axis=1)

    class Repairs(attacks.GradientAttack):
        def run(self, model, images, labels, seed, numbers, training):
            return super().run(model, images, 1 - labels, seed, numbers, training)

    repairs = Repairs(**vars(attacks.fgsm(eps=0.9)))
    adversarial = repairs(model, images, labels)
    assert (model(adversarial).numpy().argmax(axis=1) == labels).any()
    result = igam_tf.evaluate(
        model, (images, labels), ["clean", repairs], eps=0.9, **QUIET
    )
    assert set(counts(result).values()) == {0}


def test_result_is_json_and_says_everything():
    result = igam_tf.evaluate(
        digits_net(),
        test_data(30),
        ("clean", "pgd3x2", attacks.pgd(eps=0.1, step_size=0.06, num_steps=2, seed=9)),
        eps=0.1,
        step_size=0.04,
        seed=4,
        **QUIET,
    )
    assert json.loads(json.dumps(result)) == result
    assert result["threat_model"] == "Linf" and result["num_examples"] == 30
    assert result["eps"] == 0.1 and result["step_size"] == 0.04 and result["seed"] == 4
    assert result["batch_norm"] == "inference" and result["warnings"] == []
    assert sorted(result["versions"]) == [
        "igam_tf",
        "keras",
        "numpy",
        "python",
        "tensorflow",
    ]
    entry = result["attacks"]["pgd3x2"]
    assert entry["attack"] == (
        "pgd(eps=0.1, step_size=0.04, num_steps=3, norm='linf', loss='cross_entropy', "
        "random_start=True, seed=4, num_restarts=2)"
    )
    assert entry["accuracy"] == entry["num_correct"] / 30
    low, high = entry["interval_95"]
    assert low < entry["accuracy"] < high
    assert entry["seconds"] > 0
    assert list(result["attacks"])[2].startswith("pgd(eps=0.1")


@pytest.mark.parametrize("batch_size", [1, 7, 50, 128])
def test_result_does_not_depend_on_the_batches(batch_size):
    images, labels = test_data(50)
    names = ("clean", "pgd2")
    expected = igam_tf.evaluate(digits_net(), (images, labels), names, eps=0.2, **QUIET)
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(13)
    for source in (data, (images, labels)):
        result = igam_tf.evaluate(
            digits_net(), source, names, eps=0.2, batch_size=batch_size, **QUIET
        )
        assert counts(result) == counts(expected)
        assert result["num_examples"] == 50


def test_nothing_is_retraced_for_a_last_batch():
    counter = CountsCalls()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            counter,
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    names = ("clean", "fgsm", "pgd2", "pgd5")
    settings = {"attacks": names, "eps": 0.1, "batch_size": 8, **QUIET}
    images, _ = test_data(27)
    # All are right, and so all are attacked.
    labels = model(images).numpy().argmax(axis=1)
    igam_tf.evaluate(model, (images[:8], labels[:8]), **settings)
    calls = counter.calls
    result = igam_tf.evaluate(model, (images, labels), **settings)
    assert counter.calls == calls
    assert result["num_examples"] == 27


def test_max_examples():
    data = tf.data.Dataset.from_tensor_slices(test_data(100)).batch(30)
    for batch_norm in ("inference", "batch"):
        result = igam_tf.evaluate(
            digits_net(),
            data,
            ["clean"],
            max_examples=40,
            batch_size=16,
            batch_norm=batch_norm,
            **QUIET,
        )
        assert result["num_examples"] == 40


def test_batch_norm_with_batch_statistics():
    """As the authors evaluate: each batch as given, and the model left as it was."""
    images, labels = test_data(70)
    before = [variable.numpy() for variable in digits_net().variables]
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(30)
    result = igam_tf.evaluate(
        digits_net(), data, ("clean", "pgd5"), eps=0.1, batch_norm="batch", **QUIET
    )
    for old, new in zip(before, digits_net().variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    attack = attacks.parse("pgd5", eps=0.1)
    clean, robust = 0, 0
    for start in (0, 30, 60):
        x, y = images[start : start + 30], labels[start : start + 30]
        adversarial = attack(digits_net(), x, y, training=True, first_index=start)
        copy = keras.models.clone_model(digits_net())
        copy.set_weights(digits_net().get_weights())
        correct = copy(x, training=True).numpy().argmax(axis=1) == y
        clean += correct.sum()
        correct &= copy(adversarial, training=True).numpy().argmax(axis=1) == y
        robust += correct.sum()
    assert counts(result) == {"clean": clean, "pgd5": robust}
    assert result["batch_norm"] == "batch"


def test_progress_shows_accuracies_and_warnings(capsys):
    masked = keras.Sequential([digits_net(), keras.layers.Rescaling(1e4)])
    igam_tf.evaluate(masked, test_data(20), ("clean", "fgsm"), batch_size=8)
    printed = capsys.readouterr().out
    assert "20/20" in printed and "clean" in printed and "fgsm" in printed
    assert "Masking panel: " in printed and "20 images" in printed
    assert "Warning, vanishing_gradients: the gradient of the loss is" in printed
    igam_tf.evaluate(masked, test_data(20), ("clean", "fgsm"), progress=False)
    assert capsys.readouterr().out == ""


def test_worst_case_of_all_attacks():
    """Two attacks, either of which spares images that the other one does not."""
    images, labels = test_data(60)

    class Half(attacks.GradientAttack):
        def run(self, model, images, labels, seed, numbers, training):
            attacked = super().run(model, images, labels, seed, numbers, training)
            mask = tf.reshape(labels % 2 == self.seed, [-1, 1, 1, 1])
            return tf.where(mask, attacked, images)

        @property
        def structure(self):
            return ("half", self.seed)

    pgd = vars(attacks.pgd(eps=0.15, num_steps=10, random_start=False))
    halves = [Half(**{**pgd, "seed": seed}) for seed in (0, 1)]
    whole = attacks.GradientAttack(**{**pgd, "seed": 2})
    result = igam_tf.evaluate(
        digits_net(), (images, labels), [*halves, whole], eps=0.15, **QUIET
    )
    even, odd, both = counts(result).values()
    clean = float(result["robustbench"]["clean_acc"]) / 100 * 60
    assert even + odd == pytest.approx(both + clean, abs=0.01)
    assert result["worst_case"]["num_correct"] == both < min(even, odd)


def test_autoattack_and_the_names_of_robustbench():
    names = ["clean", "pgd20", "autoattack"]
    data = tf.data.Dataset.from_tensor_slices(test_data(24)).batch(20)
    result = igam_tf.evaluate(digits_net(), data, names, eps=0.1, batch_size=9, **QUIET)
    entry = result["attacks"]["autoattack"]
    parts = ["clean", "apgd-ce", "apgd-t", "fab-t", "square"]
    standing = [entry["standing"][part] for part in parts]
    assert standing == sorted(standing, reverse=True)
    assert standing[0] == result["attacks"]["clean"]["num_correct"]
    assert standing[-1] == entry["num_correct"] <= counts(result)["pgd20"]
    assert entry["forward_passes"]["square"] > entry["forward_passes"]["clean"] >= 24
    alone = attacks.parse("autoattack", eps=0.1)
    images, labels = test_data(24)
    adversarial = alone(digits_net(), images, labels)
    is_right = digits_net()(adversarial).numpy().argmax(1) == labels
    assert entry["num_correct"] == is_right.sum()
    assert result["robustbench"] == {
        "architecture": digits_net().name,
        "number_forward_passes": 1,
        "eps": "0.1",
        "clean_acc": f"{100 * result['attacks']['clean']['accuracy']:.2f}",
        "autoattack_acc": f"{100 * entry['accuracy']:.2f}",
        "unreliable": False,
    }
    assert json.loads(json.dumps(result)) == result


def test_images_that_the_panel_finds_not_robust_are_not():
    """FGSM alone finds fewer adversarial images than the panel's attacks."""
    result = igam_tf.evaluate(
        digits_net(),
        test_data(50),
        ["fgsm"],
        eps=0.1,
        panel_examples=30,
        progress=False,
    )
    panel = result["panel"]
    assert panel["num_examples"] == 30
    fgsm, worst = counts(result)["fgsm"], result["worst_case"]["num_correct"]
    assert panel["worst_case"]["num_correct"] <= worst < fgsm


def with_softmax():
    return keras.Sequential([digits_net(), keras.layers.Softmax()])


def with_nan():
    model = keras.models.clone_model(digits_net())
    model.set_weights([np.full_like(w, np.nan) for w in digits_net().get_weights()])
    return model


NOTHING = (np.zeros((0, 8, 8, 1), np.float32), np.zeros(0, np.int32))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"attacks": ()}, "no attacks"),
        ({"attacks": ("pgd20", "pgdx")}, "'pgdx'.*expected 'clean'"),
        ({"attacks": ["autoattack"], "batch_norm": "batch"}, "images that are left"),
        ({"panel_examples": 0}, "panel_examples"),
        ({"attacks": [attacks.fgsm(eps=0.3)]}, "one threat model"),
        ({"eps": 8}, "divide by 255"),
        ({"norm": "l0"}, "norm is 'l0'"),
        ({"batch_norm": "training"}, "batch_norm is 'training'"),
        ({"batch_size": 0}, "batch_size"),
        ({"max_examples": 0}, "max_examples"),
        ({"seed": 0.5}, "seed"),
        ({"data": NOTHING}, "no images"),
        ({"data": NOTHING, "panel": True}, "no images"),
        ({"model": with_nan, "panel": True}, "returns NaN for images of the panel"),
        ({"data": np.zeros((5, 8, 8, 1))}, "pair of arrays"),
        ({"data": (test_data(5)[0], test_data(6)[1])}, "5 images and 6 labels"),
        ({"data": (test_data(5)[0] * 255, test_data(5)[1])}, r"\[0, 1\]"),
        ({"data": (test_data(5)[0], test_data(5)[1] + 7)}, "num_classes=10"),
        ({"data": tf.data.Dataset.from_tensor_slices(test_data(5))}, "data.batch"),
        ({"data": tf.data.Dataset.from_tensors(test_data(5)[0])}, "data.map"),
        ({"model": with_softmax}, "probabilities"),
        ({"model": with_nan}, "returns NaN for clean images"),
    ],
)
def test_bad_input(change, message):
    arguments = {"model": digits_net, "data": test_data(20), **QUIET, **change}
    model = arguments.pop("model")()
    with pytest.raises(ValueError, match=message):
        igam_tf.evaluate(model, arguments.pop("data"), **arguments)
