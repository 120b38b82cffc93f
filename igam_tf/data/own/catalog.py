"""A data set of TFDS that is not registered: `tfds:NAME` or `tfds:NAME/CONFIG`."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
import tqdm

from igam_tf.data import prepared
from igam_tf.data.own import builders, describing, pictures, splits
from igam_tf.data.own.names import TFDS
from igam_tf.data.own.options import Options
from igam_tf.data.own.records import RecordLabels, RecordSource
from igam_tf.data.own.threads import readable
from igam_tf.data.registry import DatasetInfo
from igam_tf.data.streamed import StreamedImages, is_streamed
from igam_tf.data.task import Split, Task

_TESTS = ("test", "validation")
# Data sets whose test split has no labels.
_TESTS_OF = {"imagenet2012": ("validation",)}


class Catalog:
    """Images and labels of a data set of TFDS, prepared or not yet.

    Args:
        name: short name.
        given: as given, with "tfds:".
        data_dir: folder of prepared data; None for TFDS' own.
        options: `Options`.

    Raises:
        ValueError: if TFDS has no such data set, it has no one image or label feature,
            or its images have different sizes and no size is asked for.
    """

    def __init__(
        self, name: str, given: str, data_dir: str | None, options: Options
    ) -> None:
        self.name, self.options = name, options
        self.tfds_name = given.removeprefix(TFDS)
        self.root = prepared.root_folder(data_dir)
        self.builder = builders.builder(self.tfds_name, self.root)
        self.image, self.label = builders.features(self.builder, self.tfds_name)
        feature = self.builder.info.features[self.label]
        shape = self._shape()
        self.streams = self._streams(shape)
        self.info = DatasetInfo(
            name=name,
            num_classes=feature.num_classes,
            image_shape=shape,
            augmentation=describing.augmentation(options, shape, streamed=self.streams),
            class_names=tuple(feature.names),
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
            FileNotFoundError: if it is not prepared, and may not or cannot be
                downloaded.
            ValueError: if an image cannot be decoded, or a split is missing.
        """
        if builders.prepared_folder(self.builder) is None:
            builders.download(
                self.builder,
                self.tfds_name,
                self.root,
                allowed=download,
                progress=progress,
            )
        if self.streams != self._streams(self.info.image_shape):
            raise ValueError(
                f"{TFDS}{self.tfds_name} is prepared now, and more than 4 GiB decoded: "
                "run the same command again, which streams it."
            )
        train, test = self._places()
        cuts = {"train": (train, train_examples), "test": (test, test_examples)}
        read = self._streamed if self.streams else self._decoded
        found, totals = {}, {}
        for part, ((split, places), count) in cuts.items():
            wanted = len(places) if count is None else min(count, len(places))
            found[part], bad = read(part, split, places, wanted, progress)
            totals[part] = len(places) - bad
            self._warn(split, bad)
        return Task(
            name=self.name,
            num_classes=self.info.num_classes,
            image_shape=self.info.image_shape,
            train=found["train"],
            test=found["test"],
            train_total=totals["train"],
            test_total=totals["test"],
            class_names=self.info.class_names,
        )

    def fingerprint(self) -> dict[str, Any]:
        """What tells these data from others: what TFDS recorded when it prepared them.

        Before they are downloaded it is the version that will be.
        """
        folder = builders.prepared_folder(self.builder)
        digest = hashlib.sha256(str(self.builder.version).encode())
        counts = []
        for split in sorted(self.builder.info.splits.values(), key=lambda s: s.name):
            counts.append(split.num_examples)
            told = f"{split.name} {split.shard_lengths} {split.num_bytes}"
            digest.update(told.encode())
        return {
            **describing.describe(self.info, sum(counts), 0, digest.hexdigest()),
            "folder": folder and folder.name,
        }

    def _shape(self):
        height, width, channels = self.builder.info.features[self.image].shape
        channels = 1 if channels == 1 else 3
        if self.options.image_size:
            return (*self.options.image_size, channels)
        if height is None or width is None:
            raise ValueError(
                f"{TFDS}{self.tfds_name}: its images have different sizes. Pass "
                "--image_size=96 or 96x128 (image_size=): each image is resized until "
                "its shorter side fits, and cropped in the centre."
            )
        return height, width, channels

    def _streams(self, shape):
        """Whether images are streamed; before they are prepared nobody may know."""
        sizes = {n: s.num_examples for n, s in self.builder.info.splits.items()}
        count = sizes.get("train", 0) + sizes.get(self._test(sizes), 0)
        return is_streamed(self.options.stream, count, shape)

    def _test(self, sizes):
        """Name of the split that is tested on; None if there is none."""
        tests = _TESTS_OF.get(self.tfds_name, _TESTS)
        return next((name for name in tests if sizes.get(name)), None)

    def _places(self):
        """(split of TFDS, indices in it) of training and test images."""
        sizes = {n: s.num_examples for n, s in self.builder.info.splits.items()}
        if "train" not in sizes:
            raise ValueError(
                f"{TFDS}{self.tfds_name} has the splits "
                f"{describing.shown(list(sizes))}; expected train, and test or "
                "validation."
            )
        test = self._test(sizes)
        if test is not None:
            both = ("train", test)
            return [(name, np.arange(sizes[name])) for name in both]
        labels = [
            int(example[self.label])
            for example in tfds.as_numpy(self._dataset("train", {self.label: True}))
        ]
        parts = splits.asked_for(
            self.name,
            np.array(labels, np.int32),
            list(map(str, range(len(labels)))),
            self.info.class_names,
            self.options,
        )
        return [("train", places) for places in parts]

    def _dataset(self, split, wanted, skip=None):
        decoders = tfds.decode.PartialDecoding(wanted, decoders=skip)
        config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        return self.builder.as_dataset(
            split=split, decoders=decoders, read_config=config, shuffle_files=False
        )

    def _streamed(self, part, split, places, wanted, progress):
        """The `Split` of these indices, decoded when its images are needed."""
        info, bad = self.builder.info.splits[split], {}
        source = RecordSource(
            self.tfds_name, info, image=self.image, label=self.label
        ).only(places)
        kept = np.arange(wanted)
        if self.options.skip_unreadable:
            say = f"looking at {split}" if progress else ""
            kept, bad = readable(source, wanted, say=say)
            self._check_any(split, len(kept))
        source = source.only(kept)
        images = StreamedImages(
            self.name,
            source,
            self.info.image_shape,
            num_classes=self.info.num_classes,
            center_crop=self.options.kept(part),
        )
        return Split(images, RecordLabels(source, progress=progress)), len(bad)

    def _warn(self, split, count):
        if count:
            warnings.warn(
                f"{TFDS}{self.tfds_name}: {count} images of {split} cannot be decoded "
                "and are left out.",
                stacklevel=3,
            )

    def _check_any(self, split, count):
        if not count:
            raise ValueError(
                f"{TFDS}{self.tfds_name}: none of the images of {split} can be "
                "decoded. Prepare the data again."
            )

    def _decoded(self, part, split, places, wanted, progress):
        """The `Split` of the first of these indices that can be decoded, in order."""
        del part
        images = np.empty((wanted, *self.info.image_shape), np.uint8)
        labels = np.empty(wanted, np.int32)
        done = start = 0
        # Others stand in for those that are left out.
        while done < wanted and start < len(places):
            portion = places[start : start + wanted - done]
            out = images[done:], labels[done:]
            kept = self._decode_portion(split, portion, *out, progress)
            count = int(np.sum(kept))
            if count < len(portion):
                for array in out:
                    array[:count] = array[: len(portion)][kept]
            done, start = done + count, start + len(portion)
        self._check_any(split, done)
        return Split(images[:done], labels[:done]), start - done

    def _decode_portion(self, split, places, images, labels, progress):
        """Decodes these indices into arrays; whether each of them could be."""
        slots = {int(place): slot for slot, place in enumerate(places)}
        first, last = min(slots), max(slots) + 1
        encoded = self._dataset(
            f"{split}[{first}:{last}]",
            {self.image: True, self.label: True},
            # The files themselves: Pillow decodes all own data.
            {self.image: tfds.decode.SkipDecoding()},
        )
        shown = tqdm.tqdm(
            tfds.as_numpy(encoded),
            total=last - first,
            desc=f"reading {self.name} {split}",
            unit=" images",
            delay=1,
            leave=False,
            disable=not progress,
        )
        kept = np.zeros(len(places), bool)
        for place, example in enumerate(shown, first):
            if place not in slots:
                continue
            slot = slots[place]
            kept[slot] = self._decode(example[self.image], images[slot], split, place)
            labels[slot] = example[self.label]
        return kept

    def _decode(self, contents, out, split, place):
        """Whether the image could be decoded into `out`."""
        shape, options = self.info.image_shape, self.options
        size = options.image_size or (shape[:2] if options.center_crop else None)
        try:
            found = pictures.decode(
                contents, shape[-1], size, options.center_crop or 1.0
            )
        except pictures.UnreadableError as error:
            if self.options.skip_unreadable:
                return False
            raise ValueError(
                f"{TFDS}{self.tfds_name}: image {place} of {split} cannot be decoded "
                f"({error}). Prepare the data again, or pass --skip_unreadable "
                "(skip_unreadable=True) to leave such images out."
            ) from error
        out[...] = found
        return True
