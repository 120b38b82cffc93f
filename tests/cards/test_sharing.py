"""A folder for the hub, and models that come from there."""

import ast
import json
import re
import shutil
import sys
import types

import numpy as np
import pytest
from small_models import linear_model

import igam_tf
from igam_tf import cards
from igam_tf.cards import front_matter
from igam_tf.cli import flags
from igam_tf.cli import share as command

FRONT = """\
---
library_name: "keras"
pipeline_tag: "image-classification"
tags:
  - "image-classification"
  - "adversarial-robustness"
  - "igam_tf"
datasets:
  - "digits"
metrics:
  - "accuracy"
model-index:
  - name: "IGAM: \\"ours\\" for digits"
    results:
      - task:
          type: "image-classification"
          name: "Image classification"
        dataset:
          name: "digits"
          type: "digits"
          split: "test"
        metrics:
          - type: "accuracy"
            name: "accuracy, clean (95 % interval 40.4 to 59.6 %)"
            value: 0.5
            args:
              attack: "clean"
              interval_95:
                - 0.404
                - 0.596
              num_examples: 100
          - type: "accuracy"
            name: "accuracy, PGD-20, Linf, eps 8/255 (95 % interval 17.5 to 34.3 %)"
            value: 0.25
            args:
              attack: "pgd20"
              interval_95:
                - 0.175
                - 0.343
              num_examples: 100
---

# IGAM: "ours" for digits
"""

#: What YAML takes for marks, for ends of lines, or not at all.
HARD = ['"', "a: #b", "\x7f", "\x85x", "a\u2028b", "\ufeff", "\ufffe", "\x9b", "\udce9",
        "a\nb\t", "\U0001f600"]  # fmt: skip


def row(label, **more):
    attacks = {
        "clean": {"accuracy": 0.5, "interval_95": [0.404, 0.596]},
        "pgd20": {"accuracy": 0.25, "interval_95": [0.175, 0.343]},
    }
    evaluation = {
        "attacks": attacks, "threat_model": "Linf", "eps": 8 / 255, "step_size": None,
        "batch_norm": "inference", "seed": 0, "num_examples": 100,
    }  # fmt: skip
    return {"label": label, "evaluation": evaluation, **more}


