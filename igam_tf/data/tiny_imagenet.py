"""Tiny-ImageNet as a TFDS data set, which TFDS itself does not have."""

import io
import os
import pathlib
import shutil
import tempfile

import requests
import tensorflow as tf
import tensorflow_datasets as tfds

from igam_tf.data import prepared, tiny_imagenet_source
from igam_tf.data.registry import DatasetInfo
from igam_tf.data.task import Task

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
_NAME = "tiny_imagenet"
_FOLDER = "tiny-imagenet-200"
_SIDE = 64
_OFFICIAL_BYTES = 250_000_000
# The archive, TFDS' buckets while it shuffles, and the result.
_ROOM = 3


class TinyImagenet(tfds.core.GeneratorBasedBuilder):
    """200 classes, 500 training and 50 test images each, 64x64.

    The labels of the official test images are not public: `test` is the official
    `val`, as in the papers. Labels are positions in the sorted wnids (wnids.txt itself
    is in no order). Images are stored as they came (JPEG); those in grayscale become
    RGB when they are decoded.

    Args:
        archive: the official zip or its extracted folder; None to download it.
        **kwargs: of TFDS' builders, such as `data_dir`.

    Source: http://cs231n.stanford.edu/tiny-imagenet-200.zip (Stanford CS231n).
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The official train and val."}

    def __init__(self, *, archive: str | os.PathLike | None = None, **kwargs):
        self._archive = archive
        super().__init__(**kwargs)

    def _info(self):
        image = tfds.features.Image(shape=(_SIDE, _SIDE, 3), encoding_format="jpeg")
        label = tfds.features.ClassLabel(num_classes=tiny_imagenet_source.NUM_CLASSES)
        return tfds.core.DatasetInfo(
            builder=self,
            description=__doc__,
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            supervised_keys=("image", "label"),
            homepage="http://cs231n.stanford.edu/",
        )

    def _split_generators(self, dl_manager):
        path = self._archive or dl_manager.download(URL)
        source = tiny_imagenet_source.open_source(path)
        layout = tiny_imagenet_source.layout(source)
        self.info.features["label"].names = layout.names
        return {
            "train": self._generate_examples(source, layout.train),
            "test": self._generate_examples(source, layout.test),
        }

    def _generate_examples(self, source, entries):
        for name, wnid in entries:
            data = source.read(name)
            _check_jpeg(data, name, source.path)
            yield name, {"image": io.BytesIO(data), "label": wnid}


def read(
    info: DatasetInfo,
    data_dir: str | os.PathLike | None,
    *,
    train_examples: int | None,
    test_examples: int | None,
    download: bool,
    progress: bool,
) -> Task:
    """Reads Tiny-ImageNet; the arguments are those of `igam_tf.data.read`.

    What is prepared in `data_dir` is used. Otherwise the official zip
    (`tiny-imagenet-200*.zip`) or folder (`tiny-imagenet-200/`) found in `data_dir`, or
    given as `data_dir` itself, is prepared there, beside it, without being extracted.
    """
    root, archive, given = locate(data_dir)
    folder = prepared.find(root, info.name)
    if folder is None:
        folder = _prepare(root, archive, download=download, progress=progress)
    task = prepared.read_folder(
        info,
        folder,
        train_examples=train_examples,
        test_examples=test_examples,
        progress=progress,
    )
    if given:
        _check_prepared_from(archive, folder, task)
    return task


def locate(
    data_dir: str | os.PathLike | None,
) -> tuple[pathlib.Path, pathlib.Path | None, bool]:
    """Where prepared data belongs, and what it can be prepared from.

    Args:
        data_dir: a folder that may hold the zip or the extracted folder, one of these
            two itself, or None.

    Returns:
        (root, archive, given): the folder of prepared data sets; the zip or folder, or
        None; whether `data_dir` itself named it.

    Raises:
        ValueError: if there are several zips and none has the official name.
    """
    if data_dir is not None:
        path = pathlib.Path(data_dir).expanduser()
        if path.is_file() or (path.is_dir() and _is_extracted(path)):
            return path.parent, path, True
    root = prepared.root_folder(data_dir)
    zips = sorted(root.glob(f"{_FOLDER}*.zip")) if root.is_dir() else []
    named = [path for path in zips if path.name == f"{_FOLDER}.zip"]
    if len(zips) > 1 and not named:
        raise ValueError(
            f"{root} holds {', '.join(path.name for path in zips)}; give the one that "
            "is meant as data_dir (--data_dir)."
        )
    if zips:
        return root, pathlib.Path((named or zips)[0]), False
    extracted = pathlib.Path(root / _FOLDER)
    return root, extracted if extracted.is_dir() else None, False


def _prepare(root, archive, *, download, progress):
    way_out = (
        f"Put tiny-imagenet-200.zip ({URL}) or the extracted folder {_FOLDER} in "
        f"{root}, or prepared data in {root / _NAME / '1.0.0'}, or point --data_dir "
        "(data_dir=) at any of these."
    )
    if archive is None and not download:
        raise FileNotFoundError(
            f"{_NAME} is not in {root}, and downloading is off. {way_out}"
        )
    try:
        if archive is None:
            prepared.check_reachable(URL, root, _NAME)
        _check_room(root, archive)
        builder = TinyImagenet(archive=archive, data_dir=root)
        return prepared.prepare(builder, progress=progress)
    except (requests.RequestException, tfds.download.DownloadError) as error:
        raise FileNotFoundError(
            f"{_NAME} is not in {root}, and it cannot be downloaded from here "
            f"({type(error).__name__}: {error}). {way_out}"
        ) from error


def _check_room(root, archive):
    way_out = (
        "Copy or link the zip into a folder with room and the right to write, and give "
        "that as --data_dir."
    )
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / _NAME).mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=root / _NAME):
            pass
    except OSError as error:
        raise PermissionError(
            f"{_NAME} cannot be prepared in {root}: no right to write ({error}). "
            f"{way_out}"
        ) from error
    is_zip = archive is not None and archive.is_file()
    needed = _ROOM * (archive.stat().st_size if is_zip else _OFFICIAL_BYTES)
    free = shutil.disk_usage(root).free
    if free < needed:
        raise OSError(
            f"{_NAME} needs {needed / 1e6:.0f} MB in {root}, where {free / 1e6:.0f} MB "
            f"are free. {way_out}"
        )


def _check_jpeg(data, name, path):
    try:
        with tf.device("CPU:0"):
            shape = tuple(tf.io.decode_jpeg(data, channels=3).shape)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(
            f"{name} in {path} is not a readable JPEG ({error.message[:200]}). Extract "
            "or download tiny-imagenet-200.zip again."
        ) from error
    if shape != (_SIDE, _SIDE, 3):
        raise ValueError(
            f"{name} in {path} is an image of {shape[0]}x{shape[1]}; expected "
            f"{_SIDE}x{_SIDE}, as in the official zip."
        )


def _check_prepared_from(archive, folder, task):
    source = tiny_imagenet_source.open_source(archive)
    layout = tiny_imagenet_source.layout(source)
    given = len(layout.train), len(layout.test)
    found = task.train_total, task.test_total
    if given != found:
        raise ValueError(
            f"{folder} was prepared from another archive: it holds {found} training "
            f"and test images, {archive} {given}. Delete that folder to prepare this "
            "one."
        )


def _is_extracted(path):
    return path.name == _FOLDER or (path / "wnids.txt").exists()
