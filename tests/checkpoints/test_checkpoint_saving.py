"""`save_tf1` writes what TensorFlow 1 graphs restore."""

import json
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_checkpoints import equal_weights, randomize, small_net

from igam_tf import checkpoints, models
from igam_tf.cli.checkpoints import main
from igam_tf.training.finetune import with_new_logits

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
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    arrays = np.load(result)
    return {name.replace("|", "/"): arrays[name] for name in arrays}


def test_the_original_graph_restores_it(shared_dir, tmp_path):
    """All 253 variables of the training graph of the narrow CIFAR net."""
    golden = shared_dir / "golden" / "cifar_madry_narrow"
    model = checkpoints.load_madry(golden)
    checkpoints.save_tf1(model, tmp_path / "ours", step=70000, momentum_slots=True)
    restored = restored_by_tf1(variables_of(golden), tmp_path / "ours", tmp_path)
    assert len(restored) == 253
    assert restored["global_step"] == 70000
    assert_equal_to(golden, restored)


def test_the_original_igam_graph_restores_all_of_its_networks(shared_dir, tmp_path):
    """All 472 variables: teacher with both heads, student, discriminator, slots."""
    golden = shared_dir / "golden" / "igam_step_narrow"
    source = checkpoints.load(golden, part="teacher", head="source")
    networks = {
        "teacher": finetuned(source, checkpoints.load(golden, part="teacher")),
        "student": checkpoints.load(golden, part="student"),
        "discriminator": checkpoints.load(golden, part="discriminator"),
    }
    checkpoints.save_tf1(
        networks, tmp_path / "ours", source_teacher=source, momentum_slots=True
    )
    restored = restored_by_tf1(variables_of(golden), tmp_path / "ours", tmp_path)
    assert len(restored) == 472
    assert_equal_to(golden, restored)


def variables_of(golden):
    variables = json.loads((golden / "variables.json").read_text())
    for variable in variables:
        counter = variable["name"] == "global_step"
        variable.setdefault("dtype", "int64" if counter else "float32")
    return variables


def assert_equal_to(golden, restored):
    """Equal to the original's checkpoint, whose optimizers had taken steps already."""
    original = tf.train.load_checkpoint(str(golden))
    for name, value in restored.items():
        if name.split("/")[-1] in ("Momentum", "Adam", "Adam_1"):
            assert not value.any()
        elif not name.endswith("_power"):
            np.testing.assert_array_equal(value, original.get_tensor(name))


def finetuned(source, target, **kwargs):
    """`source` behind the logits of `target`, as `igam_tf.finetune` returns it."""
    kwargs = {"image_shape": source.input_shape[1:]} | kwargs
    model = with_new_logits(source, num_classes=target.output_shape[-1], **kwargs)
    model.layers[-1].set_weights(target.layers[-1].get_weights())
    return model


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


@pytest.mark.parametrize("transform", ["none", "resize"])
def test_finetuned_teacher(tmp_path, transform):
    """The network behind the transform, bit for bit, and both heads where known."""
    source, target = small_net(), small_net(num_classes=7)
    side = 32 if transform == "none" else 16
    model = finetuned(
        source, target, image_shape=(side, side, 3), input_transform=transform
    )
    checkpoints.save_tf1(model, tmp_path / "one")
    info = checkpoints.describe(tmp_path / "one")
    assert (info.kind, info.other) == ("igam_finetuned_teacher", ())
    assert info.part().heads == (("target", 7),)
    loaded = checkpoints.load(tmp_path / "one")
    assert equal_weights(loaded, target)
    images = np.random.default_rng(0).random((2, side, side, 3)).astype("float32")
    seen = model.get_layer("input_transform")(images)
    np.testing.assert_allclose(loaded(seen), model(images), rtol=1e-6)
    checkpoints.save_tf1(model, tmp_path / "both", source_teacher=source)
    assert equal_weights(checkpoints.load(tmp_path / "both"), target)
    assert equal_weights(checkpoints.load(tmp_path / "both", head="source"), source)
    assert [layer.name for layer in model.layers][-2:] == [
        "frozen_teacher",
        "target_task_logit",
    ]
    model.save(tmp_path / "finetuned.keras")
    again = checkpoints.load(tmp_path / "finetuned.keras")
    checkpoints.save_tf1(again, tmp_path / "again")
    assert equal_weights(checkpoints.load(tmp_path / "again"), target)


