"""The curve of robust accuracy over eps: its numbers read back."""

import json

import numpy as np
import pytest

from igam_tf.cli import report as command
from igam_tf.evaluation.curve import packed_distances
from igam_tf.reports import plot_robustness

pytestmark = pytest.mark.fast


def row(label, *distances):
    """A row measured by one attack or by several."""
    found = {"accuracy": 0.5, "interval_95": [0.4, 0.6]}
    names = ["fmn", "ddn"][: len(distances)]
    kept = {name: packed_distances(d) for name, d in zip(names, distances)}
    evaluation = {
        "attacks": dict.fromkeys(("clean", *names), found),
        "threat_model": "L2",
        "eps": 0.5,
        "step_size": None,
        "batch_norm": "inference",
        "seed": 0,
        "num_examples": 4,
        "outcomes": {"images": "", "correct": {}, "distances": kept},
    }
    return {"label": label, "evaluation": evaluation}


def results():
    rows = {
        "a": row("weak", [0, 0.25, 0.5, 0.75]),
        "b": row("strong", [0.5, 1.0, 2.0, np.inf], [1.0, 0.75, 2.0, np.inf]),
        "c": row("not measured"),
    }
    return {"title": "two", "rows": rows}


def test_curves_fall_where_images_are_lost():
    (axis,) = plot_robustness(results()).axes
    weak, strong, line = axis.get_lines()
    np.testing.assert_allclose(weak.get_xdata(), [0, 0.25, 0.5, 0.75, 2.0])
    np.testing.assert_allclose(weak.get_ydata(), [75, 50, 25, 0, 0])
    # Of two attacks the nearer image; one is never lost.
    np.testing.assert_allclose(strong.get_xdata(), [0, 0.5, 0.75, 2.0])
    np.testing.assert_allclose(strong.get_ydata(), [100, 75, 50, 25])
    assert set(line.get_xdata()) == {0.5}
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["weak", "strong"]
    assert axis.get_xlabel() == "eps (L2)"


def test_rows_of_one_label_have_a_curve_each():
    same = results()
    same["rows"]["b"]["label"] = "weak"
    (axis,) = plot_robustness(same).axes
    weak, strong, _ = axis.get_lines()
    assert weak.get_ydata()[-1] == 0 and strong.get_ydata()[-1] == 25
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["weak", "weak (b)"]


def test_an_evaluation_without_distances_has_no_curve():
    with pytest.raises(ValueError, match="--attacks=clean,fmn"):
        plot_robustness({"rows": {"c": row("not measured")}})


def test_the_page_of_an_evaluation_shows_it(tmp_path, capsys):
    path = tmp_path / "net.results.json"
    path.write_text(json.dumps(results()))
    assert command.main([str(path)]) == 0
    assert "left out" in capsys.readouterr().err
    page = (tmp_path / "net.results.html").read_text()
    assert "Robust accuracy over eps" in page and page.count("data:image/png") == 1
