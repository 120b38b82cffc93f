"""Key-value pairs of the table file that is the `.index` of a TF1 checkpoint.

Why not TensorFlow's own reader: it ends the process (CHECK failures) on an index whose
checksums are right and whose contents are not, and on some of them allocates what the
file says. Here every length is checked against the file before it is used; an index is
small, so plain Python is fast enough (1 ms per 100 variables).

Format: LevelDB's table. Blocks of prefix-compressed keys, each followed by one byte of
compression type and a masked CRC-32C; a footer of 48 bytes points at the index block.
"""

import struct

from igam_tf.checkpoints.errors import CheckpointError

MAX_BYTES = 16 * 1024 * 1024
_MAX_KEYS = 200_000
_MAX_KEY_BYTES = 4096
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5
_MAGIC = 0xDB4775248B80FB57


def read_table(data: bytes) -> list[tuple[bytes, bytes]]:
    """All (key, value) pairs of a table.

    Args:
        data: bytes of the whole file, at most `MAX_BYTES`.

    Returns:
        list of (bytes, bytes), in the order of the file.

    Raises:
        CheckpointError: if a length, a checksum or the magic number is wrong.
    """
    if len(data) < _FOOTER_BYTES:
        raise CheckpointError(
            f"it has {len(data)} bytes, fewer than the {_FOOTER_BYTES} of its footer: "
            "it is empty or truncated"
        )
    footer = data[-_FOOTER_BYTES:]
    if struct.unpack("<Q", footer[40:])[0] != _MAGIC:
        raise CheckpointError(
            "it does not end like the index of a TensorFlow checkpoint (wrong magic "
            "number): it is truncated, or another kind of file"
        )
    _, position = _handle(footer, 0)  # The metaindex block is empty in checkpoints.
    (offset, size), _ = _handle(footer, position)
    pairs, seen_bytes = [], 0
    for _, handle in _block_pairs(_block(data, offset, size)):
        (offset, size), _ = _handle(handle, 0)
        seen_bytes += size
        # Honest blocks do not overlap; many handles to one block would exhaust memory.
        if seen_bytes > len(data):
            raise CheckpointError("its blocks overlap: it is damaged")
        pairs.extend(_block_pairs(_block(data, offset, size)))
        if len(pairs) > _MAX_KEYS:
            raise CheckpointError(f"it lists more than {_MAX_KEYS} variables")
    return pairs


def _block(data, offset, size):
    """The contents of one block, its checksum verified."""
    end = offset + size
    if end + _TRAILER_BYTES > len(data):
        raise CheckpointError(
            f"a block ends at byte {end + _TRAILER_BYTES} of a file of {len(data)}: it "
            "is truncated or damaged"
        )
    compression, stored = struct.unpack("<BI", data[end : end + _TRAILER_BYTES])
    if masked_crc32c(data[offset : end + 1]) != stored:
        raise CheckpointError("a checksum does not match: it is damaged")
    if compression:
        raise CheckpointError(
            f"a block has compression type {compression}: not supported"
        )
    return data[offset:end]


def _block_pairs(block):
    """Yields the (key, value) pairs of a block."""
    if len(block) < 4:
        raise CheckpointError("a block is shorter than its own trailer: it is damaged")
    (num_restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (num_restarts + 1)
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        value_bytes, position = _varint(block, position)
        key_end = position + unshared
        if (
            shared > len(key)
            or shared + unshared > _MAX_KEY_BYTES
            or key_end + value_bytes > end
        ):
            raise CheckpointError("an entry runs over its block: it is damaged")
        key = key[:shared] + block[position:key_end]
        position = key_end + value_bytes
        yield key, block[key_end:position]


def _handle(data, position):
    offset, position = _varint(data, position)
    size, position = _varint(data, position)
    return (offset, size), position


def _varint(data, position):
    value = 0
    for shift in range(0, 64, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise CheckpointError("a number runs over its block: it is damaged")


def masked_crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), rotated and shifted as LevelDB stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC_TABLE = _crc_table()
