"""TF1 checkpoints that are unusual: slices, shadows, names, more weights, options."""

import zipfile

import numpy as np
import pytest
import tensorflow as tf
from small_checkpoints import equal_weights, saved, small_net, tensors_of, write

from igam_tf import checkpoints, models
from igam_tf.checkpoints import CheckpointError, load_madry


@pytest.mark.parametrize("loads_into", [False, True])
def test_weights_without_a_place_are_not_left_out(tmp_path, loads_into):
    """A network of convolutions with biases is another network."""
    network = small_net()
    tensors = tensors_of(network)
    further = {"unit_1_0/sub1/conv1/biases": np.ones(16, np.float32)}
    path = write(tmp_path / "other", tensors | further)
    with pytest.raises(CheckpointError, match="no place for unit_1_0/sub1/conv1/bias"):
        if loads_into:
            checkpoints.load_weights(network, path)
        else:
            load_madry(path)
    # What optimizers and averages keep, counters, and other scopes are no weights.
    kept = {
        "unit_1_0/sub1/conv1/DW/ExponentialMovingAverage": np.ones(3, np.float32),
        "unit_1_0/rate": np.float32(0.1),
        "unit_1_0/steps": np.arange(3),
        "elsewhere/DW": np.ones(3, np.float32),
    }
    assert equal_weights(load_madry(write(tmp_path / "same", tensors | kept)), network)


def test_other_networks_have_a_place_for_their_weights_only(tmp_path):
    """Also that of MNIST, and the discriminator beside a teacher."""
    networks = {
        "teacher": models.mnist_cnn(image_shape=(8, 8, 1), filters=(2, 3)),
        "discriminator": models.discriminator(gradient_shape=(8, 8, 1), channels=(2,)),
    }
    checkpoints.save_tf1(networks, tmp_path / "both")
    for part, network in networks.items():
        assert equal_weights(load_madry(tmp_path / "both", part=part), network)
    tensors = tensors_of(networks["teacher"]) | {"Variable_8": np.ones(3, np.float32)}
    with pytest.raises(CheckpointError, match="teacher .* no place for Variable_8"):
        load_madry(write(tmp_path / "more", tensors))
    tensors = tensors_of(networks["discriminator"])
    tensors |= {"discriminator/conv0/scale": np.ones(2, np.float32)}
    with pytest.raises(CheckpointError, match="no place for discriminator/conv0/scale"):
        load_madry(write(tmp_path / "scaled", tensors))


def test_an_option_that_the_network_has_not_is_refused(tmp_path):
    network = models.mnist_cnn(image_shape=(8, 8, 1), filters=(2, 3), hidden_units=5)
    checkpoints.save_tf1(network, tmp_path)
    with pytest.raises(ValueError, match="'standardize': the teacher .*has 'none'"):
        load_madry(tmp_path, normalization="standardize")
    assert equal_weights(load_madry(tmp_path, normalization="none"), network)


@pytest.mark.parametrize(
    "shape", [(0, 0, 3), (-32, 32, 3), (32.0, 32.0, 3), (None, None, 3), (32, 3), 32]
)
def test_shapes_are_three_whole_numbers(tmp_path, shape):
    saved(tmp_path)
    with pytest.raises(ValueError, match="expected .height, width, 3., whole numbers"):
        load_madry(tmp_path, image_shape=shape)


@pytest.mark.parametrize("step", [-1, 2.5, "7"])
def test_steps_are_whole_numbers(tmp_path, step):
    with pytest.raises(ValueError, match=f"step={step}: expected a whole number"):
        checkpoints.save_tf1(small_net(), tmp_path / "out", step=step)
    assert not (tmp_path / "out").exists()


def test_a_variable_in_slices_is_one_variable(tmp_path):
    """Each of its slices has an entry of its own, whose key is no name."""
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "checkpoint-7"),
        tensor_names=["dense/kernel"] * 2,
        shape_and_slices=["4 2 0,2:0,2", "4 2 2,2:0,2"],
        tensors=[np.ones([2, 2], np.float32)] * 2,
    )
    info = checkpoints.describe(tmp_path)
    assert (info.other, info.num_variables) == (("dense/kernel",), 1)
    assert str(info).isprintable() or str(info).replace("\n", "").isprintable()


def test_a_folder_of_the_name_of_the_checkpoint(tmp_path):
    """TensorFlow takes the prefix for the folder, and says that nothing is in it."""
    network = small_net()
    prefix = write(tmp_path, tensors_of(network), "model")
    (tmp_path / "model").mkdir()
    for path in (tmp_path, prefix, f"{prefix}.index"):
        assert equal_weights(load_madry(path), network)


def test_what_macos_puts_beside_files(tmp_path):
    """`._NAME` files, in a zip in a folder of their own, which are no checkpoint."""
    network = small_net()
    write(tmp_path / "net", tensors_of(network))
    shadow = b"\x00\x05\x16\x07" + bytes(20)
    with zipfile.ZipFile(tmp_path / "net.zip", "w") as archive:
        for path in list((tmp_path / "net").iterdir()):
            archive.write(path, f"net/{path.name}")
            archive.writestr(f"__MACOSX/net/._{path.name}", shadow)
            path.with_name(f"._{path.name}").write_bytes(shadow)
    for path in ("net", "net.zip"):
        assert equal_weights(load_madry(tmp_path / path), network)
