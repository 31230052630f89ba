"""Bytes in, compressed bytes out, and back. Libraries are imported when they are used.

zstd writes a checksum into its frame (its default is none, and then a flipped bit decompresses without a word). gzip
goes through isal where that is installed, about ten times faster than zlib, and is a plain `.gz` either way.
"""

from __future__ import annotations

import gzip
import importlib
import os
import zlib
from typing import BinaryIO, Protocol, cast

from mltop.tasks.archive.output import Output
from mltop.tasks.outcome import EngineError

BLOCK = 1 << 20
MAX_WINDOW = 128 << 20
"""The most memory that a frame may ask for when it is read: zstd's own limit without `--long=28` and more."""
THREADS_MAX = 4


class Packer(Protocol):
    """Where the tar is written to. `close` ends the compressed stream and leaves the file below open."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Take all of `data`."""
        ...

    def close(self) -> None:
        """End the stream."""
        ...


class Reader(Protocol):
    """Where the tar is read from: at most `size` bytes, none at the end."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""
        ...


def packer(kind: str, level: int, threads: int, sink: Output) -> Packer:
    """Return a compressor that writes to `sink`."""
    if kind == "zstd":
        return _zstd_packer(level, threads or default_threads(), sink)
    if kind == "gzip":
        return _gzip_packer(level, sink)
    return _Plain(sink)


def unpacker(name: str, source: BinaryIO) -> Reader:
    """Return a decompressor for a file called `name`."""
    if name.endswith((".zst", ".zstd")):
        return _zstd_unpacker(source)
    if name.endswith((".gz", ".tgz")):
        return _gzip_unpacker(source)
    return source


def default_threads() -> int:
    """Return how many cores this process may use, at most 4."""
    return max(1, min(THREADS_MAX, len(os.sched_getaffinity(0))))


def libraries(kind: str) -> dict[str, str]:
    """Return name and version of what packs `kind`."""
    wanted = {"zstd": "zstandard", "gzip": "isal"}.get(kind)
    if wanted is None:
        return {}
    try:  # not by the packages' metadata: to load what reads those takes as long as all of this module's users
        return {wanted: str(importlib.import_module(wanted).__version__)}
    except ImportError:
        return {"zlib": "python"}


class _Plain:
    def __init__(self, sink: Output) -> None:
        self._sink = sink

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        return self._sink.write(data)

    def close(self) -> None:
        """Nothing is held back."""


def _zstd_packer(level: int, threads: int, sink: Output) -> Packer:
    try:
        import zstandard
    except ImportError as error:
        raise EngineError("zstandard is not installed", 'pip install zstandard, or set compression = "gzip"') from error
    compressor = zstandard.ZstdCompressor(level=level, threads=threads, write_checksum=True)
    return cast(Packer, compressor.stream_writer(cast(BinaryIO, sink), write_size=BLOCK, closefd=False))


def _zstd_unpacker(source: BinaryIO) -> Reader:
    try:
        import zstandard
    except ImportError as error:
        raise EngineError("zstandard is not installed", "pip install zstandard") from error
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    return cast(Reader, decompressor.stream_reader(source, read_size=BLOCK, read_across_frames=True, closefd=False))


def _gzip_packer(level: int, sink: Output) -> Packer:
    try:
        from isal import igzip_threaded
    except ImportError:
        return cast(
            Packer, gzip.GzipFile(fileobj=cast(BinaryIO, sink), mode="wb", compresslevel=min(9, max(1, level)), mtime=0)
        )
    return cast(Packer, igzip_threaded.open(sink, "wb", compresslevel=min(3, max(0, level)), threads=1))  # type: ignore[no-untyped-call]


def _gzip_unpacker(source: BinaryIO) -> Reader:
    try:
        from isal import igzip
    except ImportError:
        return cast(Reader, gzip.GzipFile(fileobj=source, mode="rb"))
    return cast(Reader, igzip.IGzipFile(fileobj=source, mode="rb"))  # type: ignore[no-untyped-call]


def read_errors() -> tuple[type[Exception], ...]:
    """Return what the decompressors raise for damaged input."""
    errors: list[type[Exception]] = [EOFError, gzip.BadGzipFile, zlib.error]
    try:
        import zstandard

        errors.append(zstandard.ZstdError)
    except ImportError:
        pass
    try:
        from isal import isal_zlib

        errors.append(cast(type[Exception], isal_zlib.error))
    except ImportError:
        pass
    return tuple(errors)
