"""Loads a network of the zoo."""

import hashlib
import os
import pathlib

import keras

from igam_tf.models.loading import load_keras
from igam_tf.zoo.entries import NETWORKS, entry, names


def load(name: str, *, folder: str | os.PathLike = ".") -> keras.Model:
    """The model of an entry.

    Args:
        name: one of `igam_tf.zoo.list()`.
        folder: where a network that does not travel with the package was made by the
            entry's command, the folder in which it was run.

    Returns:
        keras.Model from images in [0, 1] to logits; `igam_tf.load` gives its card, too.

    Raises:
        ValueError: if there is no entry of this name, or its file is not the recorded
            one.
        FileNotFoundError: if it does not travel with the package, and is not in
            `folder`; says how to make it. Or if a file of the package is gone.
    """
    found = entry(name)
    if found.file:
        path = NETWORKS / found.file
        check_digest(path, found.sha256)
        return load_keras(path)
    path = pathlib.Path(folder).expanduser() / found.student
    if not path.exists():
        raise FileNotFoundError(
            f"the network {name!r} does not travel with the package, and {path} does "
            f"not exist. Make it by `{found.rebuild}`, and pass folder= if you ran "
            f"that elsewhere; those that travel are {', '.join(names(shipped=True))}."
        )
    return load_keras(path)


def check_digest(path: pathlib.Path, sha256: str) -> None:
    """Raises ValueError unless a file has the digest; FileNotFoundError without it."""
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing, which travels with the package: install it again."
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != sha256:
        raise ValueError(
            f"{path} has the SHA-256 {digest[:16]}..., and the zoo recorded "
            f"{sha256[:16]}...: it is damaged or changed; install the package again."
        )
