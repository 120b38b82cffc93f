"""Recognizes files of other libraries, and says how to bring their networks here."""

import os
import pathlib
import re
import zipfile

import h5py

from igam_tf import files

_BY_HAND = (
    "Build the network of Keras layers, copy the weights (kernels of convolutions "
    "from (out, in, height, width) to (height, width, in, out), those of dense layers "
    "transposed), compare the logits, and model.save('NAME.keras')"
)
_PYTORCH = f"a PyTorch file. {_BY_HAND}."
_ONNX = f"an ONNX file. {_BY_HAND}."
_HDF5 = b"\x89HDF\r\n\x1a\n"
_BY_SUFFIX = {
    ".onnx": _ONNX,
    ".pth": _PYTORCH,
    ".pt": _PYTORCH,
    ".safetensors": f"a safetensors file, which holds weights only. {_BY_HAND}.",
    ".tflite": "a TensorFlow Lite file, which has no gradients. Save the network that "
    "it was made from as .keras file.",
}
_SAVED_MODEL = (
    "a SavedModel, a graph without layers that could be taken apart. Where it was "
    "made, save the Keras model by model.save('NAME.keras')."
)


def what_it_is(path: str | os.PathLike) -> str | None:
    """Says what a file is, if it is of a kind that is often mistaken for a checkpoint.

    Args:
        path: of a file or folder.

    Returns:
        Text such as "an ONNX file. Build the ...", by the contents rather than by the
        name, which may be wrong; None if it is nothing known.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        if (path / "saved_model.pb").exists():
            return _SAVED_MODEL
        if (path / "model.weights.h5").exists():
            return (
                "an unpacked .keras archive: pack its files again, as in `cd FOLDER && "
                "zip -0 ../NAME.keras *`."
            )
        return None
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        head = file.read(64)
    if not head:
        return "an empty file. Fetch or save it again."
    if head.startswith(_HDF5):
        return _in_hdf5(path)
    if files.is_archive(path):
        return _in_zip(path)
    return _by_its_head(head) or _BY_SUFFIX.get(path.suffix.lower())


def is_whole_model(path: str | os.PathLike) -> bool:
    """Whether a HDF5 file holds a Keras model: its layers, and not weights alone."""
    try:
        with h5py.File(path) as file:
            return "model_config" in file.attrs
    except OSError:
        return False


def _in_hdf5(path):
    try:
        with h5py.File(path):
            pass
    except OSError:
        return "a damaged HDF5 file. Fetch or save it again."
    if is_whole_model(path):
        return "a HDF5 file of a whole Keras model: let its name end in .h5."
    return (
        "a HDF5 file of weights without their network: build the network, "
        "network.load_weights(path), and network.save('NAME.keras')."
    )


def _in_zip(path):
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if {"config.json", "model.weights.h5"} <= set(names):
        return "a .keras archive: let its name end in .keras."
    if any(name.endswith("data.pkl") for name in names):
        return _PYTORCH
    if names and all(name.endswith(".npy") for name in names):
        return f"a NumPy archive (.npz). {_BY_HAND}."
    if any(name.endswith("saved_model.pb") for name in names):
        return _SAVED_MODEL
    if any(name.endswith(".index") for name in names):
        return "a zip of a TensorFlow 1 checkpoint: let its name end in .zip."
    return None


def _by_its_head(head):
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS: `git lfs pull` fetches the file itself."
    if head[4:8] == b"TFL3":
        return _BY_SUFFIX[".tflite"]
    if head.startswith(b"\x80") and head[1:2] in b"\x02\x03\x04\x05":
        return f"a pickle, such as an older PyTorch file. {_BY_HAND}."
    if head.startswith(b"\x08") and re.search(rb"pytorch|onnx|keras|tf2", head):
        return _ONNX
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "a web page, such as a download that was refused. Fetch it again."
    return None
