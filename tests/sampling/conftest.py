"""A box made of files, and waiting for readers without sleeping."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mltop.sampling.reader import Reader
from mltop.sampling.root import Roots


class FakeBox:
    """Roots for /proc and /sys under one directory, and the files that a test writes there."""

    def __init__(self, directory: Path) -> None:
        self.roots = Roots(proc=directory / "proc", sys=directory / "sys")
        self.roots.proc.mkdir()
        self.roots.sys.mkdir()

    def proc(self, path: str, content: str | bytes) -> Path:
        return _write(self.roots.proc / path, content)

    def sys(self, path: str, content: str | bytes) -> Path:
        return _write(self.roots.sys / path, content)

    def process(
        self,
        pid: int,
        name: str | bytes = "python3",
        *,
        state: str = "S",
        ppid: int = 1,
        flags: int = 0,
        ticks: int = 0,
        start: int = 100,
        rss: int = 0,
        command: str | None = None,
    ) -> None:
        comm = name.encode() if isinstance(name, str) else name
        fields = [state, ppid, pid, pid, 0, -1, flags, 0, 0, 0, 0, ticks, 0, 0, 0, 20, 0, 1, 0, start, 1 << 30, rss]
        fields += [0] * 28
        self.proc(f"{pid}/stat", b"%d (%s) %s\n" % (pid, comm, " ".join(map(str, fields)).encode()))
        if command is not None:
            self.proc(f"{pid}/cmdline", command.replace(" ", "\0") + "\0")


def _write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def wait_for(reader: Reader, predicate: Callable[[], bool], seconds: float = 10.0) -> None:
    """Poll the reader as its owner does, until `predicate` holds."""
    deadline = time.monotonic() + seconds
    while True:
        reader.poll(time.monotonic())
        if predicate():
            return
        left = deadline - time.monotonic()
        assert left > 0, "the condition did not come about"
        poller = select.poll()
        for fd in reader.filenos():
            poller.register(fd, select.POLLIN)
        due = reader.due_s(time.monotonic())
        poller.poll(1000 * min(left, 0.05 if due is None else due + 0.001))


@pytest.fixture
def box(tmp_path: Path) -> FakeBox:
    directory = tmp_path / "box"
    directory.mkdir()
    return FakeBox(directory)


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader(patience_s=0.1)
    yield reader
    reader.close()


@pytest.fixture(name="wait_for")
def wait_for_fixture() -> Callable[..., None]:
    return wait_for
