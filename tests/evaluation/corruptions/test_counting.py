"""Counts under corruptions: files, resuming, comparison, table and page."""

import copy
import json

import keras
import numpy as np
import pytest

import igam_tf
from igam_tf import reports
from igam_tf.cli.compare import format_comparison
from igam_tf.evaluation import (
    Corruptions,
    compare,
    compare_corruptions,
    corrupted,
    evaluate_corruptions,
)
from igam_tf.evaluation.comparison import compare_evaluations

QUIET = {"progress": False}


def bright_model():
    """Class 1 where an image's mean is above a half, 0 elsewhere."""
    images = keras.Input((8, 8, 1))
    mean = keras.layers.GlobalAveragePooling2D()(images)
    model = keras.Model(images, keras.layers.Dense(2)(mean))
    model.set_weights([np.array([[-1.0, 1.0]]), np.array([0.5, -0.5])])
    return model


@pytest.fixture(scope="module", name="model")
def _model():
    return bright_model()


def levels(*means):
    return np.stack([np.full((8, 8, 1), mean, np.float32) for mean in means])


@pytest.fixture(name="files")
def _files(tmp_path):
    """Four images a severity; brighter ones with every severity."""
    labels = np.tile(np.array([0, 0, 1, 1], np.uint8), 5)
    first = 255 * levels(0.1, 0.35, 0.6, 0.9)
    each = [np.clip(first + 26 * s, 0, 255).astype(np.uint8) for s in range(5)]
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "brightness.npy", np.concatenate(each))
    np.save(tmp_path / "fog.npy", np.concatenate(each)[:, ::-1])
    return tmp_path


def test_published_files_by_hand(model, files):
    """0.35 is above a half from severity 3 on, 0.1 at severity 5 and not before."""
    found = evaluate_corruptions(model, None, str(files), batch_size=3, **QUIET)
    assert found["kinds"]["brightness"]["severities"] == {
        "1": 1.0, "2": 1.0, "3": 0.75, "4": 0.75, "5": 0.5,
    }  # fmt: skip
    assert found["accuracy"] == pytest.approx(0.8)
    assert found["mean_corruption_error"] == pytest.approx(0.2)
    assert found["num_examples"] == 4 and len(found["left_out"]) == 13
    low, high = found["interval_95"]
    assert 0 <= low < 0.8 < high <= 1
    assert json.loads(json.dumps(found)) == found
    fewer = evaluate_corruptions(
        model, None, Corruptions(folder=str(files), severities=(5, 1)),
        max_examples=2, **QUIET,
    )  # fmt: skip
    assert fewer["kinds"]["fog"]["severities"] == {"5": 0.0, "1": 1.0}


def test_made_images_are_those_of_corrupted(model):
    images = np.random.default_rng(0).uniform(0.3, 0.7, (7, 8, 8, 1)).astype(np.float32)
    labels = (images.mean(axis=(1, 2, 3)) > 0.5).astype(np.int32)
    found = evaluate_corruptions(
        model, (images, labels), "fog,brightness", batch_size=3, seed=2, **QUIET
    )
    for kind in ("fog", "brightness"):
        for severity in range(1, 6):
            made = corrupted(images, kind, severity, seed=2) / 255
            right = (made.mean(axis=(1, 2, 3)) > 0.5) == labels
            accuracy = found["kinds"][kind]["severities"][str(severity)]
            assert accuracy == pytest.approx(right.mean())


def test_what_was_counted_is_not_counted_again(model, monkeypatch):
    from igam_tf.evaluation.corruptions import counting, sources

    monkeypatch.setattr(sources, "_PORTION", 2)
    data = (levels(0.2, 0.4, 0.6, 0.8, 0.9), np.array([0, 0, 1, 1, 0]))
    states = []
    whole = evaluate_corruptions(
        model, data, ["contrast"], batch_size=2, keep=states.append, **QUIET
    )
    assert [state["num_examples"] for state in states] == [2, 4, 5]
    kept = json.loads(json.dumps(states[1]))
    classified = []
    original = counting._classify

    def classify(*arguments):
        classified.append(len(arguments[1].labels))
        return original(*arguments)

    monkeypatch.setattr(counting, "_classify", classify)
    rest = evaluate_corruptions(
        model, data, ["contrast"], batch_size=2, state=kept, **QUIET
    )
    assert classified == [1]
    assert rest["outcomes"] == whole["outcomes"] and rest["kinds"] == whole["kinds"]
    backwards = (data[0][::-1], data[1])
    fewer = (data[0][:1], data[1][:1])
    # One image would stand for two.
    for others in (backwards, fewer):
        with pytest.raises(ValueError, match="are not the first ones of these"):
            evaluate_corruptions(
                model, others, ["contrast"], batch_size=2, state=kept, **QUIET
            )
    # Portions of three would count an image twice.
    with pytest.raises(ValueError, match="or with other .*batch_size"):
        evaluate_corruptions(
            model, data, ["contrast"], batch_size=3, state=kept, **QUIET
        )


