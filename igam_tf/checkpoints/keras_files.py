"""Loads the files of whole Keras models, with a clear error for whatever is not one."""

import json
import pathlib
import re
import zipfile
import zlib

import keras

from igam_tf import files
from igam_tf.checkpoints.errors import CheckpointError, shortened
from igam_tf.checkpoints.foreign import is_whole_model, what_it_is
from igam_tf.checkpoints.tf1.locate import KERAS_SUFFIX
from igam_tf.checkpoints.values import FLOATS, as_weights
from igam_tf.models.features import check_channels_last

_LARGEST_GROWTH = 100
# What Keras says of a class it does not know, in the newer and in the older format.
_UNKNOWN = re.compile(r"(?:Could not locate class|Unknown layer:) '([^']+)'")


def load_keras(path: pathlib.Path) -> keras.Model:
    """Loads a network from images to logits from a `.keras` or `.h5` file.

    Args:
        path: pathlib.Path of the file.

    Returns:
        keras.Model from images (batch, height, width, channels) to logits.

    Raises:
        CheckpointError: as `read_model`, or if it is no network from images to logits.
        FileNotFoundError: if it is missing.
    """
    model = read_model(path)
    shapes = [getattr(model, f"{end}_shape", None) for end in ("input", "output")]
    # The shapes of two outputs are a list of two, as that of one has two numbers.
    counts = [len(getattr(model, ends, None) or ()) for ends in ("inputs", "outputs")]
    if counts != [1, 1] or [len(shape or ()) for shape in shapes] != [4, 2]:
        way_out = (
            " Choose one of the outputs: keras.Model(model.inputs[0], "
            "model.outputs[0]) is the network to its first; "
            "igam_tf.checkpoints.load_classifier(path, output=NAME) loads it by name."
        )
        raise CheckpointError(
            f"{path} maps {shapes[0]} to {shapes[1]}; expected a network from "
            "images (batch, height, width, channels) to logits (batch, classes)."
            f"{way_out if counts[1] > 1 else ''}"
        )
    try:
        check_channels_last(model.input_shape[1:], f"the network of {path}")
    except ValueError as error:
        raise CheckpointError(str(error)) from None
    return model


def read_model(path: pathlib.Path) -> keras.Model:
    """The Keras model of a `.keras`, `.h5` or `.hdf5` file, uncompiled, whatever it is.

    Args:
        path: pathlib.Path of the file.

    Raises:
        CheckpointError: if it is another kind of file, damaged, or holds NaN, or layers
            that Keras does not know.
        FileNotFoundError: if it is missing.
    """
    if path.suffix == KERAS_SUFFIX or not path.exists():
        _check_archive(path)
    else:
        _check_hdf5(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    # Keras passes on whatever zipfile, json, h5py or a layer's constructor raises.
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be loaded as a {path.suffix} file"
            f"{_reason(error)}. {_way_out(path, error)}"
        ) from error
    for weight in model.weights:
        # By name: to NumPy bfloat16 is no floating type.
        if keras.backend.standardize_dtype(weight.dtype) in FLOATS:
            value = keras.ops.convert_to_numpy(weight)
            as_weights(value, weight.path, path, value.dtype)
    return model


def _check_hdf5(path):
    """Checks that a file is one of HDF5 with a whole model in it."""
    found = what_it_is(path)
    if found is None or not is_whole_model(path):
        raise CheckpointError(
            f"{path} is no HDF5 file of a Keras model but {found or 'something else'}"
        )


def _check_archive(path):
    """Checks the file before Keras opens it, whose messages miss what the file is."""
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint at {path}: there is no such file.")
    if path.is_dir() or not files.is_archive(path):
        found = what_it_is(path)
        if found is not None:
            raise CheckpointError(f"{path} is no .keras archive but {found}")
        if path.is_dir():
            raise CheckpointError(f"{path} is a folder: expected a .keras file.")
        raise CheckpointError(
            f"{path} cannot be loaded as a .keras file: it is no zip archive, or one "
            "that is damaged or cut short. Fetch it again, or save it again by "
            "model.save('....keras')."
        )
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if not {"config.json", "model.weights.h5"} <= {m.filename for m in members}:
        found = what_it_is(path) or (
            f"a zip archive with {shortened(m.filename for m in members)}."
        )
        raise CheckpointError(f"{path} is no .keras archive but {found}")
    # Keras stores members as they are; only a trap unpacks to a thousand times as much.
    size = sum(member.file_size for member in members)
    if size > _LARGEST_GROWTH * max(path.stat().st_size, 1_000_000):
        raise CheckpointError(
            f"{path} would unpack to {size / 1e9:.1f} GB from "
            f"{path.stat().st_size / 1e6:.1f} MB: expected a file written by "
            "model.save. Do not trust it."
        )


def _reason(error):
    """What Keras says, unless it is a page of configuration around one name."""
    if _UNKNOWN.search(str(error)):
        return ""
    return f" ({type(error).__name__}: {error})"


def _way_out(path, error):
    """What to do about a file that Keras could not load."""
    text = str(error)
    if unknown := _UNKNOWN.search(text):
        return (
            f"It uses {unknown[1]!r}, a class that is not Keras' own (or, in a .h5 "
            "file, an operation of keras.ops, which that format does not keep): pass "
            "--import=FILE.py with its definition on the command line; in Python "
            "import the module that registers it (by "
            "keras.saving.register_keras_serializable) before loading. Or save the "
            "network built of Keras' own layers and operations only."
        )
    if "ambda" in text and "safe_mode" in text:
        return (
            "It holds Python code in a Lambda layer, which is not run: save the "
            "network with keras.ops or Keras layers in its place."
        )
    return (
        "It is damaged, or was not saved by model.save('....keras'), or by a newer "
        f"Keras than {keras.__version__}{_saved_by(path)}."
    )


def _saved_by(path):
    try:
        with zipfile.ZipFile(path) as archive:
            version = json.loads(archive.read("metadata.json"))["keras_version"]
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error):
        return ""
    return f" (its metadata say {version})"
