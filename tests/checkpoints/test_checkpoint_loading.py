"""Loading by every door, and one clear error for everything that is not right."""

import os
import pathlib
import shutil
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_checkpoints import (
    equal_weights,
    randomize,
    saved,
    small_net,
    tensors_of,
    write,
)

from igam_tf import checkpoints, models
from igam_tf.checkpoints import CheckpointError


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """(folder, model): a small MadryLab checkpoint and the model it was made from."""
    folder = tmp_path_factory.mktemp("teacher")
    return folder, saved(folder)


@pytest.fixture
def folder(teacher, tmp_path):
    """A copy of the checkpoint's folder, to damage."""
    return pathlib.Path(shutil.copytree(teacher[0], tmp_path / "copy"))


def make_zip(folder, path, inside="models/adv_trained"):
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"{inside}/{file.name}")
    return path


@pytest.mark.parametrize("door", ["folder", "prefix", ".index", "data", "zip", "link"])
def test_every_door_gives_the_same_network(teacher, tmp_path, door):
    folder, model = teacher
    path = {
        "folder": folder,
        "prefix": folder / "checkpoint-7",
        ".index": str(folder / "checkpoint-7.index"),
        "data": folder / "checkpoint-7.data-00000-of-00001",
        "zip": tmp_path / "adv_trained.zip",
        "link": tmp_path / "link",
    }[door]
    make_zip(folder, tmp_path / "adv_trained.zip")
    (tmp_path / "link").symlink_to(folder)
    assert checkpoints.describe(path).kind == "madry_cifar"
    loaded = checkpoints.load(path)
    assert equal_weights(loaded, model)
    images = np.random.default_rng(1).random((2, 32, 32, 3), dtype=np.float32)
    np.testing.assert_array_equal(loaded(images), model(images))


def test_folder_with_the_folder_inside(teacher, tmp_path):
    """What `fetch` and unpacked zips leave: models/NAME/models/adv_trained/."""
    inside = tmp_path / "cifar10_adv_trained" / "models" / "adv_trained"
    shutil.copytree(teacher[0], inside)
    loaded = checkpoints.load_madry(tmp_path / "cifar10_adv_trained")
    assert equal_weights(loaded, teacher[1])
    shutil.copytree(teacher[0], tmp_path / "cifar10_adv_trained" / "models" / "natural")
    with pytest.raises(CheckpointError, match="several folders .adv_trained, natural"):
        checkpoints.load_madry(tmp_path / "cifar10_adv_trained")


