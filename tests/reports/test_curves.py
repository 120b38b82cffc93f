"""Histories of a run as curves, and their figure."""

import pytest
from matplotlib.text import Text

from igam_tf.reports import plot_curves, read_histories

ROWS = {
    "igam": {"label": "IGAM", "student": "inner/igam/student.keras"},
    "igam-zero": {"label": "IGAM, zero gradient", "control_of": "igam"},
    "pgd": {"label": "PGD7"},
}


def write(folder, text):
    folder.mkdir(parents=True)
    (folder / "history.csv").write_text(text)


@pytest.fixture(name="trainings")
def _trainings(tmp_path):
    write(
        tmp_path / "inner" / "igam",
        "epoch,seconds,accuracy,adversarial,discriminator_accuracy,gradient_cosine,"
        "gradient_norm,loss,test_accuracy,test_loss\n"
        "1,9.5,0.5,-0.25,0.75,0.125,4,0.5,0.25,inf\n"
        "2,1.5,0.75,nan,0.5,0.25,4,0.25,0.5,2\n",
    )
    write(tmp_path / "igam-zero", "epoch,seconds,loss\n1,1,0.5\n")
    write(tmp_path / "pgd", "epoch,seconds,loss\n1,1,0.75\n")
    write(tmp_path / "teacher", "epoch,seconds,loss\n1,1,1.5\n")
    results = {"rows": ROWS, "teacher_seconds": {"teacher": 1.0, "finetuned": 0}}
    return read_histories(results, tmp_path)


def test_histories_by_panel(trainings):
    igam = trainings[0]
    assert igam.label == "IGAM" and igam.num_epochs == 2
    assert igam.panels == {
        "loss": {
            "total": [(1, 0.5), (2, 0.25)],
            "adversarial": [(1, -0.25)],
            "cross entropy, test": [(2, 2.0)],
        },
        "accuracy": {
            "training": [(1, 50), (2, 75)],
            "discriminator": [(1, 75), (2, 50)],
            "test": [(1, 25), (2, 50)],
        },
        "cosine": {"student and target": [(1, 0.125), (2, 0.25)]},
        "time": {"seconds": [(1, 9.5), (2, 1.5)]},
    }


def test_rows_before_controls_before_teachers(trainings):
    assert [(t.label, t.is_main) for t in trainings] == [
        ("IGAM", True),
        ("PGD7", True),
        ("IGAM, zero gradient", False),
        ("teacher", False),
    ]


def test_the_figure_draws_them(trainings, tmp_path):
    figure = plot_curves(trainings, tmp_path / "curves")
    assert {path.name for path in tmp_path.glob("curves.*")} == {
        "curves.png", "curves.pdf",
    }  # fmt: skip
    # Four panels of IGAM, two of each other.
    assert len(figure.axes) == 4 + 2 * 3
    loss, accuracy = figure.axes[:2]
    assert loss.lines[0].get_xydata().tolist() == [[1, 0.5], [2, 0.25]]
    assert accuracy.lines[2].get_xydata().tolist() == [[1, 25], [2, 50]]
    shown = {text.get_text() for text in figure.findobj(Text)}
    assert {"IGAM", "teacher", "Loss by term", "Cosine of the gradients"} <= shown


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no trainings"):
        plot_curves([])


def test_a_damaged_history_is_named(tmp_path):
    write(tmp_path / "pgd", "epoch,seconds\n1\n")
    with pytest.raises(ValueError, match=r"pgd/history\.csv is damaged"):
        read_histories({"rows": {"pgd": ROWS["pgd"]}}, tmp_path)
