"""The picture of success rates by class pair: its numbers read back."""

import json

import numpy as np
import pytest

from igam_tf.cli import report as command
from igam_tf.reports import plot_class_pairs

pytestmark = pytest.mark.fast


def row(label, **pairs):
    """A row with attacks on the ten images of classes 0 and 1; none of 2 is right."""
    found = {"accuracy": 0.5, "interval_95": [0.4, 0.6]}
    attacks = {name: {**found, "class_pairs": given} for name, given in pairs.items()}
    evaluation = {
        "attacks": {"clean": found, **attacks},
        "threat_model": "Linf",
        "eps": 0.1,
        "step_size": None,
        "batch_norm": "inference",
        "seed": 0,
        "num_examples": 12,
    }
    return {"label": label, "evaluation": evaluation}


EVERY = {
    "targets": [0, 1, 2],
    "num_images": [4, 6, 0],
    "num_reached": [[0, 1, 3], [6, 0, 0], [0, 0, 0]],
}
ONE = {"targets": [2], "num_images": [4, 6, 0], "num_reached": [[3], [0], [0]]}


def results():
    rows = {
        "a": row("net", **{"pgd20-t": EVERY, "toward": ONE}),
        "b": row("without"),
    }
    return {"title": "pairs", "rows": rows}


def test_fields_are_success_rates_in_percent():
    every, one, scale = plot_class_pairs(results()).axes
    shown = every.images[0].get_array()
    np.testing.assert_allclose(shown.filled(-1), [[-1, 25, 75], [100, -1, 0], [-1] * 3])
    texts = [text.get_text() for text in every.texts]
    assert texts == ["–", "25", "75", "100", "–", "0", "–", "–", "–"]
    assert every.get_title() == "net, PGD-20-T" and every.get_ylabel() == "true class"
    # Chosen targets are columns of their own, by their class.
    assert one.images[0].get_array().shape == (3, 1)
    assert [tick.get_text() for tick in one.get_xticklabels()] == ["2"]
    assert scale.get_ylabel() == "success (%)"


def test_rows_of_one_label_have_a_panel_each():
    rows = {"a": row("net", toward=ONE), "b": row("net", toward=EVERY)}
    *panels, _ = plot_class_pairs({"rows": rows}).axes
    assert [panel.get_title() for panel in panels] == ["net, toward", "net (b), toward"]


def test_names_of_classes_and_many_classes():
    figure = plot_class_pairs(results(), class_names=["cat", "dog", "owl"])
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert labels == ["cat", "dog", "owl"]
    with pytest.raises(ValueError, match="2 class names for 3 classes"):
        plot_class_pairs(results(), class_names=["cat", "dog"])
    count = 50
    many = {
        "targets": list(range(count)),
        "num_images": [2] * count,
        "num_reached": np.ones((count, count), int).tolist(),
    }
    figure = plot_class_pairs({"rows": {"a": row("net", **{"pgd5-t": many})}})
    ticks = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert ticks[:3] == ["0", "5", "10"] and not figure.axes[0].texts


def test_without_a_targeted_attack_there_is_no_picture():
    with pytest.raises(ValueError, match="--attacks=clean,pgd20-t"):
        plot_class_pairs({"rows": {"b": row("without")}})


def test_the_page_of_an_evaluation_shows_it(tmp_path):
    path = tmp_path / "net.results.json"
    path.write_text(json.dumps(results()))
    assert command.main([str(path)]) == 0
    page = (tmp_path / "net.results.html").read_text()
    assert "Success by class pair" in page and page.count("data:image/png") == 1
