"""The dashboard's recorder: history of earlier runs in, 10 s means out, all file work in a child (M36).

The child is forked before the dashboard has threads, and can be abandoned: a state folder on a dead mount costs the
history, and nothing else.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from pathlib import Path
from typing import NoReturn

import msgspec

from mltop.model.history import SLOT_S, readings, taken_at
from mltop.model.snapshot import Snapshot
from mltop.sampling.recording import Busy, Record, Recording
from mltop.system.descriptor import write_all
from mltop.system.message import framed, unpacked
from mltop.system.process import Child, fork_child, set_name

DIRECTORY = "history"
"""Below the state folder."""
NO_STATE = "no state folder: history is not recorded"
_ROWS = 32
"""Records a message: a part of a pipe's room, and a few milliseconds of a dashboard."""
_READ_BYTES = 1 << 16


class Recorder:
    """The parent's side; nothing here blocks or raises for want of a disk."""

    def __init__(self, state: Path | None) -> None:
        """Fork the child that reads and writes below `state`; must be called while the process has one thread."""
        self.reason: str | None = None
        """Why nothing is recorded; `None` while all is well."""
        self._child: Child | None = None
        self._buffer = bytearray()
        self._unsent = b""
        self._slot = -1
        self._sums: dict[str, list[float]] = {}
        if state is None:
            self.reason = NO_STATE
            return
        directory = state / DIRECTORY
        try:
            self._child = fork_child(lambda source, sink: _serve(directory, source, sink))
        except OSError as error:
            self.reason = f"history is not recorded: {error.strerror}"

    def fileno(self) -> int | None:
        """Readable when there is something to `poll`; `None` when there never will be."""
        return self._child.read_fd if self._child is not None else None

    def poll(self) -> list[Record]:
        """Records of earlier runs that have come in, for `History.load`."""
        if self._child is None:
            return []
        try:
            data = os.read(self._child.read_fd, _READ_BYTES)
        except BlockingIOError:
            return []
        if not data:
            self.reason = self.reason or "history is not recorded: the recorder ended"
            self.close()
            return []
        self._buffer += data
        records: list[Record] = []
        while (message := unpacked(self._buffer)) is not None:
            if isinstance(message, list):
                records.extend((at, values) for at, values in message)
            else:
                self.reason = message or None
        return records

    def record(self, snapshot: Snapshot) -> None:
        """Count a snapshot in; every 10 s the means go to the child."""
        at = taken_at(snapshot)
        if at is None or self._child is None:
            return
        slot = math.floor(at / SLOT_S)
        if slot != self._slot:
            if self._sums:
                self._send(self._slot * SLOT_S, {key: total / count for key, (total, count) in self._sums.items()})
            self._sums = {}
            self._slot = slot
        for key, value in readings(snapshot).items():
            pair = self._sums.setdefault(key, [0.0, 0.0])
            pair[0] += value
            pair[1] += 1

    def close(self) -> None:
        """End the child without waiting for it."""
        if self._child is not None:
            self._child.leave()
            self._child = None

    def _send(self, at: float, values: dict[str, float]) -> None:
        """Hand a record over; while the child is stuck with its disk, records are dropped."""
        assert self._child is not None
        data = self._unsent or _message((at, values))
        try:
            sent = os.write(self._child.write_fd, data)
        except (BlockingIOError, BrokenPipeError):
            return  # stuck, or ended: `poll` reads the end
        self._unsent = data[sent:]


def _serve(directory: Path, source: int, sink: int) -> NoReturn:
    """The child: what was recorded goes up, then what comes down is recorded."""
    set_name("mltop-recorder")
    recording = Recording(directory)
    with contextlib.suppress(BrokenPipeError):
        _send_up(recording, sink)
        _take_down(recording, source, sink)
    os._exit(0)


def _send_up(recording: Recording, sink: int) -> None:
    records = recording.records()
    try:
        while batch := list(itertools.islice(records, _ROWS)):
            _write(sink, batch)
    except BrokenPipeError:
        raise
    except OSError as error:
        _write(sink, f"history cannot be read: {error.strerror}")


def _take_down(recording: Recording, source: int, sink: int) -> None:
    buffer = bytearray()
    told = ""
    while data := os.read(source, _READ_BYTES):
        buffer += data
        while (message := unpacked(buffer)) is not None:
            reason = ""
            try:
                recording.write(message[0], message[1])
            except Busy:
                pass  # another dashboard records the same box
            except OSError as error:
                reason = f"history is not recorded: {error.strerror}"
            if reason != told:
                told = reason
                _write(sink, reason)


def _write(sink: int, content: object) -> None:
    write_all(sink, _message(content))


def _message(content: object) -> bytes:
    return framed(msgspec.msgpack.encode(content))
