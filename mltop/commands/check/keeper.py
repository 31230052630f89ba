"""Who reads and writes the stored state: a child that can be abandoned, for its folder may be on a mount that hangs.

It is forked before anything heavy is imported, reads while the box is read, and waits for the disk while the report is
written: it costs a run next to nothing.
"""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Sequence

from mltop.system.kept_file import BusyError, KeptFile
from mltop.system.process import fork_child, name_at, set_name

NAME = "check.json"
MAX_BYTES = 1 << 20
_LENGTH_BYTES = 4
READY, BUSY, REFUSED, BAD = b"rbfx"
"""What a keeper says first: here it is; another run has it; no place to write; what is there cannot be read.

Then come, a line each, which of its folders it took and why it is so, and the content.
"""
WRITTEN, KEPT, FAILED = b"wke"
"""And then: there was room for it; it is on the disk; neither, with the reason (or `BUSY` or `REFUSED` once more)."""
_NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR})
"""A folder that is not for us to write, where others are full or broken."""
_KEEP, _KEEP_ANEW = b"kn"


class Keeper:
    """The run's end of it. Nothing here waits for longer than it is told."""

    def __init__(self, folders: Sequence[str], name: str = NAME, *, is_private: bool = False) -> None:
        """Fork it; it takes the first of the folders that can be written. Raises OSError."""
        files = [KeptFile(folder, name, MAX_BYTES, is_private=is_private) for folder in folders]
        self._child = fork_child(lambda source, sink: _serve(files, source, sink))
        self._buffer = bytearray()

    def hear(self, limit_s: float) -> tuple[int, bytes] | None:
        """What it says next: a kind and the rest; `None` where it says nothing in this time, or is gone."""
        deadline = time.monotonic() + limit_s
        while (message := _taken(self._buffer)) is None:
            ready, _, _ = select.select([self._child.read_fd], [], [], max(0.0, deadline - time.monotonic()))
            if not ready or not (data := os.read(self._child.read_fd, 1 << 18)):
                return None
            self._buffer += data
        return message[0], message[1:]

    def keep(self, data: bytes, limit_s: float, *, anew: bool) -> bool:
        """Have it replace the content; `anew`: what is there is set aside first. False where it takes nothing."""
        deadline = time.monotonic() + limit_s
        view = memoryview(_framed(bytes([_KEEP_ANEW if anew else _KEEP]) + data))
        try:
            while view:
                left = max(0.0, deadline - time.monotonic())
                if not select.select([], [self._child.write_fd], [], left)[1]:
                    return False
                view = view[os.write(self._child.write_fd, view) :]
        except BrokenPipeError:
            return False
        return True

    def close(self) -> None:
        """End it, without waiting for it: one that writes has been waited for, or is stuck."""
        self._child.kill()
        self._child.close()


def _serve(files: Sequence[KeptFile], source: int, sink: int) -> None:
    """The child: say what is there, take what shall be there, say how that went."""
    set_name(name_at(os.fsencode(files[0].folder)))
    file, kind, words, data = _opened(files)
    _say(sink, kind, b"%d\n%s\n" % (files.index(file), words.encode(errors="replace")) + data)
    message = _heard(source)
    if message is None or kind in (BUSY, REFUSED):
        return
    try:
        if message[0] == _KEEP_ANEW:
            file.set_aside()
        file.replace(message[1:], lambda: _say(sink, WRITTEN))
    except BusyError:
        _say(sink, BUSY)
    except OSError as error:
        _say(sink, REFUSED if error.errno in _NOT_OURS else FAILED, (error.strerror or str(error)).encode())
    else:
        _say(sink, KEPT)


def _opened(files: Sequence[KeptFile]) -> tuple[KeptFile, int, str, bytes]:
    """The first file that can be used, else the first, and what is to be said of it."""
    refused: tuple[KeptFile, str] | None = None
    for file in files:
        kind = READY
        try:
            file.open()
        except BusyError:
            kind = BUSY
        except OSError as error:
            refused = refused or (file, error.strerror or str(error))
            continue
        try:
            data = file.read()
            if data == b"":
                raise ValueError("it is empty")
            return file, kind, "", data or b""
        except (OSError, ValueError) as error:
            return file, BUSY if kind == BUSY else BAD, getattr(error, "strerror", None) or str(error), b""
    assert refused is not None
    return refused[0], REFUSED, refused[1], b""


def _say(sink: int, kind: int, rest: bytes = b"") -> None:
    view = memoryview(_framed(bytes([kind]) + rest))
    while view:
        view = view[os.write(sink, view) :]


def _heard(source: int) -> bytes | None:
    """The run's one message; `None` where it ended without."""
    buffer = bytearray()
    while (message := _taken(buffer)) is None:
        data = os.read(source, 1 << 18)
        if not data:
            return None
        buffer += data
    return message


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(_LENGTH_BYTES, "big") + message


def _taken(buffer: bytearray) -> bytes | None:
    """Take the first whole message off a buffer."""
    end = _LENGTH_BYTES + int.from_bytes(buffer[:_LENGTH_BYTES], "big")
    if len(buffer) <= _LENGTH_BYTES or len(buffer) < end:
        return None
    message = bytes(buffer[_LENGTH_BYTES:end])
    del buffer[:end]
    return message
