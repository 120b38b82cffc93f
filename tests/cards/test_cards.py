"""Model cards: they travel, they tell what was measured, and their code runs."""

import contextlib
import copy
import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from small_models import set_seed

import igam_tf
from igam_tf import cards, models
from igam_tf.cards.contents import make_card


@functools.cache
def student():
    """A network of the package, with the normalisation that it owns."""
    set_seed(3)
    return models.wide_resnet(depth=8, width=1, num_classes=2, image_shape=(8, 8, 1))


@functools.cache
def _results():
    task = igam_tf.data.read("digits_parity", train_examples=1, test_examples=40)
    evaluation = igam_tf.evaluate(
        student(),
        igam_tf.data.evaluation_batches(task.test, 25),
        attacks=["clean", "pgd3"],
        eps=0.15,
        step_size=0.05,
        batch_size=25,
        seed=4,
        panel_examples=4,
        progress=False,
    )
    return {
        "title": "digits -> digits_parity",
        "rows": {
            "igam": {
                "label": "IGAM",
                "training_seconds": 12.3,
                "evaluation": evaluation,
            }
        },
        "teacher_seconds": {"teacher": 3.0},
        "train_examples": 96,
        "settings": {
            "source": "digits",
            "target": "digits_parity",
            "eval_batch_size": 25,
            "discriminator_channels": [16, 32],
            "data_dir": "/home/somebody/data",
            "run_dir": "/home/somebody/run",
            "teacher_checkpoint": "/home/somebody/adv_trained.zip",
        },
        "changes": ["epochs 3 (recipe: 40)"],
        "git_revision": "abc123",
        "versions": {"keras": "3.15.1"},
        "machine": {"cpus": 2, "gpus": 0},
    }


def results():
    return copy.deepcopy(_results())


@pytest.fixture(name="path")
def _path(tmp_path):
    path = tmp_path / "student.keras"
    student().save(path)
    return path


def same(model):
    images = np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype(np.float32)
    ours, expected = (np.asarray(network(images)) for network in (model, student()))
    np.testing.assert_array_equal(ours, expected)


def test_model_and_card_come_back(path, tmp_path):
    text = cards.write_card(path, results(), "igam", student())
    assert text == tmp_path / "student.card.md"
    # Alone, under another name, somewhere else.
    moved = tmp_path / "elsewhere" / "mine.keras"
    moved.parent.mkdir()
    shutil.copy(path, moved)
    model, card = igam_tf.load(moved)
    same(model)
    assert card == make_card(results(), "igam", student())
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "elsewhere", "student.card.md", "student.keras",
    ]  # fmt: skip


def test_what_the_card_says(path):
    cards.write_card(path, results(), "igam", student())
    card = cards.read_card(path)
    found = _results()["rows"]["igam"]["evaluation"]
    assert card["method"] == {"name": "igam", "label": "IGAM"}
    assert card["task"]["num_classes"] == 2
    assert card["task"]["input_shape"] == [8, 8, 1]
    assert (
        card["results"]["attacks"]["pgd3"]["interval_95"]
        == (found["attacks"]["pgd3"]["interval_95"])
    )
    assert card["results"]["warnings"] == found["warnings"]
    assert card["results"]["panel"]["warns"] == found["panel"]["warns"]
    assert card["num_parameters"] == student().count_params()
    assert "somebody" not in json.dumps(card), "paths of a machine are private"
    text = (path.parent / "student.card.md").read_text()
    accuracy = f"{100 * found['attacks']['pgd3']['accuracy']:.1f}"
    assert f"| PGD-3 | {accuracy} | " in text
    for part in ("abc123", "Trained in 12 s", "epochs 3", "8 x 8 x 1", "keras 3.15.1",
                 "--discriminator_channels=16,32", "eps 0.15", "seed 4",
                 "--teacher_checkpoint=adv_trained.zip"):  # fmt: skip
        assert part in text, part


def test_a_row_of_a_table_has_settings_of_its_own():
    found = results()
    own = {"source": "mnist", "difference_weight": 2.5}
    found["rows"]["igam_2.5"] = {
        **found["rows"].pop("igam"), "method": "igam", "settings": own
    }  # fmt: skip
    card = make_card(found, "igam_2.5", student())
    assert card["method"]["name"] == "igam" and card["task"]["source"] == "mnist"
    assert card["settings"]["difference_weight"] == 2.5
    assert card["settings"]["target"] == "digits_parity"


def test_of_an_attack_it_has_the_accuracy_and_not_the_tables(path):
    """200 classes against 200 are too many bytes for what a file can carry."""
    found = results()
    entry = found["rows"]["igam"]["evaluation"]["attacks"]["pgd3"]
    entry["class_pairs"] = [[7] * 200] * 200
    cards.write_card(path, found, "igam", student())
    of_attack = make_card(found, "igam", student())["results"]["attacks"]["pgd3"]
    assert of_attack == {n: v for n, v in entry.items() if n in of_attack}
    assert "accuracy" in of_attack and "class_pairs" not in of_attack


def test_warnings_stand_on_the_card():
    found = results()
    evaluation = found["rows"]["igam"]["evaluation"]
    evaluation["warnings"] = ["gradients are masked."]
    evaluation["panel"]["warns"] = ["eps_sweep"]
    card = make_card(found, "igam", student())
    text = cards.format_card(card)
    assert "- Warning: gradients are masked." in text and "did not warn" not in text
    del evaluation["panel"]
    text = cards.format_card(make_card(found, "igam", student()))
    assert "was not run" in text


