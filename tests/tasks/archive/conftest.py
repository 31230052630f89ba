"""A source tree with everything that a backup meets, and short ways to back it up and to compare."""

# ruff: noqa: PTH115, PTH118

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mltop.tasks.archive.backup import create
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.record import BackupReport
from mltop.tasks.outcome import Control

Backup = Callable[..., BackupReport]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "models"
    (root / "llama" / "empty").mkdir(parents=True)
    (root / "llama" / "weights.bin").write_bytes(os.urandom(3 << 20))
    (root / "llama" / "config.json").write_text('{"a": 1}')
    (root / "llama" / "nothing").touch()
    os.link(root / "llama" / "config.json", root / "second name.json")
    (root / "latest").symlink_to("llama")
    (root / "dangling").symlink_to("gone")
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9\n\\")).write_bytes(b"not UTF-8")
    (root / ("long" * 40)).mkdir()
    (root / ("long" * 40) / "größe").write_bytes(b"x" * 70_000)
    with (root / "sparse").open("wb") as file:
        file.truncate(8 << 20)
        file.seek(5 << 20)
        file.write(b"data")
    (root / "hole").touch()
    os.truncate(root / "hole", 1 << 20)
    (root / "llama" / "run.sh").write_text("#!/bin/sh\n")
    (root / "llama" / "run.sh").chmod(0o755)
    (root / "llama" / "empty").chmod(0o750)
    os.utime(root / "llama" / "weights.bin", ns=(1, 1_600_000_000_123_456_789))
    os.utime(root / "llama" / "nothing", ns=(1, -1_500_000_000))
    os.utime(root / "llama", ns=(1, 1_500_000_000_000_000_001))
    return root


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def job(source: Path, target: Path) -> BackupJob:
    return BackupJob(job="nightly", sources=(str(source),), target=str(target), settle_s=0, reserve_bytes=0)


@pytest.fixture
def backup(job: BackupJob) -> Backup:
    def run(control: Control | None = None, **changes: Any) -> BackupReport:
        return create(msgspec.structs.replace(job, **changes), control)

    return run


def _facts(path: str) -> tuple[Any, ...]:
    status = os.lstat(path)
    kind = stat.S_IFMT(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return kind, os.readlink(path)
    content = Path(path).read_bytes() if stat.S_ISREG(status.st_mode) else None
    blocks = min(status.st_blocks, 4096) if stat.S_ISREG(status.st_mode) else None
    return stat.S_IMODE(status.st_mode), kind, status.st_mtime_ns, content, blocks is not None and blocks < 2048


@pytest.fixture
def facts() -> Callable[[Path], dict[str, tuple[Any, ...]]]:
    """All of a tree that a restore must bring back: names, kinds, modes, times, contents, and whether it is sparse."""

    def collect(root: Path) -> dict[str, tuple[Any, ...]]:
        found = {".": _facts(str(root))}
        for folder, folders, files in os.walk(root):
            for name in folders + files:
                path = os.path.join(folder, name)
                found[os.path.relpath(path, root)] = _facts(path)
        return found

    return collect
