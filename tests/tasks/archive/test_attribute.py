"""Extended attributes on their way into an archive and back."""

# ruff: noqa: PTH108, PTH118, PTH208

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mltop.tasks.archive import attribute
from mltop.tasks.archive.record import RestoreReport, State
from mltop.tasks.archive.restore import RestoreJob, restore
from mltop.tasks.archive.target import Target
from mltop.tasks.outcome import Exit

ACCESS = "system.posix_acl_access"
_ALL = 0xFFFFFFFF
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    # owner, user 1000, group, mask, others (acl(5))
    for entry in ((1, 6, _ALL), (2, 4, 1000), (4, 4, _ALL), (0x10, 4, _ALL), (0x20, 4, _ALL))
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def bring_back(target: Path, out: Path) -> Callable[[str], RestoreReport]:
    def run(archive_id: str) -> RestoreReport:
        with Target(str(target)) as folder:
            return restore(folder, RestoreJob(archive_id=archive_id, to=str(out)))

    return run


def give(path: Path, **attributes: bytes) -> None:
    for name, value in attributes.items():
        try:
            os.setxattr(path, name.replace("__", "."), value)
        except OSError as error:
            pytest.skip(f"no extended attributes here: {error}")


def of(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


def test_they_come_back_and_nobody_else_minds(
    backup: Any, bring_back: Callable[[str], RestoreReport], source: Path, out: Path, tmp_path: Path
) -> None:
    odd = source / "llama" / "weights.bin"
    give(odd, user__origin=b"https://example.org/\xff\0\n=", user__empty=b"")
    os.setxattr(odd, "user.a=b%c", b"escaped")
    os.setxattr(source / "llama" / "config.json", ACCESS, ACL)
    give(source / "llama", user__kind=b"model")
    give(source / "sparse", user__holes=b"many")
    os.utime(source / "llama" / "nothing", ns=(0, 0))
    give(source / "llama" / "nothing", user__only=b"record")
    for each in os.listdir(os.fsencode(source)):  # GNU tar has a word for names that are no text
        if b"\xe9" in each:
            os.unlink(os.path.join(os.fsencode(source), each))
    made = backup()
    assert made.state is State.VERIFIED
    report = bring_back(made.id)
    assert (report.exit_code, report.entries) == (Exit.OK, ())
    for name in ("llama/weights.bin", "llama/config.json", "llama", "sparse", "llama/nothing", "latest", "."):
        assert of(out / "models" / name) == of(source / name), name
        assert (out / "models" / name).stat().st_mode == (source / name).stat().st_mode
    plain = tmp_path / "plain"
    plain.mkdir()
    read = f"zstd -dc {made.path} | tar -xp --xattrs --xattrs-include='*' -C {plain}"
    assert subprocess.run(read, shell=True, capture_output=True, check=True).stderr == b""
    assert of(plain / "models" / "llama" / "weights.bin") == of(odd)
    assert of(plain / "models" / "llama") == of(source / "llama")


def test_a_change_of_one_is_a_change(backup: Any, source: Path) -> None:
    give(source / "llama" / "config.json", user__a=b"1")
    assert backup().state is State.VERIFIED
    assert backup().state is State.UNCHANGED
    os.setxattr(source / "llama" / "config.json", "user.a", b"2")
    assert backup().state is State.VERIFIED


def test_capabilities_are_dropped_and_said(
    backup: Any, bring_back: Callable[[str], RestoreReport], source: Path, out: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives capabilities")
    give(source / "llama" / "run.sh", security__capability=struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))
    report = bring_back(backup().id)
    assert [(each.path, each.reason) for each in report.entries] == [
        ("models/llama/run.sh", "its capabilities are dropped")
    ]
    assert of(out / "models" / "llama" / "run.sh") == {}


def test_where_there_can_be_none_it_is_said(
    backup: Any,
    bring_back: Callable[[str], RestoreReport],
    source: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give(source / "llama" / "config.json", user__a=b"1")
    made = backup()

    def setxattr(*_: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", setxattr)
    report = bring_back(made.id)
    assert [(each.path, each.result) for each in report.entries] == [("models/llama/config.json", "restored")]
    assert "user.a could not be given back" in (report.entries[0].reason or "")
    assert (out / "models" / "llama" / "config.json").exists()


def test_what_no_header_holds_is_left_out_and_said(backup: Any, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribute, "_MAX_BYTES", 100)
    give(source / "llama" / "config.json", user__a=b"x" * 200)
    made = backup()
    assert made.state is State.VERIFIED
    assert [each.kind for each in made.notes if each.path.endswith("config.json")] == ["attributes"]
