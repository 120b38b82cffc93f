"""Ways to damage a checkpoint, for `fuzz_checkpoints.py`.

Each of `MUTATIONS` is called with a `random.Random`, a folder with a copy of the TF1
checkpoint `checkpoint-7`, and the folder of the originals (`net.zip`, `net.keras`). It
damages the copy, and may return another path to load.
"""

import os
import shutil
import struct

INDEX, DATA, STATE = (
    "checkpoint-7.index",
    "checkpoint-7.data-00000-of-00001",
    "checkpoint",
)


def _truncated(chance, folder, original):
    path = folder / chance.choice([INDEX, INDEX, DATA, STATE])
    os.truncate(path, chance.choice([0, 1, 48, chance.randrange(path.stat().st_size)]))


def _flipped(chance, folder, original):
    _flip(chance, folder / chance.choice([INDEX, INDEX, DATA, STATE]))


def _flipped_footer(chance, folder, original):
    path = folder / INDEX
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 6)):
        data[-chance.randint(1, 48)] = chance.randrange(256)
    path.write_bytes(data)


def _spliced(chance, folder, original):
    path = folder / chance.choice([INDEX, DATA, STATE])
    data = path.read_bytes()
    cut, junk = chance.randrange(len(data)), chance.randbytes(chance.randint(1, 64))
    path.write_bytes(data[:cut] + junk + data[cut + chance.randint(0, 64) :])


def _damaged_zip(chance, folder, original):
    path = folder / "net.zip"
    shutil.copy(original / "net.zip", path)
    _flip_or_truncate(chance, path)
    return path


def _damaged_keras(chance, folder, original):
    path = folder / "net.keras"
    shutil.copy(original / "net.keras", path)
    _flip_or_truncate(chance, path)
    return path


def _right_checksums(chance, folder, original):
    """Fields of some entries changed, in an index whose checksums are right."""
    entries = _read_entries(folder / INDEX)
    for _ in range(chance.randint(1, 3)):
        name = chance.choice(list(entries))
        chance.choice(_FIELDS)(chance, entries, name)
    _write_entries(folder / INDEX, entries)


def _random_entries(chance, folder, original):
    """Entries whose bytes are noise, in an index whose checksums are right."""
    entries = _read_entries(folder / INDEX)
    for name in chance.sample(list(entries), chance.randint(1, 4)):
        value = bytearray(entries[name])
        for _ in range(chance.randint(1, 4)):
            value[chance.randrange(len(value))] = chance.randrange(256)
        entries[name] = bytes(value)
    _write_entries(folder / INDEX, entries)


def _random_block(chance, folder, original):
    """Noise where the keys are, in an index whose checksums are right."""
    pairs = _read_entries(folder / INDEX)
    block = bytearray(_block(pairs.items()))
    for _ in range(chance.randint(1, 8)):
        block[chance.randrange(len(block))] = chance.randrange(256)
    (folder / INDEX).write_bytes(_table(bytes(block)))


def _foreign_tensors(chance, folder, original):
    """Variables removed, reshaped, of another type, or with NaN."""
    import numpy as np
    import tensorflow as tf
    from small_checkpoints import write

    reader = tf.train.load_checkpoint(str(folder / "checkpoint-7"))
    tensors = {n: reader.get_tensor(n) for n in reader.get_variable_to_shape_map()}
    # float64 loads, and holds the same weights: not damage.
    types = (np.int32, np.float64, np.bool_, np.complex64)
    for name in chance.sample(sorted(tensors), chance.randint(1, 3)):
        value = np.array(tensors.pop(name))
        change = chance.randrange(4)
        if change == 1:
            tensors[name] = np.zeros([chance.randint(0, 3) for _ in value.shape + (1,)])
        elif change == 2:
            tensors[name] = value.astype(chance.choice(types))
        elif change == 3 and value.dtype == np.float32:
            value.flat[chance.randrange(value.size)] = chance.choice([np.nan, np.inf])
            tensors[name] = value
    write(folder, tensors)


