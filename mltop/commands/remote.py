"""`--host HOST`: another box's snapshots, over ssh. What they mean is judged here, by this box's limits."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import msgspec

from mltop.config.settings import Settings
from mltop.fleet.link import Goal, Link
from mltop.fleet.ssh import RemoteSource
from mltop.model.snapshot import Snapshot
from mltop.system.descriptor import write_all

_NO_CLIENT = "no ssh client here: install openssh-client"
_CLEAR_LINE = "\r\x1b[K"


def source(options: argparse.Namespace, settings: Settings) -> RemoteSource | str:
    """A source of the other box's snapshots, the first of which is there; or why there is none, in a line.

    For the dashboard, before it takes the terminal: until then ssh may ask for a password or about an unknown key.
    """
    interval_s = options.interval or settings.ui.interval
    remote = RemoteSource(options.host, interval_s, ssh_command=settings.remote.ssh_command, may_ask=_can_ask())
    sys.stderr.write(f"connecting to {options.host} …" if _is_utf8() else f"connecting to {options.host} ...")
    sys.stderr.flush()
    try:
        trouble = remote.connect()
    except BaseException:
        remote.close()
        raise
    finally:
        sys.stderr.write(_CLEAR_LINE)
        sys.stderr.flush()
    if trouble is None:
        return remote
    remote.close()
    return trouble


def snapshot(options: argparse.Namespace, settings: Settings) -> Snapshot | str:
    """One snapshot of the other box, or why there is none, in a line."""
    try:
        link = Link(_goal(options, settings), ["--once", "--json"])
    except OSError:
        return _NO_CLIENT
    try:
        while not link.snapshots and not link.is_over():
            link.wait()
        if link.snapshots:
            return msgspec.json.decode(link.snapshots[0], type=Snapshot)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"cannot read the snapshot of {options.host}: {error}"
    finally:
        fault = link.close()
    return fault.text if fault else f"no snapshot from {options.host}"


def stream(options: argparse.Namespace, settings: Settings) -> int:
    """Copy the other box's stream to standard output: 0 at its end or the reader's; 1 where it broke, in a line."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    interval_s = options.interval or settings.ui.interval
    arguments = ["--stream", "-i", f"{interval_s:g}"]
    if options.count is not None:
        arguments += ["--count", str(options.count)]
    try:
        link = Link(_goal(options, settings), arguments)
    except OSError:
        sys.stderr.write(f"mltop: {_NO_CLIENT}\n")
        return 1
    written = 0
    try:
        while not link.is_over():
            link.wait(reader=1)
            if link.snapshots:
                written += _copy(link)
                link.expect_more(interval_s)
    except BrokenPipeError:
        return 0  # the reader has what it wanted
    except OSError as error:
        sys.stderr.write(f"mltop: standard output: {error.strerror}\n")
        return 1
    finally:
        fault = link.close()
    if fault is None or written == options.count:
        return 0
    sys.stderr.write(f"mltop: {fault.text}\n")
    return 1


def _copy(link: Link) -> int:
    lines = len(link.snapshots)
    data = b"".join(line + b"\n" for line in link.snapshots)
    link.snapshots.clear()
    write_all(1, data)
    return lines


def _goal(options: argparse.Namespace, settings: Settings) -> Goal:
    return Goal(options.host, settings.remote.ssh_command, may_ask=_can_ask())


def _can_ask() -> bool:
    """Whether there is a terminal for ssh to ask on, and it is ours (not that of a job in the background)."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _is_utf8() -> bool:
    return (sys.stderr.encoding or "").lower().replace("-", "") == "utf8"


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
