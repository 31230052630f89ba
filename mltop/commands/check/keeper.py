"""Who reads and writes the stored state: this process, or a child where the folder is on a mount that may hang.

A child can be abandoned, but it costs a run a tenth. Either way the wait for the disk is beside the writing of the
report: a thread has it, or the child.
"""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Sequence

from mltop.system.descriptor import write_all
from mltop.system.kept_file import BusyError, KeptFile
from mltop.system.message import framed, taken
from mltop.system.process import Child, fork_child, name_at, set_name

NAME = "check.json"
MAX_BYTES = 1 << 20
READY, BUSY, REFUSED, BAD = b"rbfx"
"""What a keeper says first: here it is; another run has it; no place to write (or `FAILED`); it cannot be read.

Then come, a line each, which of its folders it took and why it is so, and the content.
"""
WRITTEN, KEPT, FAILED = b"wke"
"""And then: there was room for it; it is on the disk; neither, with the reason (or `BUSY` or `REFUSED` once more)."""
_NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR})
"""A folder that is not for us to write, where others are full or broken."""
_KEEP, _KEEP_ANEW = b"kn"


class Keeper:
    """The run's end of it. Nothing here waits for longer than it is told."""

    def __init__(
        self, folders: Sequence[str], name: str = NAME, *, is_private: bool = False, may_hang: bool = True
    ) -> None:
        """Take the first of the folders that can be written; where they `may_hang`, by a child. Raises OSError."""
        files = [KeptFile(folder, name, MAX_BYTES, is_private=is_private) for folder in folders]
        self._buffer = bytearray()
        self._child: Child | None = None
        self._file: KeptFile | None = None
        if may_hang:
            self._child = fork_child(lambda source, sink: _serve(files, source, sink))
            self._fd = self._child.read_fd
        else:
            self._file, message = _opened(files)
            self._buffer += framed(message)
            self._fd, self._sink = os.pipe()

    def hear(self, limit_s: float) -> tuple[int, bytes] | None:
        """What it says next: a kind and the rest; `None` where it says nothing in this time, or is gone."""
        deadline = time.monotonic() + limit_s
        while (message := taken(self._buffer)) is None:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
            if not ready or not (data := os.read(self._fd, 1 << 18)):
                return None
            self._buffer += data
        return message[0], message[1:]

    def keep(self, data: bytes, limit_s: float, *, anew: bool) -> bool:
        """Have it replace the content; `anew`: what is there is set aside first. False where it takes nothing."""
        message = bytes([_KEEP_ANEW if anew else _KEEP]) + data
        if self._file is not None:
            import _thread  # that of the interpreter itself: its end waits for none of these

            _thread.start_new_thread(_store, (self._file, message, self._sink))
            self._file = None
            return True
        return self._child is not None and _given(self._child.write_fd, framed(message), limit_s)

    def close(self) -> None:
        """End it, without waiting for it: one that writes has been waited for, or is stuck."""
        if self._child is not None:
            self._child.leave()
        elif self._file is not None:
            self._file.close()


def _given(sink: int, data: bytes, limit_s: float) -> bool:
    """Write to a child as fast as it reads; false where it does not in this time."""
    deadline, view = time.monotonic() + limit_s, memoryview(data)
    try:
        while view:
            if not select.select([], [sink], [], max(0.0, deadline - time.monotonic()))[1]:
                return False
            view = view[os.write(sink, view) :]
    except BrokenPipeError:
        return False
    return True


def _serve(files: Sequence[KeptFile], source: int, sink: int) -> None:
    """The child: say what is there, take what shall be there, say how that went."""
    set_name(name_at(os.fsencode(files[0].folder)))
    file, first = _opened(files)
    _say(sink, first)
    message = _heard(source)
    if message is not None and first[0] in (READY, BAD):
        _store(file, message, sink)


def _store(file: KeptFile, message: bytes, sink: int) -> None:
    """Replace the content by that of a message, and say how that goes."""
    try:
        if message[0] == _KEEP_ANEW:
            file.set_aside()
        file.replace(message[1:], lambda: _say(sink, bytes([WRITTEN])))
    except BusyError:
        said = bytes([BUSY])
    except OSError as error:
        said = bytes([_kind(error)]) + (error.strerror or str(error)).encode()
    else:
        said = bytes([KEPT])
    file.close()
    _say(sink, said)


def _opened(files: Sequence[KeptFile]) -> tuple[KeptFile, bytes]:
    """The first file that can be used, else the first, and what is to be said of it."""
    refused: tuple[KeptFile, bytes] | None = None
    for number, file in enumerate(files):
        kind, words, data = READY, "", b""
        try:
            file.open()
        except BusyError:
            kind = BUSY
        except OSError as error:
            refused = refused or (file, _first(_kind(error), number, error.strerror or str(error)))
            continue
        try:
            data = file.read() or b""
        except (OSError, ValueError) as error:
            kind, words = BAD if kind == READY else kind, getattr(error, "strerror", None) or str(error)
        return file, _first(kind, number, words, data)
    assert refused is not None
    return refused


def _kind(error: OSError) -> int:
    return REFUSED if error.errno in _NOT_OURS else FAILED


def _first(kind: int, number: int, words: str, data: bytes = b"") -> bytes:
    return bytes([kind]) + b"%d\n%s\n" % (number, words.encode(errors="replace")) + data


def _say(sink: int, message: bytes) -> None:
    write_all(sink, framed(message))


def _heard(source: int) -> bytes | None:
    """The run's one message; `None` where it ended without."""
    buffer = bytearray()
    while (message := taken(buffer)) is None:
        data = os.read(source, 1 << 18)
        if not data:
            return None
        buffer += data
    return message
