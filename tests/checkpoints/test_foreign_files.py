"""Files that people take for checkpoints: each is called what it is, with a way out."""

import hashlib
import io
import pathlib
import pickle
import shutil
import zipfile

import keras
import pytest
from small_checkpoints import equal_weights, saved, small_net

from igam_tf import checkpoints
from igam_tf.cards.archive import attach_card
from igam_tf.checkpoints import CheckpointError

_HDF5_WEIGHTS, _HDF5_MODEL = "weights.h5", "model.h5"


def _zip(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"1")
    return buffer.getvalue()


_CONTENTS = {
    "onnx": b"\x08\x07\x12\x07pytorch\x1a\x05",
    "pytorch zip": _zip("archive/data.pkl", "archive/data/0"),
    "pickle": pickle.dumps({"conv.weight": 1}, protocol=2),
    "numpy": _zip("conv1.npy"),
    "tflite": b"\x1c\x00\x00\x00TFL3....",
    "git lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
    "web page": b"<!DOCTYPE html><html>Quota exceeded</html>",
    "empty": b"",
    "saved model": _zip("saved_model.pb"),
}


@pytest.mark.parametrize("suffix", [".keras", ".pth", ".zip", ""])
@pytest.mark.parametrize(
    "content, words",
    [
        ("onnx", "an ONNX file. Build the network"),
        ("pytorch zip", "a PyTorch file. Build the network"),
        ("pickle", "a pickle, such as an older PyTorch file"),
        ("numpy", "a NumPy archive"),
        ("tflite", "a TensorFlow Lite file"),
        ("git lfs", "git lfs pull"),
        ("web page", "a web page"),
        ("empty", "an empty file"),
        ("saved model", "a SavedModel"),
    ],
)
def test_contents_tell_whatever_the_name(tmp_path, content, words, suffix):
    path = tmp_path / f"teacher{suffix}"
    path.write_bytes(_CONTENTS[content])
    with pytest.raises(CheckpointError, match=words) as caught:
        checkpoints.load(path)
    assert str(path) in str(caught.value)
    assert "not found" not in str(caught.value).lower()


@pytest.mark.parametrize("suffix", [".onnx", ".pth", ".pt", ".safetensors", ".tflite"])
def test_else_the_name_tells(tmp_path, suffix):
    path = tmp_path / f"teacher{suffix}"
    path.write_bytes(b"\x00\x01\x02\x03")
    with pytest.raises(CheckpointError, match="ONNX|PyTorch|safetensors|Lite"):
        checkpoints.load(path)


@pytest.mark.parametrize("name", ["teacher.keras", "teacher.h5"])
def test_hdf5_files(tmp_path, name):
    images = keras.Input((8, 8, 1))
    logits = keras.layers.Dense(2)(keras.layers.Flatten()(images))
    network = keras.Model(images, logits)
    network.save_weights(tmp_path / "saved.weights.h5")
    shutil.copy(tmp_path / "saved.weights.h5", tmp_path / name)
    with pytest.raises(CheckpointError, match="file of weights without their network"):
        checkpoints.load(tmp_path / name)
    network.save(tmp_path / "whole.h5")
    shutil.copy(tmp_path / "whole.h5", tmp_path / name)
    if name.endswith(".h5"):
        assert equal_weights(checkpoints.load(tmp_path / name), network)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:5000])
        with pytest.raises(CheckpointError, match="a damaged HDF5 file"):
            checkpoints.load(tmp_path / name)
        return
    with pytest.raises(CheckpointError, match="whole Keras model: let its name end"):
        checkpoints.load(tmp_path / name)


def test_renamed_archives(tmp_path):
    network = small_net()
    network.save(tmp_path / "teacher.keras")
    (tmp_path / "teacher.keras").rename(tmp_path / "teacher.zip")
    with pytest.raises(CheckpointError, match="a .keras archive: let its name end"):
        checkpoints.load(tmp_path / "teacher.zip")
    (tmp_path / "checkpoint.keras").write_bytes(_zip("models/checkpoint-7.index"))
    with pytest.raises(CheckpointError, match="let its name end in .zip"):
        checkpoints.load(tmp_path / "checkpoint.keras")
    with zipfile.ZipFile(tmp_path / "teacher.zip") as archive:
        archive.extractall(tmp_path / "unpacked.keras")
    for folder in ("unpacked.keras", "unpacked"):
        if folder == "unpacked":
            (tmp_path / "unpacked.keras").rename(tmp_path / "unpacked")
        with pytest.raises(CheckpointError, match="an unpacked .keras archive"):
            checkpoints.load(tmp_path / folder)


