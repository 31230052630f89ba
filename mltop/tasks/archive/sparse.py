"""Where the data of a sparse member is: the maps that GNU tar writes, its old one and those of PAX (0.0, 0.1, 1.0).

A map is checked before anything is made of it: extents in order, and within the size that the member claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from mltop.tasks.archive import pax, ustar
from mltop.tasks.archive.header import BLOCK, Extent
from mltop.tasks.outcome import CorruptError

Extents = tuple[Extent, ...]
_EXTENTS_MAX = 1 << 20
_FIELD = 12
_PAIR = 2 * _FIELD
_IN_HEADER, _IN_BLOCK = 4, 21
"""Pairs of the old format: in the header, and in each block after it; a byte behind them says whether one follows."""


def from_header(fields: bytes, next_block: Callable[[], bytes]) -> tuple[int, Extents]:
    """Return size and map of the old format (tar.h of GNU tar, `oldgnu_header`); `fields` are `ustar.Header.sparse`."""
    found = list(_pairs(fields, _IN_HEADER))
    size = ustar.number(fields[_IN_HEADER * _PAIR + 1 :][:_FIELD])
    has_more = fields[_IN_HEADER * _PAIR]
    blocks = 0
    while has_more:
        block = next_block()
        blocks += 1
        if len(block) < BLOCK or blocks * _IN_BLOCK > _EXTENTS_MAX:
            raise CorruptError("a sparse map without an end is refused")
        found += _pairs(block, _IN_BLOCK)
        has_more = block[_IN_BLOCK * _PAIR]
    return size, _checked(found, size)


def from_records(records: Mapping[str, bytes]) -> tuple[int, Extents]:
    """Return size and map of the formats 0.0 and 0.1, which keep it in the PAX header."""
    size = pax.number(records.get("GNU.sparse.size"), 0)
    text = records.get(pax.SPARSE_MAP, b"")
    numbers = [_digits(each) for each in text.split(b",")] if text else []
    if len(numbers) % 2:
        raise CorruptError("a sparse map is damaged")
    return size, _checked(list(zip(numbers[::2], numbers[1::2], strict=True)), size)


def from_data(next_block: Callable[[], bytes], size: int) -> Extents:
    """Return the map of the format 1.0, which is at the beginning of the member's data."""
    numbers = _lines(next_block)
    count = next(numbers)
    if count > _EXTENTS_MAX:
        raise CorruptError("a sparse map is damaged")
    return _checked([(next(numbers), next(numbers)) for _ in range(count)], size)


def _pairs(block: bytes, count: int) -> Iterator[Extent]:
    """Yield the pairs of the old format up to the first that is not used."""
    for start in range(0, count * _PAIR, _PAIR):
        offset, length = block[start : start + _FIELD], block[start + _FIELD : start + _PAIR]
        if not length[0]:
            return
        yield ustar.number(offset), ustar.number(length)


def _lines(next_block: Callable[[], bytes]) -> Iterator[int]:
    text = b""
    while True:
        line, mark, rest = text.partition(b"\n")
        if mark:
            text = rest
            yield _digits(line)
        elif len(text) > BLOCK:
            raise CorruptError("a sparse map is damaged")
        else:
            text += next_block()


def _digits(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise CorruptError("a sparse map is damaged")
    return int(text)


def _checked(extents: list[Extent], size: int) -> Extents:
    end = 0
    for offset, length in extents:
        if offset < end or length < 0 or offset + length > size:
            raise CorruptError("a sparse map is damaged")
        end = offset + length
    return tuple(extents)