@pytest.fixture(name="folder")
def _folder(tmp_path):
    folder = tmp_path / "run"
    (folder / "igam").mkdir(parents=True)
    model, _, _ = linear_model((8, 8, 1), 10)
    model.save(folder / "igam" / "student.keras")
    results = {
        "title": "digits -> digits",
        "rows": {
            "standard": row("Standard"),
            "igam": row('IGAM: "ours"', student="igam/student.keras"),
            "igam-zero": row("IGAM, zero gradient", control_of="igam"),
        },
        "settings": {"source": "digits", "target": "digits", "run_dir": "/home/me"},
        "versions": {"keras": "3.15.1"},
    }
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def test_a_folder_ready_to_push(folder, tmp_path, capsys):
    out = tmp_path / "shared" / "igam"
    assert command.main([str(folder), "igam", str(out)]) == 0
    names = ["README.md", "student.keras", "results.json"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[:-1] == [str(out / name) for name in names]
    assert f"hf upload OWNER/NAME {out}" in printed[-1]
    assert {path.name for path in out.iterdir()} == set(names)
    text = (out / "README.md").read_text()
    assert text.startswith(FRONT)
    assert 'keras.models.load_model("student.keras"' in text and "hf://OWNER" in text
    results = json.loads((out / "results.json").read_text())
    assert list(results["rows"]) == ["igam", "igam-zero"]
    assert "/home/me" not in text + json.dumps(results)
    model, card = igam_tf.load(out / "student.keras")
    assert model.count_params() == 650 and card["method"]["name"] == "igam"


def test_the_front_matter_is_yaml():
    """As a reader of YAML reads it."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    values = {
        "text": 'a: "b" # no comment\n\\ é', "number": 0.25, "word": "yes",
        "lists": [[1, 2], ["on"]], "dicts": [{"a": {"b": [1]}, "c": "-"}],
        "numbers": [1e-06, 5e-07, 1.25e-06, 1.0, 100000.0], "hard": HARD,
    }  # fmt: skip
    written = front_matter.formatted(values).strip("-\n")
    assert yaml.safe_load(written) == values


def test_what_yaml_cannot_hold_is_escaped():
    """Characters as the specification of YAML 1.2 has them (5.1), line ends apart."""
    printable = re.compile(
        "[ -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]+"
    )
    for text in HARD:
        written = front_matter.quoted(text)
        assert printable.fullmatch(written)
        assert ast.literal_eval(written) == json.loads(written) == text
    # What can be read stays so, and a number has the point that YAML 1.1 wants.
    assert front_matter.quoted("中文 é") == '"中文 é"'
    assert front_matter.formatted({"value": 1e-06}) == "---\nvalue: 1.0e-06\n---\n"


def test_a_label_and_a_folder_of_all_kinds_and_too_many_classes(folder, tmp_path):
    """A quote and an end of line in names; more names than a file can hold."""
    path = folder / "results.json"
    results = json.loads(path.read_text())
    results["rows"]["igam"]["label"] = 'IGAM "中"\x85\udce9'
    results["settings"]["target"] = '/home/me/my "best" data\x85'
    classes = [f"{i} {'中文' * 20}" for i in range(1000)]
    results["data"] = {"target": {"classes": classes}}
    student = folder / "igam" / 'my "net".keras'
    (folder / "igam" / "student.keras").rename(student)
    results["rows"]["igam"]["student"] = f"igam/{student.name}"
    path.write_text(json.dumps(results))
    # Beside the model there is room for the names.
    model, _, _ = linear_model((8, 8, 1), 10)
    text = cards.write_card(student, results, "igam", model).read_text(encoding="utf-8")
    assert f"\n999. {classes[-1]}\n" in text and 'load("my \\"net\\".keras")' in text
    cards.share(folder, "igam", tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert r'  - name: "IGAM \"中\"\u0085\udce9 for my_best_data"' in text.split("\n")
    assert '# IGAM "中" \\udce9 for my_best_data\n' in text
    assert "0 to 9 (whose names are too long for a card)." in text
    _, card = igam_tf.load(tmp_path / "out" / "student.keras")
    assert card["method"]["label"] == results["rows"]["igam"]["label"]
    assert card["task"]["classes"] == []


@pytest.mark.parametrize("count", [3, 100])
def test_names_of_classes_in_the_text(folder, tmp_path, count):
    """A line of a few, a list of many; as they are, and not as marks."""
    student = folder / "igam" / "student.keras"
    results = json.loads((folder / "results.json").read_text())
    classes = ["__init__", "snake_case", "a|b*"] + ["é 中"] * (count - 3)
    results["data"] = {"target": {"classes": classes}}
    model, _, _ = linear_model((8, 8, 1), 10)
    text = cards.write_card(student, results, "igam", model).read_text(encoding="utf-8")
    told = r"\_\_init\_\_", "snake_case", r"a\|b\*"
    if count == 3:
        assert f"classes 0 to 9: {', '.join(told)}.\n" in text
        assert "## Classes" not in text
    else:
        assert "classes 0 to 9, by name at the end.\n" in text
        assert "".join(f"\n{i}. {name}" for i, name in enumerate(told)) in text
        assert "\n99. é 中\n" in text and max(map(len, text.split("\n"))) < 200
    assert cards.read_card(student)["task"]["classes"] == classes


def test_the_hubs_own_reader_takes_it(folder, tmp_path):
    hub = pytest.importorskip(
        "huggingface_hub", reason="huggingface_hub is not installed"
    )
    cards.share(folder, "igam", tmp_path / "out")
    data = hub.ModelCard.load(tmp_path / "out" / "README.md").data
    assert [found.metric_value for found in data.eval_results] == [0.5, 0.25]
    assert data.eval_results[1].metric_args["interval_95"] == [0.175, 0.343]


@pytest.mark.parametrize(
    "damage, arguments, message",
    [
        (lambda f: None, ["pgd", "out"], "no row 'pgd': expected one of .'standard'"),
        (lambda f: None, ["standard", "out"], "there is no .*standard/student.keras"),
        (lambda f: None, ["igam", "run"], "run is not empty: expected a new folder"),
        (lambda f: (f / "results.json").unlink(), ["igam", "out"], "no results.json"),
        (lambda f: _change(f, title=""), ["igam", "out"], "results.json has no title"),
        (lambda f: _change(f, settings={"a": 1}), ["igam", "out"], "name no target"),
        (lambda f: _change(f, rows=["igam"]), ["igam", "out"], "its rows are list"),
        (
            lambda f: _change(f, rows={"igam": {"label": "I"}}),
            ["igam", "out"],
            "the row 'igam' has no label and evaluation: expected the results of",
        ),
        (
            lambda f: _change_clean(f, {"accuracy": 0.5}),
            ["igam", "out"],
            "has no accuracy and interval_95 of the attack 'clean'",
        ),
        (lambda f: _damage(f), ["igam", "out"], "student.keras .*damaged.*CRC"),
    ],
)
def test_errors_of_share(folder, monkeypatch, capsys, damage, arguments, message):
    monkeypatch.chdir(folder.parent)
    damage(folder)
    assert command.main(["run", *arguments]) == 1
    error = capsys.readouterr().err
    with pytest.raises(ValueError, match=message):
        raise ValueError(error)
    assert error.count("\n") == 1 and not (folder.parent / "out").exists()


def _change(folder, **values):
    path = folder / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _change_clean(folder, entry):
    results = json.loads((folder / "results.json").read_text())
    results["rows"]["igam"]["evaluation"]["attacks"]["clean"] = entry
    _change(folder, **results)


def _damage(folder):
    """Weights that are not those that were saved, under a card that is whole."""
    path = folder / "igam" / "student.keras"
    results = json.loads((folder / "results.json").read_text())
    cards.write_card(path, results, "igam", linear_model((8, 8, 1), 10)[0])
    content = bytearray(path.read_bytes())
    place = content.find(b"model.weights.h5") + 2000
    content[place : place + 100] = bytes(byte ^ 1 for byte in content[place:][:100])
    path.write_bytes(content)


def test_nobody_learns_where_files_are(folder, tmp_path):
    """Nor where the folder of corruptions is, in what a card and its results tell."""
    results = json.loads((folder / "results.json").read_text())
    asked = {"corruptions": ["/home/me/CIFAR-10-C", "fog"]}
    results["settings"] |= asked
    results["rows"]["igam"]["evaluation"]["settings"] = asked
    _change(folder, **results)
    student = folder / "igam" / "student.keras"
    model, _, _ = linear_model((8, 8, 1), 10)
    for card in (None, cards.make_card(results, "igam", model)):
        if card is not None:
            # As it was written before the folder was left out.
            cards.attach_card(student, {**card, "settings": results["settings"]})
        out = tmp_path / f"out{card is None}"
        cards.share(folder, "igam", out)
        for path in out.iterdir():
            assert b"/home/me" not in path.read_bytes(), path
        assert "--corruptions=CIFAR-10-C,fog\n" in (out / "README.md").read_text()
    # Nor in what differs from the recipe, which stands in the card as well.
    recipe, _ = flags.read([])
    changed = {**recipe, "corruptions": tuple(asked["corruptions"])}
    told = ["corruptions CIFAR-10-C,fog (recipe: none)"]
    assert flags.differences(recipe, changed) == told


def test_a_card_that_is_not_whole_is_made_again(folder, tmp_path):
    """One of another version, say, that lacks an interval."""
    student = folder / "igam" / "student.keras"
    results = json.loads((folder / "results.json").read_text())
    card = cards.make_card(results, "igam", linear_model((8, 8, 1), 10)[0])
    del card["results"]["attacks"]["pgd20"]["interval_95"]
    cards.attach_card(student, card)
    cards.share(folder, "igam", tmp_path / "out")
    _, found = igam_tf.load(tmp_path / "out" / "student.keras")
    assert found["results"]["attacks"]["pgd20"]["interval_95"] == [0.175, 0.343]


@pytest.fixture(name="hub")
def _hub(folder, tmp_path, monkeypatch):
    """A hub with one repository, "us/igam"; calls are written down."""
    cards.share(folder, "igam", tmp_path / "hub")
    calls = []

    def download(repo, file, *, revision=None):
        calls.append((repo, file, revision))
        if repo != "us/igam":
            raise RuntimeError("404 Client Error\nand much more")
        return str(tmp_path / "hub" / file)

    module = types.SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return calls


def test_a_model_of_the_hub(hub, tmp_path):
    model, card = igam_tf.load("hf://us/igam")
    assert model(np.zeros((1, 8, 8, 1), np.float32)).shape == (1, 10)
    assert card["method"]["label"] == 'IGAM: "ours"'
    (tmp_path / "hub" / "a").mkdir()
    shutil.copy(tmp_path / "hub" / "student.keras", tmp_path / "hub" / "a" / "b.keras")
    igam_tf.load("hf://us/igam@v1.0/a/b.keras")
    assert hub == [
        ("us/igam", "student.keras", None),
        ("us/igam", "a/b.keras", "v1.0"),
    ]


def test_errors_of_the_hub(hub, monkeypatch):
    with pytest.raises(OSError, match="could not be fetched .Runtime.*404 Client"):
        igam_tf.load("hf://us/other")
    for name in ("hf://igam", "hf://us/igam/file.h5", "hf://us/../igam"):
        with pytest.raises(ValueError, match="expected hf://OWNER/NAME"):
            igam_tf.load(name)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"pip install 'igam_tf\[hub\]'"):
        igam_tf.load("hf://us/igam")
    assert len(hub) == 1