def test_what_the_authors_have_no_name_for(tmp_path):
    source = small_net(image_shape=(64, 64, 3))
    kwargs = {"image_shape": (32, 32, 3), "input_transform": "transpose_conv"}
    with pytest.raises(checkpoints.CheckpointError, match="transform with weights"):
        checkpoints.save_tf1(finetuned(source, small_net(), **kwargs), tmp_path)
    digits = models.mnist_cnn(filters=(2, 2), hidden_units=4)
    with pytest.raises(checkpoints.CheckpointError, match="no network of the TF1 code"):
        checkpoints.save_tf1(finetuned(digits, digits), tmp_path)
    with pytest.raises(checkpoints.CheckpointError, match="cannot be the student"):
        checkpoints.save_tf1(digits, tmp_path, part="student")
    assert not list(tmp_path.iterdir())


def test_wrong_source_teachers_and_parts(tmp_path):
    source, other = small_net(), small_net()
    other.get_layer("unit_2_0_conv1").kernel.assign_add(
        np.ones(other.get_layer("unit_2_0_conv1").kernel.shape)
    )
    model = finetuned(source, source)
    with pytest.raises(ValueError, match="'unit_2_0/sub1/conv1/DW' differ"):
        checkpoints.save_tf1(model, tmp_path, source_teacher=other)
    with pytest.raises(ValueError, match="no model is a finetuned teacher"):
        checkpoints.save_tf1(source, tmp_path, source_teacher=source)
    with pytest.raises(ValueError, match="keys .'pupil'.*'student'"):
        checkpoints.save_tf1({"pupil": source}, tmp_path)
    with pytest.raises(ValueError, match="keys of a dict are the parts"):
        checkpoints.save_tf1({"teacher": source}, tmp_path, part="student")
    with pytest.raises(checkpoints.CheckpointError, match="cannot be the teacher"):
        checkpoints.save_tf1({"teacher": models.discriminator()}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_warns_of_an_input_that_the_file_does_not_tell(tmp_path):
    usual = small_net()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        checkpoints.save_tf1(usual, tmp_path / "usual")
    other = models.wide_resnet(depth=8, width=1, image_shape=(16, 16, 3))
    randomize(other)
    options = r"image_shape=\(16, 16, 3\), normalization='zero_mean_unit_norm'"
    with pytest.warns(UserWarning, match=options):
        checkpoints.save_tf1(other, tmp_path / "other")
    loaded = checkpoints.load(
        tmp_path / "other",
        image_shape=(16, 16, 3),
        normalization="zero_mean_unit_norm",
    )
    images = np.random.default_rng(0).random((2, 16, 16, 3))
    np.testing.assert_array_equal(loaded(images), other(images))


NETWORKS = {
    "one convolution": lambda: models.mnist_cnn(
        image_shape=(8, 8, 1), filters=(2,), hidden_units=5
    ),
    "three convolutions": lambda: models.mnist_cnn(
        image_shape=(8, 8, 1), filters=(2, 3, 4), hidden_units=5
    ),
    "grey and dense": lambda: models.dense_discriminator(
        gradient_shape=(8, 8, 1), units=(4, 4, 2)
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_other_sizes_of_the_networks_come_back(tmp_path, name):
    network = NETWORKS[name]()
    randomize(network)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        checkpoints.save_tf1(network, tmp_path)
    loaded = checkpoints.load_madry(tmp_path)
    assert loaded.input_shape == network.input_shape
    assert equal_weights(loaded, network)


def test_warns_of_images_and_windows_that_the_file_does_not_tell(tmp_path):
    """Of the other networks, which have one normalization."""
    wide = models.mnist_cnn(image_shape=(8, 12, 1), filters=(2, 3), hidden_units=5)
    with pytest.warns(UserWarning, match=r"load it with image_shape=\(8, 12, 1\)\."):
        checkpoints.save_tf1(wide, tmp_path / "wide")
    loaded = checkpoints.load_madry(tmp_path / "wide", image_shape=(8, 12, 1))
    assert equal_weights(loaded, wide)
    shape, window = (12, 12, 3), (8, 8)
    net = models.discriminator(gradient_shape=shape, channels=(2, 3), crop_to=window)
    with pytest.warns(UserWarning, match="load it into such a network by load_weights"):
        checkpoints.save_tf1(net, tmp_path / "window")
    other = models.discriminator(gradient_shape=shape, channels=(2, 3), crop_to=window)
    checkpoints.load_weights(other, tmp_path / "window")
    assert equal_weights(other, net)


@pytest.mark.parametrize(
    "network, functions",
    [
        (lambda: small_net(activation="gelu"), "gelu.*has leaky_relu of slope 0.1"),
        (
            lambda: models.mnist_cnn(activation="leaky_relu", hidden_units=5),
            "leaky_relu of slope 0.1.*has relu",
        ),
    ],
)
def test_warns_of_activations_that_the_file_does_not_tell(tmp_path, network, functions):
    """They would be loaded as those of the original, and compute something else."""
    with pytest.warns(UserWarning, match=f"activations are .{functions}"):
        checkpoints.save_tf1(network(), tmp_path)


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