def test_on_two_devices(teacher):
    """Under a strategy each replica starts from the checkpoint's kernels."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        loaded = checkpoints.load_madry(teacher[0])
    for variable, expected in zip(loaded.weights, teacher[1].weights):
        for value in strategy.experimental_local_results(variable.value):
            np.testing.assert_array_equal(value.numpy(), expected.numpy())


def test_folder_without_state_file_takes_the_last_step(folder):
    (folder / "checkpoint").unlink()
    assert checkpoints.describe(folder).step == 7
    for file in list(folder.iterdir()):
        shutil.copy(file, folder / file.name.replace("-7.", "-30."))
    assert checkpoints.describe(folder).step == 30


def test_state_file_of_another_machine(folder):
    (folder / "checkpoint").write_text(
        'model_checkpoint_path: "/home/someone/models/checkpoint-7"\n'
    )
    assert checkpoints.describe(folder).step == 7


def test_state_file_never_leads_outside(folder, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "checkpoint").write_text('model_checkpoint_path: "../copy/checkpoint-7"\n')
    with pytest.raises(FileNotFoundError, match="no .index file"):
        checkpoints.load(inner)


def test_strange_folder_names(teacher, tmp_path):
    target = shutil.copytree(teacher[0], tmp_path / "a [b] *? ü")
    assert equal_weights(checkpoints.load(target), teacher[1])


def test_missing_files_are_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="checkpoints fetch"):
        checkpoints.load(tmp_path / "nowhere")
    (folder / "checkpoint-7.data-00000-of-00001").unlink()
    with pytest.raises(FileNotFoundError, match="data-00000-of-00001 is missing"):
        checkpoints.load(folder)
    (folder / "checkpoint-7.index").unlink()
    with pytest.raises(FileNotFoundError, match="no .index file .it holds checkpoint"):
        checkpoints.load(folder)


def test_truncated_data_names_file_and_variable(folder):
    data = folder / "checkpoint-7.data-00000-of-00001"
    os.truncate(data, data.stat().st_size - 10)
    with pytest.raises(CheckpointError, match="data-00000.* is truncated.*before.*'"):
        checkpoints.load(folder)


@pytest.mark.parametrize("size", [0, 1, 47, 100, 500])
def test_truncated_index(folder, size):
    os.truncate(folder / "checkpoint-7.index", size)
    with pytest.raises(CheckpointError, match="checkpoint-7.index: "):
        checkpoints.load(folder)


def test_flipped_byte_in_the_weights_is_found(folder):
    path = folder / "checkpoint-7.data-00000-of-00001"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="variable 'unit_.*hecksum"):
        checkpoints.load(folder)


@pytest.mark.parametrize("what", ["folder", "fifo", "dangling link", "circular link"])
def test_index_that_is_no_file(folder, what):
    index = folder / "checkpoint-7.index"
    index.unlink()
    if what == "folder":
        index.mkdir()
    elif what == "fifo":
        os.mkfifo(index)
    else:
        index.symlink_to(index if what.startswith("circular") else folder / "gone")
    with pytest.raises((CheckpointError, FileNotFoundError), match="-7.index"):
        checkpoints.load(folder / "checkpoint-7")


def test_keras_file_is_not_described(tmp_path):
    with pytest.raises(CheckpointError, match="is a .keras file"):
        checkpoints.describe(tmp_path / "net.keras")


def test_foreign_file(tmp_path):
    page = tmp_path / "adv_trained.zip"
    page.write_text("<html>Not found</html>")
    with pytest.raises(CheckpointError, match="no TF1 checkpoint"):
        checkpoints.load(page)


def test_foreign_network_says_what_it_holds(tmp_path):
    prefix = write(tmp_path, {"bert/embeddings": np.ones((3, 4), np.float32)})
    info = checkpoints.describe(prefix)
    assert info.kind == "foreign" and info.other == ("bert/embeddings",)
    with pytest.raises(CheckpointError, match="no network of .*bert/embeddings"):
        checkpoints.load(prefix)


def test_ten_thousand_variables(tmp_path):
    tensors = {f"layer_{i}/w": np.float32([i]) for i in range(10_000)}
    prefix = write(tmp_path, tensors)
    assert checkpoints.describe(prefix).num_variables == 10_000
    with pytest.raises(CheckpointError, match="and 9992 more"):
        checkpoints.load(prefix)


def test_missing_and_misshapen_variables_are_named(teacher, tmp_path):
    tensors = tensors_of(teacher[1])
    del tensors["unit_2_0/sub1/conv1/DW"], tensors["unit_last/BatchNorm/gamma"]
    tensors["logit/biases"] = np.zeros(11, np.float32)
    tensors["unit_3_0/sub2/conv2/DW"] = np.zeros((3, 3, 64, 65), np.float32)
    with pytest.raises(CheckpointError) as caught:
        checkpoints.load(write(tmp_path, tensors))
    message = str(caught.value)
    assert "missing: unit_2_0/sub1/conv1/DW, unit_last/BatchNorm/gamma" in message
    assert "logit/biases has shape (11,) where (10,) was expected" in message
    assert "unit_3_0/sub2/conv2/DW has shape (3, 3, 64, 65)" in message


def test_one_missing_statistic_is_an_error(teacher, tmp_path):
    tensors = tensors_of(teacher[1])
    del tensors["unit_last/BatchNorm/moving_mean"]
    with pytest.raises(CheckpointError, match="missing: unit_last/.*moving_mean"):
        checkpoints.load(write(tmp_path, tensors))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_names_the_variable(teacher, tmp_path, value):
    tensors = tensors_of(teacher[1])
    tensors["unit_1_0/sub2/conv2/DW"] = tensors["unit_1_0/sub2/conv2/DW"].copy()
    tensors["unit_1_0/sub2/conv2/DW"][0, 0, 0, :2] = value
    with pytest.raises(CheckpointError, match="unit_1_0/sub2/conv2/DW' holds 2 values"):
        checkpoints.load(write(tmp_path, tensors))


def test_other_types(teacher, tmp_path):
    tensors = tensors_of(teacher[1])
    doubles = {name: value.astype(np.float64) for name, value in tensors.items()}
    assert equal_weights(checkpoints.load(write(tmp_path / "f64", doubles)), teacher[1])
    doubles["logit/biases"] = np.full(10, 1e300)
    with pytest.raises(CheckpointError, match="logit/biases' holds 10 values"):
        checkpoints.load(write(tmp_path / "overflow", doubles))
    tensors["logit/biases"] = np.zeros(10, np.int32)
    with pytest.raises(CheckpointError, match="logit/biases' has type int32"):
        checkpoints.load(write(tmp_path / "int", tensors))


def test_finetuned_teacher_without_statistics(teacher, tmp_path):
    """The authors' finetuned teachers: both heads, trainable variables only."""
    folder, model = teacher
    tensors = {n: v for n, v in tensors_of(model).items() if "moving" not in n}
    tensors["target_task_logit/DW"] = np.full((64, 100), 0.5, np.float32)
    tensors["target_task_logit/biases"] = np.full(100, 0.25, np.float32)
    prefix = write(tmp_path, tensors)
    assert checkpoints.describe(prefix).kind == "igam_finetuned_teacher"
    with pytest.raises(CheckpointError, match="no batch stat.*moving_statistics="):
        checkpoints.load(prefix)
    source = checkpoints.load(prefix, head="source", moving_statistics=folder)
    assert equal_weights(source, model)
    other = tmp_path / "other"
    write(
        other, tensors_of(model) | {"input/init_conv/DW": np.ones((3, 3, 3, 16), "f")}
    )
    with pytest.raises(CheckpointError, match="other.* is not the network"):
        checkpoints.load(prefix, moving_statistics=other)
    target = checkpoints.load(prefix, moving_statistics="initial")
    assert target.output_shape == (None, 100)
    assert np.all(target.get_layer("logit").bias.numpy() == 0.25)
    assert np.all(target.get_layer("unit_last_norm").moving_variance.numpy() == 1)
    with pytest.raises(ValueError, match="head='other'.*'source' and 'target'"):
        checkpoints.load(prefix, head="other", moving_statistics="initial")


