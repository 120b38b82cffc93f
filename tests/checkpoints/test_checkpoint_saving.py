"""`save_tf1` writes what TensorFlow 1 graphs restore."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_checkpoints import equal_weights, small_net

from igam_tf import checkpoints
from igam_tf.checkpoints.__main__ import main

# Stands for the original graph: variables of its names, shapes and types (recorded from
# it in golden/*/variables.json) and its Saver.
TF1_GRAPH = """
import json, sys
import numpy as np, tensorflow.compat.v1 as tf
tf.disable_eager_execution()
for v in json.load(open(sys.argv[1])):
    tf.get_variable(v["name"], v["shape"], v["dtype"], tf.zeros_initializer())
with tf.Session() as session:
    tf.train.Saver().restore(session, tf.train.latest_checkpoint(sys.argv[2]))
    values = session.run({v.op.name: v for v in tf.global_variables()})
np.savez(sys.argv[3], **{n.replace("/", "|"): value for n, value in values.items()})
"""


def restored_by_tf1(variables, folder, tmp_path):
    description, result = tmp_path / "variables.json", tmp_path / "restored.npz"
    description.write_text(json.dumps(variables))
    command = [sys.executable, "-c", TF1_GRAPH, description, folder, result]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    arrays = np.load(result)
    return {name.replace("|", "/"): arrays[name] for name in arrays}


def test_the_original_graph_restores_it(shared_dir, tmp_path):
    """All 253 variables of the training graph of the narrow CIFAR net."""
    golden = shared_dir / "golden" / "cifar_madry_narrow"
    variables = json.loads((golden / "variables.json").read_text())
    for variable in variables:
        counter = variable["name"] == "global_step"
        variable.setdefault("dtype", "int64" if counter else "float32")
    model = checkpoints.load_madry(golden)
    checkpoints.save_tf1(model, tmp_path / "ours", step=70000, momentum_slots=True)
    restored = restored_by_tf1(variables, tmp_path / "ours", tmp_path)
    assert len(restored) == 253
    assert restored["global_step"] == 70000
    original = tf.train.load_checkpoint(str(golden))
    for name, value in restored.items():
        if not name.endswith("/Momentum"):
            np.testing.assert_array_equal(value, original.get_tensor(name))


@pytest.mark.parametrize("part", ["teacher", "student"])
def test_bit_exact(tmp_path, part):
    normalization = "standardize" if part == "teacher" else "zero_mean_unit_norm"
    model = small_net(normalization=normalization)
    prefix = checkpoints.save_tf1(model, tmp_path, part=part, step=3)
    assert prefix == str(tmp_path / "checkpoint-3")
    info = checkpoints.describe(tmp_path)
    assert (info.part().name, info.step) == (part, 3)
    assert info.normalization == normalization
    assert equal_weights(checkpoints.load(tmp_path), model)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint",
        "checkpoint-3.data-00000-of-00001",
        "checkpoint-3.index",
    ]


def test_foreign_models_and_parts_are_refused(tmp_path):
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="logit")])
    with pytest.raises(checkpoints.CheckpointError, match="no network of the TF1 code"):
        checkpoints.save_tf1(other, tmp_path)
    with pytest.raises(ValueError, match="part='both'"):
        checkpoints.save_tf1(small_net(), tmp_path, part="both")
    assert not list(tmp_path.iterdir())


def test_command_line_converts_and_describes(tmp_path, capsys):
    checkpoints.save_tf1(small_net(), tmp_path / "in", step=5)
    out = tmp_path / "out.keras"
    assert main(["convert", str(tmp_path / "in"), str(out)]) == 0
    assert "largest difference of logits 0" in capsys.readouterr().out
    assert main(["describe", str(tmp_path / "in")]) == 0
    assert "Wide-ResNet 8-1 (madry_cifar), 10 classes" in capsys.readouterr().out
    assert main(["describe", str(tmp_path / "gone")]) == 1
    assert "error: no checkpoint at" in capsys.readouterr().err
    assert main(["convert", str(tmp_path / "in"), str(tmp_path / "out.h5")]) == 1
    assert "ends in .keras" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out.keras"]
