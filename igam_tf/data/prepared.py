"""Finds TFDS-prepared folders, or has TFDS make them, and decodes them once.

Prepared data is opened by its folder: neither the network nor the version of the
builder in the installed TFDS matters then.
"""

import contextlib
import logging
import os
import re

import numpy as np
import requests
import tensorflow as tf
import tensorflow_datasets as tfds
import tqdm
from etils import epath
from google.protobuf import json_format

from igam_tf import compat
from igam_tf.data import task
from igam_tf.data.batches import without_tuning
from igam_tf.data.registry import DatasetInfo

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_PROBE_SECONDS = 10
_DECODE_BATCH = 512
_DAMAGE = (
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,  # fewer records than promised
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    json_format.Error,
)
_ARCHIVE_ERRORS = (tfds.download.DownloadError, *compat.tfds_archive_errors())


def read(
    info: DatasetInfo,
    data_dir: str | os.PathLike | None,
    *,
    train_examples: int | None,
    test_examples: int | None,
    download: bool,
    progress: bool,
) -> task.Task:
    """Reads a data set of TFDS; the arguments are those of `igam_tf.data.read`."""
    root = root_folder(data_dir)
    folder = find(root, info.name)
    if folder is None:
        folder = _download(info, root, download=download, progress=progress)
    return read_folder(
        info,
        folder,
        train_examples=train_examples,
        test_examples=test_examples,
        progress=progress,
    )


def root_folder(data_dir: str | os.PathLike | None) -> epath.Path:
    """The folder that holds one folder a data set; TFDS' own for None."""
    root = epath.Path(data_dir or compat.tfds_folder()).expanduser()
    if root.exists() and not root.is_dir():
        raise ValueError(
            f"data_dir={str(root)!r} is a file; expected the folder that holds the "
            "prepared data sets (--data_dir)."
        )
    return root


def find(root: epath.Path, name: str) -> epath.Path | None:
    """The newest prepared version of a data set under `root`, or None."""
    folder = root / name
    if not folder.is_dir():
        return None
    versions = [
        path
        for path in folder.iterdir()
        if _VERSION.fullmatch(path.name) and (path / "dataset_info.json").exists()
    ]
    return max(
        versions, key=lambda path: [int(n) for n in path.name.split(".")], default=None
    )


@contextlib.contextmanager
def _tfds_warnings_held_back():
    """Holds back the warning of a deprecated `dtype`, which TFDS itself asks for."""

    def is_for_users(record):
        return ".dtype` is deprecated" not in record.getMessage()

    logger = logging.getLogger("absl")
    logger.addFilter(is_for_users)
    try:
        yield
    finally:
        logger.removeFilter(is_for_users)


@_tfds_warnings_held_back()
def read_folder(
    info: DatasetInfo,
    folder: str | os.PathLike,
    *,
    train_examples: int | None,
    test_examples: int | None,
    progress: bool,
) -> task.Task:
    """Decodes a prepared folder, only as far as the cuts ask for.

    Args:
        info: `DatasetInfo` that the folder must match.
        folder: path with `dataset_info.json`.
        train_examples, test_examples, progress: as in `igam_tf.data.read`.

    Returns:
        Task with uint8 images.

    Raises:
        ValueError: if the folder is damaged or holds something else.
    """
    with _damage_reported(folder):
        builder = tfds.builder_from_directory(folder)
        features, splits = builder.info.features, builder.info.splits
    _check_features(info, folder, features, splits)
    limits = {"train": train_examples, "test": test_examples}
    totals = {name: splits[name].num_examples for name in limits}
    with _damage_reported(folder):
        arrays = {
            name: _decode(builder, name, min(limit or total, total), progress=progress)
            for (name, limit), total in zip(limits.items(), totals.values())
        }
    return task.Task(
        name=info.name,
        num_classes=info.num_classes,
        image_shape=info.image_shape,
        train=arrays["train"],
        test=arrays["test"],
        train_total=totals["train"],
        test_total=totals["test"],
    )


def prepare(builder: tfds.core.DatasetBuilder, *, progress: bool) -> epath.Path:
    """Runs `download_and_prepare` without Google's copy of prepared data.

    Args:
        builder: a TFDS builder.
        progress: whether TFDS shows its progress bars.

    Returns:
        The prepared folder.
    """
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    if not progress:
        tfds.disable_progress_bar()
    try:
        builder.download_and_prepare(download_config=config)
    finally:
        if not progress:
            tfds.enable_progress_bar()
    return builder.data_path