def test_tiny_imagenet_nets_name_their_quirk(tmp_path):
    model = small_net(num_classes=200, image_shape=(64, 64, 3))
    tensors = tensors_of(model)
    trained = checkpoints.describe(write(tmp_path / "trained", tensors))
    assert trained.kind == "tiny_imagenet_teacher"
    assert trained.normalization == "zero_mean_unit_norm"
    tensors["target_task_logit/DW"] = np.ones((64, 10), np.float32)
    tensors["target_task_logit/biases"] = np.ones(10, np.float32)
    prefix = write(tmp_path / "finetuned", tensors)
    finetuned = checkpoints.describe(prefix)
    assert finetuned.normalization == "unit_norm" and "with the mean" in str(finetuned)
    assert finetuned.image_shape == (64, 64, 3) and finetuned.num_classes == 10
    loaded = checkpoints.load(prefix, normalization="zero_mean_unit_norm")
    assert loaded.input_shape == (None, 64, 64, 3)


def test_several_parts_must_be_chosen_from(tmp_path):
    teacher, student = small_net(), small_net(num_classes=100)
    discriminator = models.discriminator(channels=(8, 16))
    tensors = tensors_of(teacher) | tensors_of(student, "student")
    prefix = write(tmp_path, tensors | tensors_of(discriminator))
    with pytest.raises(ValueError, match="'teacher', 'student', 'discriminator'"):
        checkpoints.load(prefix)
    assert equal_weights(checkpoints.load(prefix, part="student"), student)
    assert equal_weights(checkpoints.load(prefix, part="discriminator"), discriminator)


def test_load_weights_is_all_or_nothing(teacher, tmp_path):
    model = small_net()
    for weight in model.weights:
        weight.assign(weight * 0 + 3)
    before = [weight.numpy() for weight in model.weights]
    tensors = tensors_of(teacher[1])
    tensors["unit_last/BatchNorm/beta"] = np.full(64, np.nan, np.float32)
    bad = write(tmp_path, tensors)
    with pytest.raises(CheckpointError, match="NaN"):
        checkpoints.load_weights(model, bad)
    wider = small_net(num_classes=11)
    wider_before = [weight.numpy() for weight in wider.weights]
    with pytest.raises(CheckpointError, match="logit/bias has shape .11,. where .10,."):
        checkpoints.load_weights(wider, teacher[0])
    for weights, untouched in ((model.weights, before), (wider.weights, wider_before)):
        assert all(np.array_equal(w.numpy(), b) for w, b in zip(weights, untouched))
    checkpoints.load_weights(model, teacher[0])
    assert equal_weights(model, teacher[1])


def test_keras_files_by_the_same_door(teacher, tmp_path):
    path = tmp_path / "teacher.keras"
    difference = checkpoints.convert(teacher[0], path)
    assert difference == 0.0
    assert equal_weights(checkpoints.load(path), teacher[1])
    with pytest.raises(ValueError, match="head: these options choose from a TF1"):
        checkpoints.load(path, head="source")
    with pytest.raises(FileNotFoundError, match="no such file"):
        checkpoints.load(tmp_path / "other.keras")
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(CheckpointError, match="teacher.keras cannot be loaded"):
        checkpoints.load(path)


def test_keras_file_with_nan_or_without_images(tmp_path):
    model = small_net()
    model.get_layer("logit").bias.assign(np.full(10, np.nan))
    model.save(tmp_path / "nan.keras")
    with pytest.raises(CheckpointError, match="logit/bias' holds 10 values"):
        checkpoints.load(tmp_path / "nan.keras")
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(
        tmp_path / "flat.keras"
    )
    with pytest.raises(CheckpointError, match="expected a network from images"):
        checkpoints.load(tmp_path / "flat.keras")


@pytest.mark.parametrize(
    "net",
    [
        models.mnist_cnn,
        models.discriminator,
        models.dense_discriminator,
        lambda: models.mnist_cnn(image_shape=(32, 32, 3), filters=(4, 6)),
        lambda: models.discriminator(gradient_shape=(64, 64, 3), channels=(8, 16)),
        lambda: models.discriminator(channels=(8, 16), crop_to=(16, 16)),
    ],
)
def test_the_other_networks(tmp_path, net):
    model = net()
    randomize(model)
    checkpoints.save_tf1(model, tmp_path)
    assert equal_weights(checkpoints.load(tmp_path), model)
