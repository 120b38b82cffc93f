"""Classes of a student's card beside those of the data that it is evaluated on."""

import json
import zipfile

import pytest
from PIL import Image

from igam_tf.cli import evaluate, own_data
from igam_tf.data import DatasetInfo

pytestmark = pytest.mark.fast


def student(folder, known):
    path = folder / "student.keras"
    card = {"kind": "igam_tf model card", "task": {"classes": known}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.comment = json.dumps(card).encode()
    return str(path)


def check(folder, known, have):
    info = DatasetInfo("photos", len(have) or 2, (8, 8, 1), class_names=tuple(have))
    own_data.check_classes(student(folder, known), info)


@pytest.mark.filterwarnings("ignore:.*sorted as text")
def test_the_same_classes_in_another_order_are_refused(tmp_path, capsys):
    """As a table of numbers and a folder of them have it."""
    for name in ("2", "10"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(2):
            Image.new("L", (8, 8)).save(tmp_path / "photos" / name / f"{i}.png")
    path = student(tmp_path, ["2", "10"])
    assert evaluate.main([path, f"--dataset={tmp_path / 'photos'}"]) == 1
    assert "class 0 is '2' there, and '10' here" in capsys.readouterr().err


def test_other_names_are_told(tmp_path, capsys):
    check(tmp_path, ["cat", "dog"], ["cat", "Dog"])
    assert "Warning: class 1 is 'dog' in the card" in capsys.readouterr().out


@pytest.mark.parametrize(
    "known, have", [(["a", "b"], ["a", "b"]), ([], ["a"]), (["a"], [])]
)
def test_nothing_is_said_where_they_agree_or_are_not_known(
    tmp_path, capsys, known, have
):
    check(tmp_path, known, have)
    plain = tmp_path / "plain.h5"
    plain.write_bytes(b"no card")
    info = DatasetInfo("photos", 2, (8, 8, 1), class_names=("a", "b"))
    own_data.check_classes(str(plain), info)
    own_data.check_classes(str(tmp_path / "nowhere"), info)
    assert not capsys.readouterr().out
