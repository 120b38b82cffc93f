"""Signs of gradient masking are told, and only they."""

import keras
from small_models import digits, digits_net

import igam_tf
from igam_tf import attacks
from igam_tf.attacks import parse
from igam_tf.evaluation.masking import order_warnings
from igam_tf.evaluation.statistics import wilson_interval


def warnings_of(counts, num_examples=1000):
    """Warnings for made-up numbers of images left standing."""
    attacks = {name: parse(name, eps=0.1) for name in counts}
    entries = {
        name: {
            "accuracy": count / num_examples,
            "interval_95": wilson_interval(count, num_examples),
        }
        for name, count in counts.items()
    }
    return order_warnings(attacks, entries)


def test_order_as_it_must_be():
    assert not warnings_of({"clean": 950, "fgsm": 600, "pgd5": 550, "pgd20": 500})
    # Another loss is another attack, and noise within the interval is no sign.
    assert not warnings_of({"pgd5": 300, "cw20": 600})
    assert not warnings_of({"fgsm": 500, "pgd20": 510})


def test_fgsm_that_beats_pgd():
    (warning,) = warnings_of({"clean": 950, "fgsm": 358, "pgd10": 439})
    assert "pgd10 leaves 43.9%" in warning and "fgsm only 35.8%" in warning


def test_few_short_steps_may_be_weaker_than_fgsm():
    """PGD-5 goes 5/4 eps from a random start, and may not reach the other side."""
    assert not warnings_of({"fgsm": 358, "pgd5": 439})


def test_fewer_steps_or_restarts_that_beat_more():
    assert len(warnings_of({"pgd10": 300, "pgd20": 400, "pgd100": 500})) == 3
    assert len(warnings_of({"pgd20": 300, "pgd20x5": 400})) == 1
    # 100 steps and 5 restarts of 20 do not compare.
    assert not warnings_of({"pgd100": 300, "pgd20x5": 400})


class Misled(attacks.GradientAttack):
    """PGD that does nothing when it has many steps."""

    def run(self, model, images, labels, seed, numbers, training):
        if self.num_steps < 10:
            return super().run(model, images, labels, seed, numbers, training)
        return images

    @property
    def structure(self):
        return (*super().structure, self.num_steps < 10)

    family = "misled"


def test_what_all_images_show_is_not_said_twice(monkeypatch):
    """The attacks asked for and the panel's meet the same failure."""

    def pgd(*, step_size, num_steps=20, num_restarts=1, loss="cross_entropy", **kwargs):
        settings = {"random_start": True, "norm": "linf", **kwargs}
        return Misled(step_size=step_size, num_steps=num_steps, loss=loss, **settings)

    monkeypatch.setattr(attacks, "pgd", pgd, raising=False)
    ball = {"eps": 0.15, "step_size": 0.04, "seed": 0}
    asked = [pgd(num_steps=steps, **ball) for steps in (8, 20)]
    images, labels = digits()
    data = images[1200:1260], labels[1200:1260]
    result = igam_tf.evaluate(digits_net(), data, asked, eps=0.15, progress=False)
    assert "pgd_steps" in result["panel"]["warns"]
    told = [warning for warning in result["warnings"] if "the weaker" in warning]
    assert len(told) == 1
    assert result["panel"]["checks"]["pgd_steps"]["sentence"] not in result["warnings"]
    assert len(result["warnings"]) == len(set(result["warnings"]))


def test_without_an_attack_there_is_nothing_to_warn_of():
    images, labels = digits()
    data = images[1200:1260], labels[1200:1260]
    masked = keras.Sequential([digits_net(), keras.layers.Rescaling(1e4)])
    result = igam_tf.evaluate(masked, data, ["clean"], progress=False)
    assert result["warnings"] == [] and result["panel"] is None
