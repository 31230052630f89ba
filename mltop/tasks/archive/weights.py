"""Whether model files are whole, told from their own headers: a truncated one is no use, in a backup or out of it.

Bounded reads at the beginning or the end of a file; what is not understood is not judged.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import struct
from pathlib import Path
from typing import BinaryIO

from mltop.tasks.archive.found import Found
from mltop.tasks.archive.gguf import NotGgufError, expected_size
from mltop.tasks.outcome import Problem, problem

_MAX_HEADER = 100 << 20
"""safetensors' own limit."""
_EOCD = b"PK\x05\x06"
_EOCD_REACH = 22 + 65535


def damaged(found: Found) -> Problem | None:
    """Return the problem of a model file in the source that is not whole."""
    if not stat.S_ISREG(found.status.st_mode) or not (fault := damage(found.path)):
        return None
    return problem("damaged", found.path, fault, "the file in the source is not whole: write it again")


def damage(path: str) -> str | None:
    """Return what is wrong with a model file, or `None` when it is whole, unknown, or cannot be read."""
    check = _CHECKS.get(os.path.splitext(path)[1])  # noqa: PTH122  a surrogate-escaped string
    if check is None:
        return None
    with contextlib.suppress(OSError), Path(path).open("rb") as file:
        return check(file, os.fstat(file.fileno()).st_size)
    return None


def _safetensors(file: BinaryIO, size: int) -> str | None:
    """Eight bytes of length, a JSON header, and data up to the highest end of its `data_offsets`."""
    if size < 8:
        return f"{size} bytes are no safetensors file"
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _MAX_HEADER or 8 + length > size:
        return "its header is cut short"
    try:
        header = json.loads(file.read(length))
        ends = [tensor["data_offsets"][1] for key, tensor in header.items() if key != "__metadata__"]
        expected = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return "its header is not one of safetensors"
    return f"it has {size} bytes and should have {expected}: cut short" if size < expected else None


def _zip(file: BinaryIO, size: int) -> str | None:
    """A `.pt` is a zip, whose directory is at the end; older ones are pickles, which tell nothing."""
    if file.read(4) != b"PK\x03\x04":
        return None
    file.seek(max(0, size - _EOCD_REACH))
    return None if _EOCD in file.read(_EOCD_REACH) else "it is a zip without its end: cut short"


def _gguf(file: BinaryIO, size: int) -> str | None:
    try:
        expected = expected_size(file)
    except NotGgufError as error:
        return str(error)
    return f"it has {size} bytes and should have {expected}: cut short" if size < expected else None


_CHECKS = {".safetensors": _safetensors, ".gguf": _gguf, ".pt": _zip, ".pth": _zip, ".ckpt": _zip}
