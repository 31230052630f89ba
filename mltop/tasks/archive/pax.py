"""The records of a PAX header (POSIX.1-2001 pax), and what their values are."""

from __future__ import annotations

from mltop.tasks.outcome import CorruptError

SPARSE_MAP = "GNU.sparse.map"
_OF_EXTENTS = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
_RESET_BY_NOTHING = (b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime")
"""An empty value of these says that the header's own holds."""
_SECONDS_MAX = 1 << 62


def records(data: bytes) -> dict[str, bytes]:
    """Return the records of a PAX header (`length key=value` and a line end); raises `CorruptError`.

    GNU's first sparse format repeats a key for each extent: those are put together as its second has them.
    """
    found: dict[str, bytes] = {}
    extents: list[bytes] = []
    start = 0
    while start < len(data):
        length, _, _ = data[start : start + 20].partition(b" ")
        if not length.isdigit() or not len(length) + 2 < int(length) <= len(data) - start:
            if data[start:].strip(b"\0"):
                raise CorruptError("a PAX header is damaged")
            break
        end = start + int(length)
        key, mark, value = data[start + len(length) + 1 : end - 1].partition(b"=")
        if not mark or data[end - 1 : end] != b"\n":
            raise CorruptError("a PAX header is damaged")
        if key in _OF_EXTENTS:
            extents.append(value)
        elif value or key not in _RESET_BY_NOTHING:
            found[key.decode("utf-8", "replace")] = value
        start = end
    if extents:
        found[SPARSE_MAP] = b",".join(extents)
    return found


def number(text: bytes | None, otherwise: int) -> int:
    """Return a number, or `otherwise` where there is no record of it; raises `CorruptError`."""
    if text is None:
        return otherwise
    if not text.isdigit() or len(text) > 20:
        raise CorruptError("a number in a PAX header is damaged")
    return int(text)


def nanoseconds(text: bytes | None, seconds: int) -> int:
    """Return a PAX time in nanoseconds, or the header's `seconds`; a float would lose some. Raises `CorruptError`."""
    if text is None:
        if abs(seconds) > _SECONDS_MAX:
            raise CorruptError("a time in a header is damaged")
        return seconds * 1_000_000_000
    sign = -1 if text.startswith(b"-") else 1
    whole, _, fraction = text.lstrip(b"-").partition(b".")
    if not whole.isdigit() or len(whole) > 18 or (fraction and not fraction.isdigit()):
        raise CorruptError("a time in a PAX header is damaged")
    return sign * (int(whole) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0") or 0))
