"""A killed evaluation goes on where it was, to the same result."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import digits, digits_net

import igam_tf
from igam_tf import attacks

SETTINGS = {"eps": 0.1, "batch_size": 16, "progress": False, "panel_examples": 20}


def examples(count=60):
    images, labels = digits()
    return images[1200 : 1200 + count], labels[1200 : 1200 + count]


class Kill(Exception):
    pass


class Killed(attacks.GradientAttack):
    """PGD that is killed at a certain call."""

    calls = 0
    kill_at = None

    def __call__(self, model, images, labels, **kwargs):
        Killed.calls += 1
        if Killed.calls == Killed.kill_at:
            raise Kill
        return super().__call__(model, images, labels, **kwargs)


def killed(kill_at, monkeypatch):
    monkeypatch.setattr(Killed, "calls", 0)
    monkeypatch.setattr(Killed, "kill_at", kill_at)
    return Killed(**vars(attacks.pgd(eps=0.1, num_steps=5)))


def without_times(result):
    if isinstance(result, dict):
        return {
            name: without_times(value)
            for name, value in result.items()
            if "seconds" not in name
        }
    return result


@pytest.mark.parametrize("panel", [True, False])
def test_the_same_result(tmp_path, monkeypatch, panel):
    settings = {**SETTINGS, "panel": panel}
    attack = killed(3, monkeypatch)
    with pytest.raises(Kill):
        igam_tf.evaluate(
            digits_net(), examples(), ["clean", attack], checkpoint_dir=tmp_path / "c",
            **settings,
        )  # fmt: skip
    assert [path.name for path in (tmp_path / "c").iterdir()] == [
        "evaluation-so-far.json"
    ]
    attack = killed(None, monkeypatch)
    resumed = igam_tf.evaluate(
        digits_net(), examples(), ["clean", attack], checkpoint_dir=tmp_path / "c",
        **settings,
    )  # fmt: skip
    # Two of four batches had been counted.
    assert Killed.calls == 2
    assert not (tmp_path / "c").exists()
    straight = igam_tf.evaluate(digits_net(), examples(), ["clean", attack], **settings)
    assert without_times(resumed) == without_times(straight)


def test_a_second_kill(tmp_path, monkeypatch):
    """Before anything more is counted: what the first left must still be there."""
    folder = tmp_path / "c"

    def evaluate(attack):
        return igam_tf.evaluate(
            digits_net(),
            examples(),
            ["clean", attack],
            checkpoint_dir=folder,
            **SETTINGS,
        )

    for kill_at in (3, 1):
        with pytest.raises(Kill):
            evaluate(killed(kill_at, monkeypatch))
    attack = killed(None, monkeypatch)
    resumed = evaluate(attack)
    assert Killed.calls == 2
    straight = igam_tf.evaluate(digits_net(), examples(), ["clean", attack], **SETTINGS)
    assert without_times(resumed) == without_times(straight)


def _rounded(levels):
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Lambda(lambda x: tf.round(x * levels) / levels, name="mask"),
            digits_net(),
        ]
    )


@pytest.mark.parametrize(
    "first, then",
    [
        ({"panel": False}, {}),
        # The same weights and names, and another layer without weights between them.
        ({"model": _rounded(1), "panel": False},
         {"model": _rounded(255), "panel": False}),
        ({"transfer_from": {"other": _rounded(1)}},
         {"transfer_from": {"other": _rounded(255)}}),
    ],
    ids=["panel", "model", "source"],
)  # fmt: skip
def test_another_evaluation_begins_anew(tmp_path, monkeypatch, first, then):
    attack = killed(3, monkeypatch)
    defaults = {**SETTINGS, "model": digits_net(), "data": examples()}
    with pytest.raises(Kill):
        igam_tf.evaluate(
            attacks=["clean", attack],
            checkpoint_dir=tmp_path / "c",
            **{**defaults, **first},
        )
    attack = killed(None, monkeypatch)
    settings = {**defaults, "attacks": ["clean", attack], **then}
    found = igam_tf.evaluate(checkpoint_dir=tmp_path / "c", **settings)
    assert Killed.calls == 4
    assert without_times(found) == without_times(igam_tf.evaluate(**settings))


@pytest.mark.parametrize("changed", ["images", "labels"])
def test_a_panel_is_of_its_images(tmp_path, monkeypatch, changed):
    """Killed before a batch is counted, and called again with other data."""
    images, labels = examples()
    with pytest.raises(Kill):
        igam_tf.evaluate(
            digits_net(), (images, labels), [killed(1, monkeypatch)],
            checkpoint_dir=tmp_path / "c", **SETTINGS,
        )  # fmt: skip
    attack = killed(None, monkeypatch)
    other = images[::-1].copy(), labels[::-1].copy()
    if changed == "labels":
        other = images, (labels + 1) % 10
    found = igam_tf.evaluate(
        digits_net(), other, [attack], checkpoint_dir=tmp_path / "c", **SETTINGS
    )
    straight = igam_tf.evaluate(digits_net(), other, [attack], **SETTINGS)
    assert without_times(found) == without_times(straight)


def test_fewer_images_than_were_counted(tmp_path, monkeypatch):
    settings = {**SETTINGS, "checkpoint_dir": tmp_path}
    images, labels = examples()
    with pytest.raises(Kill):
        igam_tf.evaluate(
            digits_net(), (images, labels), [killed(4, monkeypatch)], **settings
        )
    attack = killed(None, monkeypatch)
    with pytest.raises(ValueError, match="holds 48 images.*the data has 32"):
        igam_tf.evaluate(digits_net(), (images[:32], labels[:32]), [attack], **settings)


@pytest.mark.parametrize("panel", [True, False])
def test_autoattack_goes_on_within_a_portion(tmp_path, monkeypatch, panel):
    data = tf.data.Dataset.from_tensor_slices(examples(30)).batch(10)
    settings = {**SETTINGS, "panel": panel}
    autoattack = attacks.AutoAttack
    seen = []

    def stop_in_the_third(progress):
        seen.append(progress.attack)
        if progress.attack == "fab-t":
            raise Kill

    from igam_tf.attacks.engine import checkpoint

    monkeypatch.setattr(checkpoint, "_SECONDS_BETWEEN", 0.0)
    with pytest.raises(Kill):
        igam_tf.evaluate(
            digits_net(), data, [autoattack(eps=0.1, callback=stop_in_the_third)],
            checkpoint_dir=tmp_path, **settings,
        )  # fmt: skip
    assert len(list(tmp_path.glob("autoattack-*.npz"))) == 1
    later = []
    attack = autoattack(
        eps=0.1, callback=lambda progress: later.append(progress.attack)
    )
    resumed = igam_tf.evaluate(
        digits_net(), data, [attack], checkpoint_dir=tmp_path, **settings
    )
    assert "apgd-ce" in seen and "apgd-ce" not in later
    straight = igam_tf.evaluate(digits_net(), data, [attack], **settings)
    key = repr(attack)
    for name in ("num_correct", "standing"):
        assert resumed["attacks"][key][name] == straight["attacks"][key][name]
    assert not tmp_path.exists()


def test_other_images_are_noticed(tmp_path, monkeypatch):
    settings = {**SETTINGS, "panel": False, "checkpoint_dir": tmp_path}
    attack = killed(3, monkeypatch)
    images, labels = examples()
    with pytest.raises(Kill):
        igam_tf.evaluate(digits_net(), (images, labels), [attack], **settings)
    attack = killed(None, monkeypatch)
    other = np.roll(images, 1, axis=0), np.roll(labels, 1)
    with pytest.raises(ValueError, match="on other images.*do not shuffle"):
        igam_tf.evaluate(digits_net(), other, [attack], **settings)


def test_another_evaluation_starts_anew(tmp_path, monkeypatch):
    settings = {**SETTINGS, "panel": False, "checkpoint_dir": tmp_path}
    attack = killed(3, monkeypatch)
    with pytest.raises(Kill):
        igam_tf.evaluate(digits_net(), examples(), [attack], **settings)
    attack = killed(None, monkeypatch)
    # It is right about some image of every batch: others are not attacked at all.
    retrained = keras.models.clone_model(digits_net())
    retrained.set_weights([0.99 * weights for weights in digits_net().get_weights()])
    result = igam_tf.evaluate(retrained, examples(), [attack], **settings)
    assert Killed.calls == 4 and result["num_examples"] == 60


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "evaluation-so-far.json"
    path.write_text('{"fingerprint"')

    def evaluated():
        return igam_tf.evaluate(
            digits_net(), examples(), ["clean"], checkpoint_dir=tmp_path, **SETTINGS
        )

    with pytest.raises(ValueError, match=r"evaluation-so-far\.json.*delete it"):
        evaluated()
    path.unlink()
    assert evaluated()["num_examples"] == 60
