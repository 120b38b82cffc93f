"""The official Tiny-ImageNet files, read from the zip in place or from its folder.

tiny-imagenet-200/wnids.txt                     200 class names
tiny-imagenet-200/train/<wnid>/images/*.JPEG    500 images a class
tiny-imagenet-200/train/<wnid>/<wnid>_boxes.txt one line an image; may be left out
tiny-imagenet-200/val/val_annotations.txt       file, wnid, box: one line an image
tiny-imagenet-200/val/images/*.JPEG             10,000 images
"""

import dataclasses
import os
import pathlib
import zipfile
import zlib
from collections.abc import Iterator

NUM_CLASSES = 200
_WNIDS = "wnids.txt"
_ANNOTATIONS = "val/val_annotations.txt"
_AGAIN = "Extract or download tiny-imagenet-200.zip again."


@dataclasses.dataclass(frozen=True)
class Layout:
    """Which file holds what.

    Args:
        names: the 200 wnids, sorted; a label is a position in this list.
        train: (file, wnid) of each training image.
        test: (file, wnid) of each image of the official `val`.
    """

    names: tuple[str, ...]
    train: tuple[tuple[str, str], ...]
    test: tuple[tuple[str, str], ...]


class FolderSource:
    """Files below a folder, named by their path in it."""

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)

    def names(self) -> Iterator[str]:
        for folder, _, files in os.walk(self.path):
            prefix = pathlib.Path(folder).relative_to(self.path).as_posix() + "/"
            prefix = "" if prefix == "./" else prefix
            yield from (prefix + name for name in files)

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


class ZipSource:
    """Files of a zip below the folder that holds wnids.txt, read without extraction."""

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        try:
            self._zip = zipfile.ZipFile(self.path)
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"{self.path} is not a zip, or only the beginning of one ({error}). "
                "Delete it and download tiny-imagenet-200.zip again."
            ) from error
        members = self._zip.namelist()
        tops = [m[: -len(_WNIDS)] for m in members if m.split("/")[-1] == _WNIDS]
        # Where there is none, `layout` says so.
        self._top = min(tops, key=len, default="tiny-imagenet-200/")
        self._members = members

    def names(self) -> Iterator[str]:
        start = len(self._top)
        return (m[start:] for m in self._members if m.startswith(self._top))

    def read(self, name: str) -> bytes:
        try:
            return self._zip.read(self._top + name)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise ValueError(
                f"{name} in {self.path} is corrupt ({error}). {_AGAIN}"
            ) from error


def open_source(path: str | os.PathLike) -> FolderSource | ZipSource:
    """A `FolderSource` or `ZipSource`, by what the path is."""
    return FolderSource(path) if pathlib.Path(path).is_dir() else ZipSource(path)


def layout(source: FolderSource | ZipSource) -> Layout:
    """Sorts out the files of a source, and checks that all of them are there.

    Args:
        source: `FolderSource` or `ZipSource`.

    Returns:
        Layout.

    Raises:
        FileNotFoundError: if files are missing, as after a partial extraction.
        ValueError: if wnids.txt or val_annotations.txt does not hold what it should.
    """
    files = set(source.names())
    for name in (_WNIDS, _ANNOTATIONS):
        if name not in files:
            raise FileNotFoundError(
                f"{source.path} has no {name}; expected the layout of the official "
                f"tiny-imagenet-200.zip. {_AGAIN}"
            )
    names = tuple(sorted(_text(source, _WNIDS).split()))
    if len(set(names)) != NUM_CLASSES:
        raise ValueError(
            f"wnids.txt in {source.path} names {len(set(names))} classes; expected "
            f"{NUM_CLASSES}. {_AGAIN}"
        )
    train = _train_files(source, files, names)
    test = _test_files(source, names)
    missing = [name for name, _ in (*train, *test) if name not in files]
    if missing:
        raise FileNotFoundError(
            f"{source.path} lacks {len(missing)} of {len(train) + len(test)} images, "
            f"the first is {missing[0]}: an extraction that did not finish? {_AGAIN}"
        )
    return Layout(names, train, test)


def _train_files(source, files, names):
    found = {name: set() for name in names}
    for name in files:
        parts = name.split("/")
        if len(parts) != 4 or parts[0] != "train" or not name.endswith(".JPEG"):
            continue
        if parts[1] not in found:
            raise ValueError(
                f"{source.path} has {name}, but {parts[1]} is not in wnids.txt. "
                f"{_AGAIN}"
            )
        found[parts[1]].add(name)
    for wnid, images in found.items():
        boxes = f"train/{wnid}/{wnid}_boxes.txt"
        if boxes in files:
            lines = _text(source, boxes).splitlines()
            listed = (line.split()[0] for line in lines if line.strip())
            images.update(f"train/{wnid}/images/{image}" for image in listed)
        if not images:
            raise FileNotFoundError(
                f"{source.path} has no training images of class {wnid}: an extraction "
                f"that did not finish? {_AGAIN}"
            )
    return tuple((name, wnid) for wnid in names for name in sorted(found[wnid]))


def _test_files(source, names):
    known, test = set(names), []
    for number, line in enumerate(_text(source, _ANNOTATIONS).splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) < 2 or fields[1] not in known:
            raise ValueError(
                f"line {number} of {_ANNOTATIONS} in {source.path} is {line[:80]!r}; "
                f"expected a file name and one of the wnids of wnids.txt. {_AGAIN}"
            )
        test.append((f"val/images/{fields[0]}", fields[1]))
    if not test:
        raise ValueError(f"{_ANNOTATIONS} in {source.path} is empty. {_AGAIN}")
    return tuple(test)


def _text(source, name):
    try:
        return source.read(name).decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} in {source.path} is not a text ({error}). {_AGAIN}"
        ) from error
