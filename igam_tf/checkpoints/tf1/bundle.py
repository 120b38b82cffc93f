"""A TF1 checkpoint (`.index` and `.data-*` files), checked before it is read."""

import math
import os
import re
import stat
import tempfile
import typing
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from igam_tf import compat
from igam_tf.checkpoints.errors import CheckpointError, shortened
from igam_tf.checkpoints.tf1.sstable import MAX_BYTES, read_table

_Header, _Entry = compat.bundle_protos()
_MAX_RANK = 8
_MAX_SHARDS = 1000


class Entry(NamedTuple):
    """Where one variable lies in the data files."""

    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    sliced: bool


class Bundle:
    """Reader of one checkpoint; opening it reads the index and checks all sizes.

    Args:
        prefix: path without `.index`, such as `models/adv_trained/checkpoint-70000`.
        shown: what messages call it, if not `prefix`.

    Attributes:
        shown: as given.
        entries: dict of variable name -> `Entry`, optimizer slots included.

    Raises:
        CheckpointError: if the index is damaged or the data files do not fit it.
        FileNotFoundError: if a file is missing.
    """

    def __init__(self, prefix: str | os.PathLike, shown: str | None = None):
        self._prefix = os.fspath(prefix)
        self.shown = shown or self._prefix
        pairs = self._read_pairs()
        self._num_shards = self._parse_header(pairs)
        stored = [(key, *self._parse_entry(key, value)) for key, value in pairs[1:]]
        self._check_data_files([(name, entry) for _, name, entry in stored])
        # A slice of a variable has a key of numbers, and is no variable of its own.
        self.entries: dict[str, Entry] = {
            name: entry for key, name, entry in stored if not key.startswith(b"\0")
        }
        self._reader: typing.Any = None

    def read(self, name: str) -> np.ndarray:
        """The value of one variable.

        Args:
            name: key of `entries`.

        Returns:
            np.ndarray of the stored type and shape, its checksum verified.

        Raises:
            CheckpointError: if the bytes are damaged, or are no numbers in one piece.
        """
        entry = self.entries[name]
        if entry.sliced or entry.dtype not in _SIZES:
            what = "in slices" if entry.sliced else f"of type {entry.dtype}"
            raise CheckpointError(
                f"{self.shown}.index: variable {name!r} is stored {what}: expected "
                "numbers in one piece. Unless the file is damaged, save it anew from "
                "the graph that it is of."
            )
        try:
            if self._reader is None:
                self._reader = tf.train.load_checkpoint(self._plain_prefix())
            return self._reader.get_tensor(name)
        except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
            raise CheckpointError(
                f"{self.shown}: variable {name!r} cannot be read ({error}). The data "
                "file is damaged; fetch or copy it again."
            ) from error

    def _plain_prefix(self):
        """The prefix, or a link to it.

        TensorFlow takes it for a pattern (*, ?, [), or for a folder of that name.
        """
        is_pattern = re.search(r"[*?\[\\]", self._prefix)
        if not is_pattern and not os.path.isdir(self._prefix):
            return self._prefix
        self._links = tempfile.TemporaryDirectory(prefix="igam_tf_")
        plain = os.path.join(self._links.name, "checkpoint")
        for suffix in (".index", *map(self._data_suffix, range(self._num_shards))):
            os.symlink(os.path.abspath(self._prefix + suffix), plain + suffix)
        return plain

    def _data_suffix(self, shard):
        return f".data-{shard:05d}-of-{self._num_shards:05d}"

    def _read_pairs(self):
        size = regular_file_size(self._prefix + ".index")
        if size > MAX_BYTES:
            raise self._error(f"it has {size} bytes, more than any index ({MAX_BYTES})")
        with open(self._prefix + ".index", "rb") as file:
            data = file.read(MAX_BYTES + 1)
        try:
            return read_table(data)
        except CheckpointError as error:
            raise self._error(str(error)) from error

    def _parse_header(self, pairs):
        if not pairs or pairs[0][0]:
            raise self._error("its header is missing")
        header = _Header()
        self._parse(header, pairs[0][1], "its header")
        if not 1 <= header.num_shards <= _MAX_SHARDS:
            raise self._error(f"its header names {header.num_shards} data files")
        if header.endianness != header.LITTLE:
            raise self._error("it was written on a big-endian machine: not supported")
        return header.num_shards

    def _parse_entry(self, key, value):
        name = key.decode("utf-8", "replace")
        proto = _Entry()
        self._parse(proto, value, f"variable {name!r}")
        shape = tuple(dim.size for dim in proto.shape.dim)
        dtype = _DTYPES.get(proto.dtype, f"number {proto.dtype}")
        expected_size = math.prod(shape) * _SIZES.get(dtype, 0)
        negative = min(shape, default=0) < 0
        if proto.shape.unknown_rank or len(shape) > _MAX_RANK or negative:
            raise self._error(f"variable {name!r} has an impossible shape {shape}")
        if dtype in _SIZES and not proto.slices and proto.size != expected_size:
            raise self._error(
                f"variable {name!r} of shape {shape} and type {dtype} has "
                f"{proto.size} bytes where {expected_size} were expected"
            )
        if min(proto.size, proto.offset, proto.shard_id) < 0 or (
            proto.shard_id >= self._num_shards
        ):
            raise self._error(f"variable {name!r} lies outside of the data files")
        return name, Entry(
            dtype, shape, proto.shard_id, proto.offset, proto.size, bool(proto.slices)
        )

    def _parse(self, proto, value, what):
        try:
            proto.ParseFromString(value)
        except DecodeError as error:
            raise self._error(f"{what} cannot be decoded") from error

    def _check_data_files(self, stored):
        """Refuses truncated data files, and entries that share bytes."""
        ends = [0] * self._num_shards
        for name, entry in sorted(stored, key=lambda e: e[1].offset):
            if entry.size and entry.offset < ends[entry.shard]:
                raise self._error(f"variable {name!r} shares bytes with another one")
            ends[entry.shard] = max(ends[entry.shard], entry.offset + entry.size)
        for shard, end in enumerate(ends):
            suffix = self._data_suffix(shard)
            size = regular_file_size(self._prefix + suffix)
            if end > size:
                cut = [
                    name
                    for name, entry in stored
                    if entry.shard == shard and entry.offset + entry.size > size
                ]
                raise CheckpointError(
                    f"{self.shown}{suffix} is truncated: it has {size} bytes where "
                    f"{end} were expected, and ends before the values of variable "
                    f"{shortened(map(repr, cut), 4)}. Fetch or copy it again."
                )

    def _error(self, what):
        return CheckpointError(
            f"{self.shown}.index: {what}. Fetch or copy the checkpoint again."
        )


def regular_file_size(path: str) -> int:
    """Size of a file in bytes; an error for what is missing or not a plain file."""
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(_missing_message(path)) from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be opened: {error}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError(f"{path} is no plain file; expected a checkpoint's file.")
    return status.st_size


def _missing_message(path):
    folder = os.path.dirname(path) or "."
    found = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    holds = f"the folder holds {shortened(found)}" if found else "the folder is empty"
    return (
        f"{path} is missing ({holds}). A TF1 checkpoint is an .index file with its "
        ".data-00000-of-00001 file beside it."
    )


# Types whose size gives their number of bytes; strings are listed to be refused.
_DTYPES = {dtype.as_datatype_enum: dtype.name for dtype in (
    tf.float32, tf.float64, tf.float16, tf.bfloat16, tf.int8, tf.int16, tf.int32,
    tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64, tf.bool, tf.string,
)}  # fmt: skip
_SIZES = {name: tf.as_dtype(name).size for name in _DTYPES.values() if name != "string"}
