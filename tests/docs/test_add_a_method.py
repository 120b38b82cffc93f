"""The page "Add a method", followed from its first block to its last."""

import json

import pages

PAGE = "igam_tf/training/README.md"
SMALLER = (
    ("EPOCHS = 40", "EPOCHS = 1"),
    ('"pgd20"', '"fgsm"'),
    (
        "--run_dir=runs/curvature",
        "--run_dir=runs/curvature --methods=curvature --source_train_examples=64 "
        "--train_examples=64 --teacher_epochs=1 --epochs=1 --attacks=clean "
        "--eval_examples=20 --panel_examples=0 --nodownload",
    ),
)


def test_page_can_be_followed(tmp_path):
    printed = pages.follow(PAGE, tmp_path, smaller=SMALLER)
    assert "fgsm: 0." in printed
    results = json.loads((tmp_path / "runs/curvature/results.json").read_text())
    assert results["rows"]["curvature"]["label"] == "CURE"
    history = (tmp_path / "runs/curvature/curvature/history.csv").read_text()
    assert "curvature" in history.splitlines()[0]


def test_a_stale_page_fails(tmp_path):
    path = tmp_path / "config.py"
    path.write_text("labels = {}\n")
    try:
        pages._change(path, " LABELS = {\n+    1: 2,\n")
    except ValueError as error:
        assert "0 times" in str(error)
    else:
        raise AssertionError("a change of a line that is not there was made")