def _no_plain_file(chance, folder, original):
    path = folder / chance.choice([INDEX, DATA, STATE])
    path.unlink()
    change = chance.randrange(5)
    if change == 1:
        path.mkdir()
    elif change == 2:
        path.symlink_to(path)
    elif change == 3:
        path.symlink_to(chance.choice(["gone", "/dev/zero", "/dev/null", INDEX, DATA]))
    elif change == 4 and path.name != STATE:
        os.mkfifo(path)


MUTATIONS = (
    _truncated, _flipped, _flipped_footer, _spliced, _damaged_zip, _damaged_keras,
    _right_checksums, _right_checksums, _random_entries, _random_block,
    _foreign_tensors, _no_plain_file,
)  # fmt: skip


def _flip_or_truncate(chance, path):
    if chance.random() < 0.3:
        os.truncate(path, chance.randrange(path.stat().st_size))
    else:
        _flip(chance, path)


def _flip(chance, path):
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 1, 2, 16])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


_BIG = (-1, -(2**63), 0, 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1)


def _with_entry(change):
    def changed(chance, entries, name):
        from tensorflow.core.protobuf import tensor_bundle_pb2

        kind = "BundleEntryProto" if name else "BundleHeaderProto"
        proto = getattr(tensor_bundle_pb2, kind).FromString(entries[name])
        change(chance, proto)
        entries[name] = proto.SerializeToString()

    return changed


def _change_number(chance, proto):
    fields = ["shard_id", "offset", "size", "dtype", "crc32c", "num_shards"]
    field = chance.choice([f for f in fields if hasattr(proto, f)])
    value = chance.choice([*_BIG, chance.randrange(64)])
    small = {"shard_id", "num_shards", "dtype"}
    if field in small:
        value = max(min(value, 2**31 - 1), -(2**31))
    setattr(proto, field, abs(value) % 2**32 if field == "crc32c" else value)


def _change_shape(chance, proto):
    if not hasattr(proto, "shape"):
        return
    if chance.random() < 0.3:
        proto.shape.unknown_rank = True
    for _ in range(chance.choice([1, 1, 2, 300])):
        proto.shape.dim.add().size = chance.choice(_BIG)
    if chance.random() < 0.5 and proto.shape.dim:
        proto.shape.dim[0].size = chance.choice(_BIG)


def _change_slices(chance, proto):
    if hasattr(proto, "slices"):
        extent = proto.slices.add().extent.add()
        extent.start, extent.length = chance.choice(_BIG), chance.choice(_BIG)


def _rename(chance, entries, name):
    entries[chance.randbytes(chance.randint(0, 6))] = entries.pop(name)


def _remove(chance, entries, name):
    del entries[name]


def _swap(chance, entries, name):
    entries[name] = entries[chance.choice(list(entries))]


_FIELDS = (
    *map(_with_entry, (_change_number, _change_shape, _change_slices)),
    _rename,
    _remove,
    _swap,
)


def _read_entries(path):
    from igam_tf.checkpoints.tf1.sstable import read_table

    return dict(read_table(path.read_bytes()))


def _write_entries(path, entries):
    path.write_bytes(_table(_block(sorted(entries.items()))))


def _block(pairs):
    """A block without prefix compression, one restart point."""
    out = b""
    for key, value in pairs:
        out += _varint(0) + _varint(len(key)) + _varint(len(value)) + key + value
    return out + struct.pack("<II", 0, 1)


def _table(data_block):
    from igam_tf.checkpoints.tf1.sstable import masked_crc32c

    out, handles = b"", []
    for block in (data_block, _block([]), None):
        # The index block comes last and points at the first one.
        block = _block([(b"~", handles[0])]) if block is None else block
        handles.append(_varint(len(out)) + _varint(len(block)))
        out += block + b"\0" + struct.pack("<I", masked_crc32c(block + b"\0"))
    footer = (handles[1] + handles[2]).ljust(40, b"\0")
    return out + footer + struct.pack("<Q", 0xDB4775248B80FB57)


def _varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])
