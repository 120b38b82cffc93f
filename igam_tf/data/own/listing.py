"""Image files with their labels: what a folder or a table comes to."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from igam_tf.data.own import pictures
from igam_tf.data.own.describing import augmentation, check_left, describe
from igam_tf.data.own.options import Options
from igam_tf.data.own.threads import first_good, in_threads, readable
from igam_tf.data.registry import DatasetInfo
from igam_tf.data.streamed import FileSource, StreamedImages, is_streamed
from igam_tf.data.task import Split, Task

_SHOWN = 5
_MOST_OF_MEMORY = 0.7


@dataclasses.dataclass(frozen=True, eq=False)
class Files:
    """Paths below a root, and a label of each."""

    paths: Sequence[str]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def only(self, kept: Callable[[str], bool]) -> Files:
        """Those whose path passes."""
        places = [i for i, path in enumerate(self.paths) if kept(path)]
        return Files([self.paths[i] for i in places], self.labels[places])


class Listing:
    """Files of both splits: known by their headers, decoded when they are read.

    Args:
        name: short name.
        root: folder that the paths are below.
        class_names: by label, in order.
        train: `Files` in the order in which they are read; labels int32 [n].
        test: the same.
        options: `Options`.

    Raises:
        ValueError: if a file is unreadable, or images have different sizes and no size
            is asked for.
    """

    def __init__(
        self,
        name: str,
        root: pathlib.Path,
        class_names: Sequence[str],
        train: Files,
        test: Files,
        options: Options,
    ) -> None:
        self.name, self.root, self.options = name, root, options
        headers = _headers(root, dict.fromkeys([*train.paths, *test.paths]))
        bad = {p: h for p, h in headers.items() if isinstance(h, Exception)}
        _refuse_or_warn(name, root, bad, options)
        good = {p: h for p, h in headers.items() if isinstance(h, pictures.Header)}
        self.train, self.test = (f.only(good.__contains__) for f in (train, test))
        for split, given, left in (
            ("training", train, self.train),
            ("test", test, self.test),
        ):
            check_left(name, class_names, given.labels, left.labels, split)
        shape = _shape(name, list(good.values()), options)
        # With test_fraction=1 a file is in both splits.
        self.streams = is_streamed(options.stream, len(good), shape)
        self.info = DatasetInfo(
            name=name,
            num_classes=len(class_names),
            image_shape=shape,
            augmentation=augmentation(options, shape, streamed=self.streams),
            class_names=tuple(class_names),
            train_examples=len(self.train),
        )

    def read(
        self,
        *,
        train_examples: int | None,
        test_examples: int | None,
        download: bool,
        progress: bool,
    ) -> Task:
        """Decodes images; the arguments are those of `igam_tf.data.read`.

        Raises:
            ValueError: if files are cut off or damaged, or do not fit into memory.
        """
        del download
        counts = {"train": train_examples, "test": test_examples}
        splits, bad, totals = {}, {}, {}
        if not self.streams:
            wanted = (_count(getattr(self, name), n) for name, n in counts.items())
            self._check_memory(sum(wanted))
        for name, count in counts.items():
            files = getattr(self, name)
            read = self._streamed if self.streams else self._decoded
            images, left, found = read(name, files, count, progress)
            bad.update(found)
            totals[name] = len(files) - len(found)
            splits[name] = images, left
        _refuse_or_warn(self.name, self.root, bad, self.options)
        for name, (_, left) in splits.items():
            given, whole = getattr(self, name).labels, counts[name] is None
            what = "training" if name == "train" else name
            names = self.info.class_names
            # Of a cut nobody has looked at the rest; a single good image it must have.
            if whole or not len(left):
                check_left(self.name, names, given, left, what)
        return Task(
            name=self.name,
            num_classes=self.info.num_classes,
            image_shape=self.info.image_shape,
            train=Split(*splits["train"]),
            test=Split(*splits["test"]),
            train_total=totals["train"],
            test_total=totals["test"],
            class_names=self.info.class_names,
        )

    def fingerprint(self) -> dict[str, Any]:
        """What tells these images from others: paths, labels, splits and contents.

        Of streamed images the lengths of the files stand in for their contents.
        """
        digest = hashlib.sha256()
        for split in ("train", "test"):
            files = getattr(self, split)
            for path, label in sorted(zip(files.paths, files.labels.tolist())):
                contents = self._contents(self.root / path)
                line = f"{split}\0{path}\0{label}\0{contents}\n"
                digest.update(line.encode(errors="surrogateescape"))
        return describe(self.info, len(self.train), len(self.test), digest.hexdigest())

    def _contents(self, path):
        if self.streams:
            # To read them all would take hours where it matters most.
            return f"{os.path.getsize(path)} bytes"
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _streamed(self, split, files, count, progress):
        """Images to be decoded when they are needed, their labels, and bad files."""
        source = FileSource(self.root, files.paths, files.labels)
        places, bad = np.arange(_count(files, count)), {}
        if self.options.skip_unreadable:
            say = f"looking at {self.name} {split}" if progress else ""
            places, found = readable(source, len(places), say=say)
            bad = {files.paths[place]: error for place, error in found.items()}
        files = Files([files.paths[place] for place in places], files.labels[places])
        images = StreamedImages(
            self.name,
            FileSource(self.root, files.paths, files.labels),
            self.info.image_shape,
            num_classes=self.info.num_classes,
            center_crop=self.options.kept(split),
        )
        return images, files.labels, bad

    def _decoded(self, split, files, count, progress):
        """The same of images that are decoded now."""
        shape, options = self.info.image_shape, self.options
        # A part of the centre is resized to the size that all images have.
        size = options.image_size or (shape[:2] if options.center_crop else None)
        wanted = _count(files, count)
        images = np.empty((wanted, *shape), np.uint8)

        def decode(path):
            try:
                found = pictures.decode(
                    self.root / path, shape[-1], size, options.center_crop or 1.0
                )
                if found.shape != shape:
                    raise pictures.UnreadableError(
                        f"changed since its header was read: {found.shape[:2]}"
                    )
                return found
            except pictures.UnreadableError as error:
                return error

        kept, bad = first_good(
            decode,
            files.paths,
            wanted,
            say=f"reading {self.name} {split}" if progress else "",
            keep=images.__setitem__,
            replace=options.skip_unreadable,
        )
        named = {files.paths[place]: error for place, error in bad.items()}
        return images[: len(kept)], files.labels[np.array(kept, int)], named

    def _check_memory(self, count):
        if not hasattr(os, "sysconf"):  # Windows
            return
        needed = count * int(np.prod(self.info.image_shape))
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if needed > _MOST_OF_MEMORY * memory:
            height, width, _ = self.info.image_shape
            raise ValueError(
                f"{self.name}: {count} images of {height}x{width} take "
                f"{needed / 1e9:.1f} GB of memory, and this machine has "
                f"{memory / 1e9:.1f} GB. Pass --stream=true (stream=True), a smaller "
                "--image_size (image_size=), or fewer --train_examples "
                "(train_examples=)."
            )


def _headers(root: pathlib.Path, paths: Iterable[str]) -> dict[str, Any]:
    def header(path):
        try:
            return path, pictures.header(root / path)
        except pictures.UnreadableError as error:
            return path, error

    return dict(in_threads(header, paths))


def _count(files, count):
    """Number of images that are read of a split."""
    return len(files) if count is None else min(count, len(files))


def _shape(name, headers, options):
    channels = 1 if all(header.is_grey for header in headers) else 3
    if options.image_size:
        return (*options.image_size, channels)
    if len({(h.height, h.width) for h in headers}) > 1:
        shortest = min(min(h.height, h.width) for h in headers)
        raise ValueError(
            f"{name}: its {pictures.sizes_found(headers)}; expected one size. Pass "
            "--image_size=96 or 96x128 (image_size=): each image is resized until its "
            "shorter side fits, and cropped in the centre. The shortest side of all is "
            f"{shortest}."
        )
    return (headers[0].height, headers[0].width, channels)


def _refuse_or_warn(name, root, bad, options):
    """Unreadable files are an error, unless they may be left out."""
    if not bad:
        return
    shown = [f"{root / path} ({error})" for path, error in list(bad.items())[:_SHOWN]]
    more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    what = f"{len(bad)} {'file' if len(bad) == 1 else 'files'} of {name}"
    if not options.skip_unreadable:
        raise ValueError(
            f"{what} cannot be read: {'; '.join(shown)}{more}. Repair or remove "
            "them, or pass --skip_unreadable (skip_unreadable=True) to leave them out."
        )
    warnings.warn(
        f"{what} cannot be read and {'is' if len(bad) == 1 else 'are'} left out: "
        f"{'; '.join(shown)}{more}.",
        stacklevel=2,
    )