def test_keras_reads_what_it_read_before(path):
    """No member is added: Keras would unpack a fourth one at every load."""
    with zipfile.ZipFile(path) as archive:
        before = {item.filename: item.CRC for item in archive.infolist()}
    time = path.stat().st_mtime_ns
    cards.write_card(path, results(), "igam", student())
    with zipfile.ZipFile(path) as archive:
        assert {item.filename: item.CRC for item in archive.infolist()} == before
        assert archive.testzip() is None
    assert path.stat().st_mtime_ns == time
    same(keras.models.load_model(path, compile=False))


def test_a_card_is_replaced_and_an_equal_one_left_alone(path):
    cards.attach_card(path, {"text": "a long first card" * 50})
    cards.attach_card(path, {"text": "short"})
    assert cards.read_card(path) == {"text": "short"}
    node = path.stat().st_ino
    cards.attach_card(path, {"text": "short"})
    assert path.stat().st_ino == node
    link = path.with_name("link.keras")
    link.symlink_to(path)
    cards.attach_card(link, {"text": "third"})
    assert link.is_symlink() and cards.read_card(path) == {"text": "third"}


def test_plain_keras_loads_it(path, tmp_path):
    """A process in which this package cannot be imported, with the code of the card."""
    text = cards.write_card(path, results(), "igam", student()).read_text()
    load = re.findall(r"```python\n(.*?)```", text, re.S)[0]
    code = (
        # Not even where it is installed.
        "import sys\nsys.modules['igam_tf'] = None\n"
        "try:\n    import igam_tf\n    raise SystemExit('igam_tf is here')\n"
        "except ModuleNotFoundError:\n    pass\n"
        f"{load}\nprint(logits.tolist(), classes.shape)\n"
        "assert not any(name.startswith('igam_tf.') for name in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    logits, shape = done.stdout.splitlines()[-1].rsplit(" (", 1)
    expected = np.asarray(student()(np.zeros((1, 8, 8, 1), np.float32)))
    np.testing.assert_allclose(json.loads(logits), expected, rtol=1e-4, atol=1e-5)
    assert shape == "1,)"


def test_the_attack_of_the_card_gives_its_numbers(path, monkeypatch):
    text = cards.write_card(path, results(), "igam", student()).read_text()
    attack = re.findall(r"```python\n(.*?)```", text, re.S)[1]
    monkeypatch.chdir(path.parent)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(attack, {})
    lines = [line for line in printed.getvalue().splitlines() if "on the card" in line]
    assert [line.split()[0] for line in lines] == ["clean", "pgd3"]
    found = _results()["rows"]["igam"]["evaluation"]["attacks"]
    for line in lines:
        name, ours, *_, stored = line.split()
        assert float(ours) == float(stored) == found[name]["accuracy"]


def resaved(path):
    cards.attach_card(path, {"text": "a"})
    keras.models.load_model(path, compile=False).save(path)


def with_other_comment(path):
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"hello"


@pytest.mark.parametrize(
    "damage, error, message",
    [
        (lambda path: None, ValueError, "has no card.*keras.models.load_model"),
        (resaved, ValueError, "has no card"),
        (with_other_comment, ValueError, "has no card"),
        (lambda path: path.write_bytes(b"PK half"), ValueError, "no .keras file"),
        (lambda path: path.unlink(), FileNotFoundError, "there is no file"),
        (
            lambda path: (path.unlink(), path.mkdir()),
            ValueError,
            "is a folder.*student.keras",
        ),
    ],
)
def test_errors_of_load(path, damage, error, message):
    damage(path)
    with pytest.raises(error, match=message):
        igam_tf.load(path)


def test_other_errors(path):
    before = path.read_bytes()
    with pytest.raises(ValueError, match="at most 65535"):
        cards.attach_card(path, {"text": "a" * 70_000})
    with pytest.raises(ValueError, match="row 'pgd': expected one of .'igam'."):
        cards.write_card(path, results(), "pgd", student())
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["student.keras"]


def test_a_failed_write_leaves_the_model(path, monkeypatch):
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no room")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no room"):
        cards.attach_card(path, {"text": "a"})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["student.keras"]


@pytest.mark.fast
def test_only_the_teacher_settings_that_were_used():
    found = results()
    teacher = {
        "teacher_epochs": 205,
        "teacher_eps": 0.03,
        "teacher_batch_norm": "batch",
    }
    found["settings"] |= {**teacher, "source_train_examples": 9, "methods": ["igam"]}
    settings = make_card(found, "igam", student())["settings"]
    assert "teacher_checkpoint" in settings and "teacher_batch_norm" in settings
    assert not {"teacher_epochs", "teacher_eps", "source_train_examples"} & set(
        settings
    )
    found["settings"]["teacher_checkpoint"] = ""
    settings = make_card(found, "igam", student())["settings"]
    assert settings["teacher_epochs"] == 205 and settings["source_train_examples"] == 9
    found["settings"]["methods"] = ["standard", "pgd"]
    settings = make_card(found, "igam", student())["settings"]
    assert not [name for name in settings if name.startswith("teacher_")]


def test_the_teachers_file_and_figures_stand_on_the_card():
    found = results()
    measured = {"num_examples": 200, "clean": 0.764, "pgd20": 0.63, "eps": 2 / 255}
    found["teacher"] = {
        "file": "/home/somebody/mine.keras",
        "sha256": "ab12",
        **measured,
    }
    card = make_card(found, "igam", student())
    assert card["teacher"] == {"file": "mine.keras", "sha256": "ab12", **measured}
    text = cards.format_card(card)
    for part in ("`mine.keras` (sha256 `ab12`)", "76.4 % clean", "63.0 % under PGD-20",
                 "eps 2/255"):  # fmt: skip
        assert part in text
    found["teacher"] = {"file": "mine.keras", "sha256": "ab12", "measured": False}
    assert "not measured" in cards.format_card(make_card(found, "igam", student()))
