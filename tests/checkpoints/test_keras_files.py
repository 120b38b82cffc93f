"""Files of whole Keras models that are unusual: sizes, outputs, types, damage."""

import keras
import numpy as np
import pytest

from igam_tf import cards, checkpoints, files
from igam_tf.checkpoints import CheckpointError, load, load_classifier
from igam_tf.checkpoints.foreign import what_it_is
from igam_tf.errors import reason

ANY_SIZE = (None, None, 3)


def pooled(images, units=3, **kwargs):
    features = keras.layers.GlobalAveragePooling2D()(images)
    return keras.layers.Dense(units, **kwargs)(features)


@pytest.fixture(name="path")
def _path(tmp_path):
    """A network of any height and width."""
    images = keras.Input(ANY_SIZE)
    keras.Model(images, pooled(images)).save(tmp_path / "any.keras")
    return tmp_path / "any.keras"


def test_a_network_of_any_size_is_converted(path, tmp_path):
    assert checkpoints.convert(path, tmp_path / "again.keras") == 0.0
    assert load(tmp_path / "again.keras").input_shape == (None, *ANY_SIZE)


def test_a_folder_is_no_target(path, tmp_path):
    (tmp_path / "made.keras").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder: expected a path for"):
        checkpoints.convert(path, tmp_path / "made.keras")


@pytest.mark.parametrize("as_dict", [False, True])
def test_two_outputs_are_no_logits(tmp_path, as_dict):
    """The shapes of two outputs are a list of two, as long as (batch, classes)."""
    images = keras.Input((5, 5, 3))
    outputs = [pooled(images), pooled(images, 5)]
    if as_dict:
        outputs = dict(zip("ab", outputs, strict=True))
    keras.Model(images, outputs).save(tmp_path / "two.keras")
    with pytest.raises(CheckpointError, match="Choose one of the outputs"):
        load(tmp_path / "two.keras")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_nan_is_found_in_weights_of_every_type(tmp_path, dtype):
    images = keras.Input((5, 5, 3))
    network = keras.Model(images, pooled(images, dtype=dtype))
    network.save(tmp_path / "whole.keras")
    assert load(tmp_path / "whole.keras").weights[0].dtype == dtype
    network.layers[-1].bias.assign([0, np.nan, 0])
    network.save(tmp_path / "nan.keras")
    with pytest.raises(CheckpointError, match="bias' holds 1 values that are NaN"):
        load(tmp_path / "nan.keras")


def test_weights_that_are_not_in_the_file_are_not_drawn_at_random(tmp_path):
    """Keras saves a network that was never called without any, and only warns."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(3, name="logits")]
    network = keras.Sequential(layers)
    with pytest.warns(UserWarning, match="not yet been built"):
        network.save(tmp_path / "unbuilt.keras")
    with pytest.raises(CheckpointError, match="without 2 of its weights .*logits/kern"):
        load_classifier(tmp_path / "unbuilt.keras", image_shape=(5, 5, 3))
    images = np.ones([1, 5, 5, 3], "float32")
    logits = network(images)
    network.save(tmp_path / "built.keras")
    found = load_classifier(tmp_path / "built.keras", image_shape=(5, 5, 3))
    np.testing.assert_array_equal(found(images), logits)


def test_a_zip_whose_list_of_files_is_damaged(path):
    """Its last bytes are those of a zip, which is all that `is_zipfile` looks at."""
    content = bytearray(path.read_bytes())
    place = content.rfind(b"PK\x01\x02")
    content[place : place + 4] = b"XXXX"
    path.write_bytes(content)
    assert not files.is_archive(path) and what_it_is(path) is None
    with pytest.raises(CheckpointError, match=f"{path} cannot be loaded.*damaged"):
        load(path)
    for use in (cards.load, cards.read_card, lambda p: cards.attach_card(p, {})):
        with pytest.raises(ValueError, match=f"{path} is no .keras file, or a damaged"):
            use(path)


def test_the_reason_is_not_what_keras_puts_before_it():
    dense = keras.layers.Dense(2)
    dense.build((None, 3))
    with pytest.raises(ValueError) as caught:
        dense(np.ones([1, 4], "float32"))
    assert "axis -1" in reason(caught.value)
    text = "Exception encountered when calling A.call().\n\n\x1b[1mNo room.\x1b[0m\n"
    assert reason(ValueError(text)) == "No room."
    assert reason(ValueError("short"), 2) == "sh" and reason(ValueError()) == ""
