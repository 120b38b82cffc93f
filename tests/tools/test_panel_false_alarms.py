"""The measurement of the panel's false alarms: replay, portions, bounds, table."""

import numpy as np
import pytest
from small_models import linear_model

from igam_tf.evaluation import masking_panel
from tools import panel_false_alarms, panel_table
from tools.panel_recording import record, replayed


def test_what_is_replayed_is_what_the_panel_says():
    model = linear_model(shape=(4, 4, 1), num_classes=10, seed=2)[0]
    images = np.random.default_rng(0).random((30, 4, 4, 1)).astype(np.float32)
    labels = model(images).numpy().argmax(axis=1).astype(np.int32)
    recording = record(model, images, labels, eps=0.05, seed=3, batch_size=30)
    panel = masking_panel(model, (images, labels), eps=0.05, seed=3)
    played = replayed(recording, slice(0, 30))
    for name, check in panel["checks"].items():
        if name in ("logits", "randomized", "batch_dependent"):
            assert played[name] == check["warns"]
        else:
            assert played[name].values == check["values"]
    part = replayed(recording, slice(10, 20))["pgd_steps"].values
    key = next(key for key in recording if "num_steps=20," in key)
    assert part["pgd20"] == round(float(recording[key][10:20].mean()), 4)


def test_bounds():
    """No alarm in n looks: 1 - 0.05^(1/n); all of them: 1."""
    assert panel_false_alarms.upper_bound(0, 299) == pytest.approx(
        1 - 0.05 ** (1 / 299)
    )
    assert panel_false_alarms.upper_bound(5, 5) == 1


def test_portions():
    assert panel_false_alarms.portions(100) == [
        slice(0, 50), slice(50, 100), slice(0, 100),
    ]  # fmt: skip
    assert len(panel_false_alarms.portions(500)) == 10 + 5 + 2 + 1


def test_table():
    def rate(warns):
        found = {"looks": 40, "warns": warns, "upper_bound_95": 0.07214}
        return {**found, "networks": 2, "networks_that_warn": warns}

    failures = {
        "a": {"warns": ["square"], "meant": ["square"], "found": True},
        "b": {"warns": ["noise"], "meant": ["square"], "found": False},
    }
    text = panel_table.table(
        {
            "panel_version": 3,
            "honest": [
                {"name": "net", "clean": 0.9, "warns": {}, "has_learned": True},
                {"name": "dead", "clean": 0.08, "warns": {}, "has_learned": False},
            ],
            "rates": {
                "chosen on": {"square": rate(1), "transfer": rate(0), "any": rate(1)},
                "verified on": {"square": rate(0), "any": rate(0)},
            },
            "failures": failures,
        }
    )
    lines = text.splitlines()
    assert lines[2] == "| square | 1 of 40 | 7.2 % | 0 of 40 | 7.2 % | 1 of 2 |"
    assert lines[3] == "| transfer | 0 of 40 | 7.2 % | - | - | 0 of 2 |"
    assert lines[4].startswith("| any check |") and lines[4].endswith("| 2 of 2 |")
    assert "2 and 2 honest networks, of which 1 and 0 warn" in text
    assert "not counted: dead (8% when clean; warnings: none)." in text
    assert "names: b." in text