def test_a_saved_model_folder(tmp_path):
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    with pytest.raises(CheckpointError, match="a SavedModel, .*model.save"):
        checkpoints.load(tmp_path)


class _Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def _classifier(*layers, shape=(8, 8, 1)):
    return keras.Sequential(
        [keras.Input(shape), *layers, keras.layers.Flatten(), keras.layers.Dense(3)]
    )


def test_a_layer_of_someones_own_is_not_called_damage(tmp_path):
    _classifier(_Doubled()).save(tmp_path / "own.keras")
    with pytest.raises(CheckpointError, match="'_Doubled'.*register") as caught:
        checkpoints.load(tmp_path / "own.keras")
    assert "damaged" not in str(caught.value)
    _classifier(keras.layers.Lambda(lambda x: 2 * x)).save(tmp_path / "lambda.keras")
    with pytest.raises(CheckpointError, match="Python code in a Lambda layer"):
        checkpoints.load(tmp_path / "lambda.keras")


def test_channels_first(tmp_path):
    _classifier(shape=(3, 16, 16)).save(tmp_path / "first.keras")
    with pytest.raises(
        CheckpointError, match=r"channels first.*Permute\(\(3, 1, 2\)\)"
    ):
        checkpoints.load(tmp_path / "first.keras")
    # The way out that the message names.
    images = keras.Input((16, 16, 3))
    network = _classifier(shape=(3, 16, 16))
    turned = keras.Model(images, network(keras.layers.Permute((3, 1, 2))(images)))
    turned.save(tmp_path / "last.keras")
    assert checkpoints.load(tmp_path / "last.keras").input_shape == (None, 16, 16, 3)


def test_an_archive_that_would_fill_the_memory(tmp_path):
    _classifier().save(tmp_path / "teacher.keras")
    with zipfile.ZipFile(tmp_path / "teacher.keras") as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config)
        with archive.open("model.weights.h5", "w") as member:
            for _ in range(110):
                member.write(bytes(1_000_000))
    with pytest.raises(CheckpointError, match="would unpack to 0.1 GB"):
        checkpoints.load(tmp_path / "bomb.keras")


def test_a_card_leaves_the_digest_as_it_is(tmp_path):
    path = tmp_path / "teacher.keras"
    _classifier().save(path)
    before = checkpoints.digest(path)
    attach_card(path, {"results": 1})
    assert checkpoints.digest(path) == before
    # What an earlier version recorded.
    whole = hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoints.known_digests(path) == {before, whole} and whole != before
    keras.utils.set_random_seed(99)
    _classifier().save(path)
    assert before not in checkpoints.known_digests(path)


def test_digest_is_that_of_the_files(tmp_path):
    _classifier().save(tmp_path / "teacher.h5")
    wanted = hashlib.sha256((tmp_path / "teacher.h5").read_bytes()).hexdigest()
    assert checkpoints.digest(tmp_path / "teacher.h5") == wanted
    folder = tmp_path / "tf1"
    folder.mkdir()
    saved(folder)
    files = sorted(folder.glob("checkpoint-7.*"))
    assert [file.suffix for file in files][-1] == ".index"
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    for door in (folder, folder / "checkpoint-7", folder / "checkpoint-7.index"):
        assert checkpoints.digest(door) == wanted
    with zipfile.ZipFile(tmp_path / "teacher.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"models/{file.name}")
    wanted = hashlib.sha256((tmp_path / "teacher.zip").read_bytes()).hexdigest()
    assert checkpoints.digest(tmp_path / "teacher.zip") == wanted
    with pytest.raises(FileNotFoundError):
        checkpoints.digest(pathlib.Path(tmp_path, "nothing"))