def test_a_state_of_another_evaluation_is_refused(model):
    data = (levels(0.2, 0.4, 0.6, 0.8), np.array([0, 0, 1, 1]))
    asked = {"corruptions": "fog", "batch_size": 2, **QUIET}
    states = []
    evaluate_corruptions(model, data, keep=states.append, **asked)
    (state,) = states
    found = evaluate_corruptions(model, data, state=state, **asked)
    assert found["outcomes"]["correct"] == state["correct"]
    # It gets every image wrong that the other one gets right.
    opposite = bright_model()
    opposite.set_weights([-weight for weight in model.get_weights()])
    without = {name: state[name] for name in state if name != "fingerprint"}
    for other in (
        {"model": opposite},
        {"corruptions": "fog,contrast"},
        {"corruptions": Corruptions(kinds=("fog",), severities=(1, 2))},
        {"seed": 1},
        {"batch_norm": "batch"},
        {"batch_size": 4},
        {"state": without},
    ):
        arguments = {"model": model, "data": data, "state": state, **asked, **other}
        with pytest.raises(ValueError, match="state is that of an interrupted"):
            evaluate_corruptions(**arguments)


@pytest.fixture(scope="module", name="evaluations")
def _evaluations(model, tmp_path_factory):
    """Two evaluations: the model's, and one that is right about one image less."""
    data = (levels(0.2, 0.3, 0.7, 0.8), np.array([0, 0, 1, 1]))
    kept = tmp_path_factory.mktemp("kept")
    result = igam_tf.evaluate(
        model, data, "clean", corruptions=["brightness", "contrast"],
        checkpoint_dir=kept / "unfinished", **QUIET,
    )  # fmt: skip
    assert not list(kept.iterdir())
    worse = copy.deepcopy(result)
    bits = worse["corruptions"]["outcomes"]["correct"]
    assert bits["contrast-1"] == "8A=="
    bits["contrast-1"] = "cA=="
    return result, worse


def test_compared_image_by_image(evaluations):
    result, worse = evaluations
    assert result["corruptions"]["kinds"]["contrast"]["accuracy"] == 1.0
    entry = compare(result, worse, "contrast-1")
    assert (entry["first_only"], entry["second_only"]) == (1, 0)
    assert entry["difference"] == pytest.approx(0.25)
    found = compare_corruptions(result["corruptions"], worse["corruptions"])
    assert list(found) == ["brightness", "contrast", "mean"]
    # One of four images is right at one severity of five less.
    assert found["contrast"]["difference"] == pytest.approx(0.05)
    assert found["mean"]["difference"] == pytest.approx(0.025)
    low, high = found["mean"]["interval"]
    assert low < 0.025 < high and found["mean"]["decided"] == 0
    assert found["brightness"]["p_value"] == 1.0
    both = compare_evaluations(result, worse)
    text = format_comparison({**both, "first": "one.json", "second": "other.json"})
    assert "| mean       |" in text and "paired t test" in text
    other = copy.deepcopy(result)
    other["corruptions"]["source"] = "files of CIFAR-10-C"
    found = compare_evaluations(result, other)
    assert "corruptions" not in found and "not compared" in found["notes"][-1]
    del other["corruptions"]
    assert "in one of the two only" in compare_evaluations(result, other)["notes"][-1]


