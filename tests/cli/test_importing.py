"""`--import=FILE.py`: layers, data sets and methods of one's own."""

import pathlib
import subprocess
import sys

import keras
import pytest

from igam_tf.cli import importing

_LAYERS = """
import keras

class {name}(keras.layers.Layer):
    def call(self, inputs):
        return 2.0 * inputs
"""
_METHOD = """
import dataclasses
from igam_tf.settings import setting
from igam_tf.training import methods
from igam_tf.training.standard import Settings

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Settings):
    name = "mine"
    strength: float = setting(1.0, "How much.", flag="mine_strength")

methods.register(Mine)
"""


@pytest.mark.parametrize(
    "arguments, files",
    [
        (["m.keras", "--import=a.py", "--eps=1"], ["a.py"]),
        (["--import", "a.py", "--import=b.py,c.py"], ["a.py", "b.py", "c.py"]),
        (["--important=x"], []),
    ],
)
def test_the_files_among_the_arguments(arguments, files):
    assert importing.named(arguments) == files


def test_layers_that_are_not_registered(tmp_path):
    """A model of such a layer loads after the file is imported."""
    file = tmp_path / "layers_for_a_test.py"
    file.write_text(_LAYERS.format(name="DoubledForATest"))
    importing.import_files([str(file), str(file)])
    module = sys.modules["layers_for_a_test"]
    layers = [keras.Input((2, 2, 1)), module.DoubledForATest(), keras.layers.Flatten()]
    keras.Sequential(layers).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.layers[0], module.DoubledForATest)


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("nowhere.py", None, "no such file"),
        ("model.keras", "", "expected a Python file"),
        ("broken_for_a_test.py", "\n\n1 / 0", r"ZeroDivisionError.*\(line 3\)"),
        ("json.py", "", "a module named 'json' is there already"),
    ],
)
def test_refusals(tmp_path, name, text, words):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        importing.import_files([str(tmp_path / name)])


def test_a_method_with_a_flag(tmp_path):
    """Its flag is known, and checked as all are."""
    (tmp_path / "mine.py").write_text(_METHOD)
    repository = pathlib.Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [
            sys.executable, str(repository / "run.py"), f"--import={tmp_path}/mine.py",
            "--flagfile=flags/quickstart.cfg", "--methods=mine", "--mine_strength=many",
        ],
        cwd=repository,
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "mine_strength=many" in done.stderr
