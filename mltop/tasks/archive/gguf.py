"""Where the last tensor of a GGUF file ends, told from its header (the GGUF specification, versions 2 and 3)."""

from __future__ import annotations

import struct
from typing import BinaryIO

_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a metadata value by its type; 8 is a string and 9 an array."""
_STRING, _ARRAY, _UINT32 = 8, 9, 4
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    20: (32, 18), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2),
}  # fmt: skip
"""Elements and bytes of a block by tensor type: F32, F16, the quantised ones, integers, BF16. Others are not judged."""
_MAX_COUNT = 1 << 24
_MAX_STRING = 1 << 26


class NotGgufError(Exception):
    """The header makes no sense, or ends too early."""


def expected_size(file: BinaryIO) -> int:
    """Return the least size that the file must have; raises `NotGgufError`."""
    if file.read(4) != b"GGUF":
        raise NotGgufError("it does not begin with GGUF")
    version, tensors, pairs = _unpack(file, "<IQQ")
    if version not in (2, 3) or tensors > _MAX_COUNT or pairs > _MAX_COUNT:
        raise NotGgufError("its header is of no version that is known")
    alignment = 32
    for _ in range(pairs):
        key = _string(file)
        (kind,) = _unpack(file, "<I")
        if key == b"general.alignment" and kind == _UINT32:
            (alignment,) = _unpack(file, "<I")
        else:
            _pass_over(file, kind)
    ends = [_tensor_end(file) for _ in range(tensors)]
    start = -(-file.tell() // max(1, alignment)) * max(1, alignment)
    return start + max(ends) if ends else file.tell()


def _tensor_end(file: BinaryIO) -> int:
    _string(file)
    (dimensions,) = _unpack(file, "<I")
    if dimensions > 8:
        raise NotGgufError("a tensor has too many dimensions")
    elements = 1
    for size in _unpack(file, f"<{dimensions}Q"):
        elements *= size
    kind, offset = _unpack(file, "<IQ")
    per_block, block_bytes = _BLOCKS.get(kind, (1, 0))
    return int(offset) + elements // per_block * block_bytes


def _pass_over(file: BinaryIO, kind: int) -> None:
    if kind == _STRING:
        _string(file)
    elif kind == _ARRAY:
        element, count = _unpack(file, "<IQ")
        if count > _MAX_COUNT or element == _ARRAY:
            raise NotGgufError("its metadata make no sense")
        if element in _SCALARS:
            _read(file, _SCALARS[element] * count)
        else:
            for _ in range(count):
                _pass_over(file, element)
    elif kind in _SCALARS:
        _read(file, _SCALARS[kind])
    else:
        raise NotGgufError("its metadata make no sense")


def _string(file: BinaryIO) -> bytes:
    (length,) = _unpack(file, "<Q")
    if length > _MAX_STRING:
        raise NotGgufError("its metadata make no sense")
    return _read(file, length)


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, _read(file, struct.calcsize(layout)))


def _read(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise NotGgufError("its header is cut short")
    return data