def test_other_corruptions_are_not_compared(evaluations, model, files):
    """The mean over those in common would be that of neither."""
    result, _ = evaluations
    less = copy.deepcopy(result)
    del less["corruptions"]["kinds"]["contrast"]
    with pytest.raises(ValueError, match="only the first has contrast"):
        compare_corruptions(result["corruptions"], less["corruptions"])
    notes = compare_evaluations(less, result)["notes"]
    assert "Corruptions are not compared" in notes[-1]
    assert "only the second has contrast" in notes[-1]
    # Of the files, the digest is one of all that are asked for.
    both, one = (
        evaluate_corruptions(model, None, f"{files},{kinds}", **QUIET)
        for kinds in ("fog,brightness", "fog")
    )
    with pytest.raises(ValueError, match="only the first has brightness"):
        compare_corruptions(both, one)
    two, four = (
        Corruptions(folder=str(files), kinds=("brightness", "fog"), severities=s)
        for s in ((5, 4, 3, 2, 1), (1, 2, 3, 4))
    )
    turned = evaluate_corruptions(model, None, two, **QUIET)
    assert compare_corruptions(both, turned)["mean"]["difference"] == 0
    with pytest.raises(ValueError, match="severities of the two results"):
        compare_corruptions(both, evaluate_corruptions(model, None, four, **QUIET))


def test_in_table_and_page(evaluations):
    result, _ = evaluations
    half = copy.deepcopy(result)
    for entry in half["corruptions"]["kinds"].values():
        entry["accuracy"] = 0.5
    half["corruptions"]["accuracy"] = 0.5
    none = {key: value for key, value in result.items() if key != "corruptions"}
    rows = {
        name: {"label": name.title(), "evaluation": evaluation}
        for name, evaluation in
        (("standard", half), ("igam", result), ("finetune", none))
    }  # fmt: skip
    results = {"title": "a run", "rows": rows}
    table = reports.format_table(results)
    assert "| clean | corruptions |" in table
    assert "| 100.0 |        50.0 |" in table and "|           - |" in table
    assert "Corruptions" in table and "mean of 2 kinds at severities 1 to 5" in table
    error = 1 - result["corruptions"]["kinds"]["brightness"]["accuracy"]
    assert f"errors of Standard: Igam {100 * error / 0.5 / 2:.1f}." in table
    page = reports.format_page(results)
    assert 'id="corruptions"' in page and '<th scope="row">brightness</th>' in page
    assert 'id="corruptions"' not in reports.format_page(
        {"title": "a run", "rows": {"igam": rows["finetune"]}}
    )


def test_files_that_are_not_what_they_should_be(model, files):
    np.save(files / "fog.npy", np.zeros((19, 8, 8, 1), np.uint8))
    with pytest.raises(ValueError, match="fog.npy is an array.*expected 20 images"):
        evaluate_corruptions(model, None, str(files), **QUIET)
    (files / "fog.npy").write_bytes(b"no array")
    with pytest.raises(ValueError, match="unpack it again"):
        evaluate_corruptions(model, None, str(files), **QUIET)
    (files / "fog.npy").unlink()
    labels = np.load(files / "labels.npy")
    labels[0] = 1
    np.save(files / "labels.npy", labels)
    with pytest.raises(ValueError, match="the same images, five times"):
        evaluate_corruptions(model, None, str(files), **QUIET)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"batch_norm": "train"}, "batch_norm is 'train'"),
        ({"max_examples": -1}, "max_examples is -1: expected at least 1"),
        ({"max_examples": 0}, "max_examples is 0: expected at least 1"),
    ],
)
def test_bad_settings(model, settings, message):
    data = (levels(0.2, 0.8), np.array([0, 1]))
    with pytest.raises(ValueError, match=message):
        evaluate_corruptions(model, data, "fog", **settings, **QUIET)
    if "max_examples" in settings:
        for evaluation in (igam_tf.evaluate, igam_tf.evaluation.verify):
            with pytest.raises(ValueError, match=message):
                evaluation(model, data, **settings, **QUIET)


def test_what_does_not_fit_the_model_is_refused_before_any_attack(model, files):
    data = (levels(0.2), np.array([0]))
    other = np.zeros((20, 9, 9, 1), np.uint8)
    for kind in ("fog", "brightness"):
        np.save(files / f"{kind}.npy", other)
    for corruptions, message in (
        (str(files), "has images of .9, 9, 1., and the model takes .8, 8, 1."),
        ("saturate", "expected colours"),
    ):
        with pytest.raises(ValueError, match=message):
            igam_tf.evaluate(model, data, corruptions=corruptions, **QUIET)
    with pytest.raises(ValueError, match="seed is -1 with corruptions"):
        igam_tf.evaluate(model, data, seed=-1, corruptions="fog", **QUIET)