def check_reachable(
    url: str, root: epath.Path, name: str, *, filename: str | None = None
) -> None:
    """Raises requests.ConnectionError if a download is needed and nobody answers.

    TFDS alone tries eleven times, for three and a half minutes, before it says that
    there is no network.

    Args:
        url: address of an archive.
        root: folder of the prepared data sets.
        name: data set, whose earlier downloads TFDS keeps below `root`.
        filename: of the archive, where TFDS takes one put there by hand.
    """
    downloads = root / "downloads"
    if filename and (downloads / "manual" / filename).exists():
        return
    if (downloads / name).is_dir():
        if any(path.is_file() for path in (downloads / name).iterdir()):
            return
    try:
        requests.head(url, timeout=_PROBE_SECONDS)
    except requests.RequestException as error:
        raise requests.ConnectionError(f"no answer from {url}") from error


def _download(info, root, *, download, progress):
    builder = tfds.builder(info.name, data_dir=root)
    way_out = _way_out(builder, root)
    if not download:
        raise FileNotFoundError(
            f"{info.name} is not prepared in {root}, and downloading is off. {way_out}"
        )
    try:
        for url, archive in builder.url_infos.items():
            check_reachable(url, root, info.name, filename=archive.filename)
        return prepare(builder, progress=progress)
    except requests.RequestException as error:
        raise FileNotFoundError(
            f"{info.name} is not prepared in {root}, and it cannot be downloaded from "
            f"here ({type(error).__name__}: {error}). {way_out}"
        ) from error
    except (*_ARCHIVE_ERRORS, OSError, ValueError) as error:
        raise OSError(
            f"{info.name} could not be prepared in {root} ({type(error).__name__}: "
            f"{error}). Check the room, the right to write and the archives there. "
            f"{way_out}"
        ) from error


def _way_out(builder, root):
    archives = sorted(archive.filename for archive in builder.url_infos.values())
    return (
        f"Put the prepared data in {builder.data_dir} (dataset_info.json, "
        "features.json and the .tfrecord files), or the original archives "
        f"({', '.join(archives)}) in {root / 'downloads' / 'manual'}, or point "
        "--data_dir (data_dir=) at a folder that holds "
        f"{builder.name}/{builder.version}, made on a machine with network by "
        f'`tfds.load("{builder.name}", data_dir=...)`.'
    )


def _check_features(info, folder, features, splits):
    missing = {"train", "test"} - set(splits)
    missing |= {"image", "label"} - set(features)
    if missing:
        raise ValueError(
            f"{folder} holds no {', '.join(sorted(missing))}; expected the splits "
            "train and test with the features image and label. Delete it and prepare "
            f"{info.name} again."
        )
    found = (*features["image"].shape, features["label"].num_classes)
    expected = (*info.image_shape, info.num_classes)
    if found != expected:
        raise ValueError(
            f"{folder} holds images and classes {found}; {info.name} has {expected} "
            "(height, width, channels, classes). Point --data_dir elsewhere."
        )


def _decode(builder, split, count, *, progress):
    image = builder.info.features["image"]
    images = np.empty((count, *image.shape), np.uint8)
    labels = np.empty(count, np.int32)
    dataset = builder.as_dataset(
        split=f"{split}[:{count}]",
        decoders=tfds.decode.PartialDecoding({"image": True, "label": True}),
        # One file after the other, so that a cut is the beginning of the whole; and no
        # second copy in TFDS' cache.
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        shuffle_files=False,
    )
    done = 0
    with tqdm.tqdm(
        total=count,
        desc=f"reading {builder.name} {split}",
        unit=" images",
        delay=1,
        leave=False,
        disable=not progress,
    ) as bar:
        batches = without_tuning(dataset.batch(_DECODE_BATCH))
        for batch in batches.as_numpy_iterator():
            size = len(batch["label"])
            images[done : done + size] = batch["image"]
            labels[done : done + size] = batch["label"]
            done += size
            bar.update(size)
    return task.Split(images, labels)


@contextlib.contextmanager
def _damage_reported(folder):
    try:
        yield
    except (*_DAMAGE, ValueError, KeyError, OSError) as error:
        reason = " ".join(re.sub(r"\{\{.*?\}\}", "", str(error)).split())
        raise ValueError(
            f"the prepared data in {folder} is damaged ({type(error).__name__}: "
            f"{reason}). Delete that folder and prepare or copy it again."
        ) from error
