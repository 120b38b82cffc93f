"""Prepared records of TFDS, each found by its place without reading those before it."""

from __future__ import annotations

import concurrent.futures
import functools
import os
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
import tqdm
from google.protobuf.message import DecodeError

from igam_tf.data.own.pictures import UnreadableError
from igam_tf.data.own.threads import in_threads

# A record is its length (8 bytes), a checksum of it (4), its contents, a checksum (4):
# https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
_BEFORE, _AFTER = 12, 4


class RecordSource:
    """Images of a split, as `igam_tf.data.streamed.Source`.

    Only the places of the records are held, 20 bytes an image.

    Args:
        name: of the data, for errors.
        split: `tfds.core.SplitInfo`: its name, files and number of records.
        image, label: names of the features.

    Raises:
        ValueError: if the files are no such records, or not so many.
    """

    def __init__(
        self,
        name: str,
        split: tfds.core.SplitInfo,
        *,
        image: str,
        label: str,
    ) -> None:
        self.name, self.split, count = name, split.name, split.num_examples
        self._paths = [os.fspath(path) for path in split.filepaths]
        self._image, self._label = image, label
        with concurrent.futures.ThreadPoolExecutor() as threads:
            found = list(threads.map(self._offsets, self._paths))
        self._shards = np.repeat(
            np.arange(len(found), dtype=np.int32), [len(offsets) for offsets in found]
        )
        self._offsets_of = np.concatenate(found)
        if len(self._shards) != count:
            raise ValueError(
                f"{name}: its {self.split} split holds {len(self._shards)} records; "
                f"expected {count}. Prepare or copy it again."
            )
        self.places = np.arange(count)

    def only(self, places: np.ndarray) -> RecordSource:
        """The images of some places, in their order."""
        chosen = object.__new__(RecordSource)
        chosen.__dict__.update(self.__dict__, places=self.places[places])
        return chosen

    def __len__(self) -> int:
        return len(self.places)

    def read(self, place: int) -> tuple[bytes, int]:
        """See `igam_tf.data.streamed.Source`."""
        found = int(self.places[place])
        path, offset = self._paths[self._shards[found]], int(self._offsets_of[found])
        try:
            with open(path, "rb") as file:
                file.seek(offset)
                length = int.from_bytes(file.read(8), "little")
                file.seek(offset + _BEFORE)
                example = tf.train.Example.FromString(file.read(length))
            features = example.features.feature
            contents = features[self._image].bytes_list.value[0]
            return contents, int(features[self._label].int64_list.value[0])
        except OSError as error:
            raise UnreadableError(error.strerror or str(error)) from error
        except (ValueError, IndexError, DecodeError) as error:
            raise UnreadableError(f"a damaged record of {path}: {error}") from error

    def where(self, place: int) -> str:
        """See `igam_tf.data.streamed.Source`."""
        return f"image {self.places[place]} of {self.split} of tfds:{self.name}"

    def _offsets(self, path):
        """Where each record of a file begins, by their lengths alone."""
        offsets, size, offset = [], os.path.getsize(path), 0
        with open(path, "rb", buffering=0) as file:
            while offset < size:
                file.seek(offset)
                length = int.from_bytes(file.read(8), "little")
                offsets.append(offset)
                offset += _BEFORE + length + _AFTER
        if offset != size:
            raise ValueError(
                f"{self.name}: {path} is cut off, or holds no TFRecords; streamed data "
                "of TFDS are prepared as tfrecord files. Prepare or copy it again, or "
                "pass --stream=false (stream=False)."
            )
        return np.array(offsets, np.int64)


class RecordLabels:
    """Labels of a `RecordSource`, read when somebody asks for them all.

    They stand in the records, beside the images: that reads every file once. Training
    and evaluation take the label of an image with the image.
    """

    dtype = np.dtype(np.int32)
    ndim = 1

    def __init__(self, source: RecordSource, *, progress: bool = False) -> None:
        self._source, self._progress = source, progress

    @property
    def shape(self) -> tuple[int]:
        """(n,)."""
        return (len(self._source),)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: Any) -> np.ndarray:
        if "_all" in self.__dict__:
            return self._all[index]
        places = np.arange(len(self))[index]
        labels = self._read(places.ravel().tolist())
        return labels.reshape(places.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._all, dtype=dtype or np.int32)

    @functools.cached_property
    def _all(self):
        return self._read(range(len(self)))

    def _read(self, places):
        bar = tqdm.tqdm(
            in_threads(lambda place: self._source.read(place)[1], places),
            total=len(places),
            desc=f"reading labels of {self._source.name} {self._source.split}",
            unit=" images",
            delay=1,
            leave=False,
            disable=not self._progress,
        )
        return np.array(list(bar), np.int32)
