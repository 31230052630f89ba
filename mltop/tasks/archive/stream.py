"""An archive being read: hashed in one thread, decompressed in another, and handed on in blocks."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, cast

from mltop.tasks.archive.compression import BLOCK, read_errors, unpacker
from mltop.tasks.outcome import Control, CorruptError, TaskError

_AHEAD = 4
_SALVAGED = 4096
"""Of a block that cannot be read to its end: at most this much of what is good in it is lost."""


class _Hashed(io.RawIOBase):
    """A file that hashes what is read from it; `end` after the last read, then `sha256` is known."""

    def __init__(self, fd: int, hashed: bool) -> None:
        super().__init__()
        self._fd = fd
        self._digest = hashlib.sha256()
        self._queue: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._thread = threading.Thread(target=self._hash, name="hash", daemon=True) if hashed else None
        self.size = 0

    def start(self) -> None:
        """Start hashing."""
        if self._thread is not None:
            self._thread.start()

    def end(self) -> None:
        """There is nothing more to hash."""
        if self._thread is not None:
            self._queue.put(None)

    def sha256(self) -> str:
        """Return the hash of all that was read, once `end` was called."""
        if self._thread is not None:
            self._thread.join()
        return self._digest.hexdigest()

    def _hash(self) -> None:
        while (data := self._queue.get()) is not None:
            self._digest.update(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        count = os.readv(self._fd, [buffer])
        self._seen(bytes(buffer[:count]))
        return count

    def read(self, size: int = -1, /) -> bytes:
        data = os.read(self._fd, BLOCK if size < 0 else size)
        self._seen(data)
        return data

    def _seen(self, data: bytes) -> None:
        if self._thread is not None and data:
            self._queue.put(data)
        self.size += len(data)


class Blocks:
    """The decompressed bytes of an archive. Use it in `with`; leaving it early ends its thread.

    `sha256` (when `hashed`) and `size` are of the file itself and are known once `drain` has returned.
    """

    def __init__(self, fd: int, file_name: str, hashed: bool = True) -> None:
        self._source = _Hashed(fd, hashed)
        self._fd = fd
        self._name = file_name
        self._queue: queue.Queue[bytes | Exception | None] = queue.Queue(_AHEAD)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._pump, name="unpack", daemon=True)
        self._block = memoryview(b"")
        self._has_ended = False

    def __enter__(self) -> Blocks:
        """Start reading ahead."""
        self._source.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the thread; the caller closes the file."""
        self._is_over.set()
        while self._thread.is_alive():
            with contextlib.suppress(queue.Empty):
                self._queue.get_nowait()  # it may wait for room
            self._thread.join(0.002)

    @property
    def sha256(self) -> str:
        """Of the whole file, after `drain`."""
        return self._source.sha256()

    @property
    def size(self) -> int:
        """Bytes read of the file."""
        return self._source.size

    def take(self, count: int) -> bytes:
        """Return exactly `count` bytes, or fewer at the very end."""
        if len(self._block) >= count:  # the common case: a header within the block
            piece, self._block = self._block[:count], self._block[count:]
            return bytes(piece)
        return b"".join(bytes(piece) for piece in self.pieces(count))

    def pieces(self, count: int) -> Iterator[memoryview]:
        """Yield `count` bytes in views, fewer only at the very end."""
        while count and self._fill():
            piece = self._block[:count]
            self._block = self._block[len(piece) :]
            count -= len(piece)
            yield piece

    def drain(self, control: Control) -> int:
        """Read to the end, so that all checksums are checked; return how many bytes were left."""
        left = 0
        while self._fill():
            control.check()
            left += len(self._block)
            self._block = memoryview(b"")
        return left

    def _fill(self) -> bool:
        if len(self._block):
            return True
        if self._has_ended:
            return False
        item = self._queue.get()
        if isinstance(item, bytes):
            self._block = memoryview(item)
            return True
        self._has_ended = True
        if item is None:
            return False
        if isinstance(item, TaskError):
            raise item
        raise CorruptError(f"the archive cannot be read: {item}") from item

    def _pump(self) -> None:
        outcome: Exception | None = None
        damage: tuple[type[Exception], ...] = (OSError, *read_errors())
        done = 0
        try:
            reader = unpacker(self._name, cast(BinaryIO, self._source))
            while not self._is_over.is_set() and (block := reader.read(BLOCK)):
                self._put(block)
                done += len(block)
            while not self._is_over.is_set() and self._source.read(BLOCK):
                pass  # what lies behind the last frame is part of the file's hash
        except TaskError as error:
            outcome = error
        except damage as error:
            outcome = error
            if before := self._before(damage, done):
                self._put(before)
        finally:
            self._source.end()
        self._put(outcome)

    def _before(self, damage: tuple[type[Exception], ...], done: int) -> bytes:
        """Return what comes after the first `done` bytes and before the damage: small steps lose little of it.

        All of a small archive may be in the block that could not be read to its end.
        """
        found = bytearray()
        with contextlib.suppress(*damage):
            os.lseek(self._fd, 0, os.SEEK_SET)
            reader = unpacker(self._name, cast(BinaryIO, io.FileIO(self._fd, closefd=False)))
            while not self._is_over.is_set() and len(found) < BLOCK:
                block = reader.read(min(BLOCK, done) or _SALVAGED)
                if not block:
                    break
                found += block[done:]
                done = max(0, done - len(block))
        return bytes(found)

    def _put(self, item: bytes | Exception | None) -> None:
        while not self._is_over.is_set():
            try:
                self._queue.put(item, timeout=0.05)
            except queue.Full:
                continue
            return
