"""Finds, opens and prepares a data set of TFDS by its name."""

from __future__ import annotations

import requests
import tensorflow_datasets as tfds
from etils import epath

from igam_tf.data import prepared
from igam_tf.data.own import describing
from igam_tf.data.own.names import TFDS


def builder(name: str, root: epath.Path) -> tfds.core.DatasetBuilder:
    """The builder of a data set, from its prepared folder if there is one.

    Args:
        name: "NAME" or "NAME/CONFIG"; without a config TFDS' first one.
        root: folder of prepared data.

    Raises:
        ValueError: if it is neither prepared nor known to TFDS.
    """
    try:
        folder = prepared.find(root, name)
        if folder is not None:
            return tfds.builder_from_directory(folder)
        found = tfds.builder(name, data_dir=root, try_gcs=False)
        # Which config a name without one means, the builder knows; and TFDS' code may
        # be of another version than what is prepared.
        config = found.builder_config
        if config is not None:
            folder = prepared.find(root, f"{found.name}/{config.name}")
        return found if folder is None else tfds.builder_from_directory(folder)
    except (tfds.core.DatasetNotFoundError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{TFDS}{name}: there is no {name} in {root}, "
            f"and TFDS does not know it ({reason}). Expected {TFDS}NAME or "
            f"{TFDS}NAME/CONFIG of https://www.tensorflow.org/datasets/catalog, or "
            "--data_dir with its prepared folder."
        ) from error


def prepared_folder(found: tfds.core.DatasetBuilder) -> epath.Path | None:
    """The folder that a builder reads, or None before it is prepared.

    Args:
        found: of `builder`.
    """
    folder = epath.Path(found.data_path)
    return folder if (folder / "dataset_info.json").exists() else None


def features(found: tfds.core.DatasetBuilder, name: str) -> tuple[str, str]:
    """Names of the features that are the image and the label.

    Args:
        found: of `builder`.
        name: as given to it.

    Raises:
        ValueError: if there is none of them, or more than one.
    """
    known = dict(found.info.features.items())
    kinds = {
        "image": (tfds.features.Image, ("image",)),
        "label": (tfds.features.ClassLabel, ("label",)),
    }
    both = []
    for what, (kind, usual) in kinds.items():
        names = [key for key, feature in known.items() if isinstance(feature, kind)]
        chosen = [key for key in names if key in usual] or names
        if len(chosen) != 1:
            raise ValueError(
                f"{TFDS}{name} has the features "
                f"{describing.shown(list(known))}, {len(names)} of them "
                f"{kind.__name__}; expected one {what}."
            )
        both += chosen
    return both[0], both[1]


def download(
    found: tfds.core.DatasetBuilder,
    name: str,
    root: epath.Path,
    *,
    allowed: bool,
    progress: bool,
) -> None:
    """Has TFDS download and prepare a data set.

    Args:
        found: of `builder`.
        name: as given to it.
        root: folder of prepared data.
        allowed: whether it may be downloaded.
        progress: whether TFDS shows its progress bars.

    Raises:
        FileNotFoundError: if it may not be downloaded.
        OSError: if it cannot be downloaded or prepared.
    """
    if not allowed:
        raise FileNotFoundError(
            f"{TFDS}{name} is not prepared in {root}, and "
            "downloading is off; point --data_dir (data_dir=) at its folder."
        )
    try:
        prepared.prepare(found, progress=progress)
    except (requests.RequestException, OSError, ValueError) as error:
        raise OSError(
            f"{TFDS}{name} could not be downloaded and prepared in "
            f"{root} ({type(error).__name__}: {error}). Prepare it on a "
            f'machine with network by `tfds.load("{name}", '
            "data_dir=...)`, and point --data_dir at that folder."
        ) from error
