from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mltop.model.snapshot import Disk, Status
from mltop.sampling.host.disk import DiskReading, Space, measured, parse_diskstats, rates_between
from mltop.sampling.reader import Reader

if TYPE_CHECKING:
    from conftest import FakeBox

WaitFor = Callable[..., None]
SPACE: Space = (4096, 1000, 400, 300, 100, 50, False)
DISKSTATS = b"""   8       0 sda 10 0 1000 4 20 0 2000 1 0 3 7
 259       2 nvme0n1p2 10 0 %d 4 20 0 %d 1 0 3 7 3 4 5
 253       0 dm-0 1 0 8 0 0 0 0 0 0 0 0
garbage
"""
MOUNTS = (
    "27 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n"
    "30 27 253:0 / /data ro - xfs /dev/mapper/vg ro\n"
    "31 27 0:50 / /nfs rw - nfs4 nas:/x rw\n"
)


class FakeMounts:
    """Stands for statvfs: answers, fails or hangs by path, as the files in a directory say."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()

    def _file(self, path: bytes) -> Path:
        return self.directory / path.decode().replace("/", "_")

    def block(self, path: str) -> None:
        os.mkfifo(self._file(path.encode()))

    def unblock(self, path: str) -> None:
        fifo = self._file(path.encode())
        fifo.write_text("go")
        fifo.unlink()

    def fail(self, path: str, number: int) -> None:
        self._file(path.encode()).write_text(str(number))

    def __call__(self, path: bytes) -> Space:
        if self._file(path).exists():
            said = self._file(path).read_text()
            if said != "go":
                raise OSError(int(said), os.strerror(int(said)))
        return SPACE


@pytest.fixture
def mounts(tmp_path: Path) -> FakeMounts:
    return FakeMounts(tmp_path / "mounts")


@pytest.fixture
def disks(box: FakeBox, reader: Reader, mounts: FakeMounts) -> DiskReading:
    box.proc("self/mountinfo", MOUNTS)
    box.proc("diskstats", DISKSTATS % (100, 200))
    return DiskReading(box.roots, reader, mounts)


def settled(disks: DiskReading, reader: Reader, wait_for: WaitFor, now: float) -> dict[str, Disk]:
    """Ask at `now`, wait for what can be answered, and read again."""
    disks.read(now)
    wait_for(reader, reader.is_idle)
    return {disk.mount: disk for disk in disks.read(now)}


def waited(disk: Disk) -> int:
    """The seconds that it says it has not answered for."""
    match = re.fullmatch(r"no answer for (\d+) s", disk.reason or "")
    assert match is not None, disk.reason
    return int(match[1])


def test_space_is_that_of_df() -> None:
    disk = measured(SPACE)
    assert (disk.total_bytes, disk.used_bytes, disk.available_bytes) == (4096000, 600 * 4096, 300 * 4096)
    assert disk.used_percent == pytest.approx(100 * 600 / 900)
    assert disk.inodes_used_percent == 50.0


def test_what_statvfs_does_not_know_is_not_zero() -> None:
    disk = measured((4096, 0, 0, 0, 0, 0, False))
    assert (disk.total_bytes, disk.used_percent, disk.inodes_used_percent) == (None, None, None)
    assert measured((4096, 10, 12, 20, 5, 9, False)).used_bytes == 0


def test_numbers_state_and_rates(box: FakeBox, disks: DiskReading, reader: Reader, wait_for: WaitFor) -> None:
    now = time.monotonic()
    first = disks.read(now)
    assert [(disk.mount, disk.status, disk.used_bytes, disk.age_s) for disk in first] == [
        ("/", Status.STALE, None, None),
        ("/data", Status.STALE, None, None),
        ("/nfs", Status.STALE, None, None),
    ]
    assert first[0].read_bytes_per_s is None
    found = settled(disks, reader, wait_for, time.monotonic())
    assert found["/"].status is Status.OK
    assert found["/"].age_s is not None
    assert found["/"].device == "/dev/nvme0n1p2"
    assert (found["/data"].is_readonly, found["/data"].is_network) == (True, False)
    assert (found["/nfs"].is_readonly, found["/nfs"].is_network) == (False, True)

    box.proc("diskstats", DISKSTATS % (100 + 20, 200 + 40))
    rates = {disk.mount: disk for disk in disks.read(now + 100)}
    assert rates["/"].read_bytes_per_s is not None
    assert rates["/"].write_bytes_per_s == pytest.approx(2 * rates["/"].read_bytes_per_s)
    assert rates["/nfs"].read_bytes_per_s is None


def test_a_stuck_mount_keeps_its_numbers_and_says_so(
    disks: DiskReading, reader: Reader, wait_for: WaitFor, mounts: FakeMounts
) -> None:
    now = time.monotonic()
    settled(disks, reader, wait_for, now)
    mounts.block("/nfs")
    found = settled(disks, reader, wait_for, now + 11)
    assert found["/"].status is Status.OK
    later = time.monotonic() + 35
    found = {disk.mount: disk for disk in disks.read(later)}
    stuck = found["/nfs"]
    assert stuck.status is Status.TIMEOUT
    assert 35 <= waited(stuck) < 50
    assert stuck.used_bytes == 600 * 4096
    assert stuck.age_s is not None
    assert waited(stuck) <= stuck.age_s + 1 < 60

    wait_for(reader, reader.is_idle)
    found = {disk.mount: disk for disk in disks.read(time.monotonic())}
    assert found["/data"].status is Status.OK
    mounts.unblock("/nfs")
    wait_for(reader, lambda: len(reader.pids()) == 1)
    back = {disk.mount: disk for disk in disks.read(time.monotonic() + 5)}["/nfs"]
    assert (back.status, back.age_s) == (Status.OK, pytest.approx(5, abs=3))


def test_a_mount_that_never_answered_says_so_at_once(
    disks: DiskReading, reader: Reader, wait_for: WaitFor, mounts: FakeMounts
) -> None:
    mounts.block("/data")
    disks.read(time.monotonic())
    wait_for(reader, reader.is_idle)
    found = {disk.mount: disk for disk in disks.read(time.monotonic() + 0.9)}
    assert found["/data"].status is Status.TIMEOUT
    assert 1 <= waited(found["/data"]) < 15
    assert (found["/data"].used_bytes, found["/data"].age_s) == (None, None)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (errno.EACCES, Status.NO_PERMISSION),
        (errno.ENOTCONN, Status.LOST),
        (errno.ESTALE, Status.LOST),
        (errno.EIO, Status.LOST),
        (errno.ENOENT, Status.ERROR),
    ],
)
def test_a_refusal_is_shown_in_words(
    disks: DiskReading, reader: Reader, wait_for: WaitFor, mounts: FakeMounts, number: int, status: Status
) -> None:
    mounts.fail("/nfs", number)
    found = settled(disks, reader, wait_for, time.monotonic())
    assert found["/nfs"].status is status
    assert (found["/nfs"].reason or "").startswith(os.strerror(number))


@pytest.mark.parametrize(("uid", "has_remedy"), [(0, False), (1000, True)])
def test_who_is_refused_is_told_what_would_help(
    disks: DiskReading,
    reader: Reader,
    wait_for: WaitFor,
    mounts: FakeMounts,
    monkeypatch: pytest.MonkeyPatch,
    uid: int,
    has_remedy: bool,
) -> None:
    mounts.fail("/data", errno.EACCES)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    found = settled(disks, reader, wait_for, time.monotonic())
    assert ("run as root" in (found["/data"].reason or "")) is has_remedy


def test_who_looks_once_is_told_when_all_is_there(
    disks: DiskReading, reader: Reader, wait_for: WaitFor, mounts: FakeMounts
) -> None:
    mounts.block("/nfs")
    mounts.fail("/data", errno.EIO)
    disks.read(time.monotonic())
    assert disks.is_waiting(time.monotonic())
    wait_for(reader, reader.is_idle)
    assert disks.is_waiting(time.monotonic())  # for the one that hangs
    mounts.unblock("/nfs")
    wait_for(reader, lambda: not disks.is_waiting(time.monotonic()))
    found = {disk.mount: disk.status for disk in disks.read(time.monotonic())}
    assert found == {"/": Status.OK, "/data": Status.LOST, "/nfs": Status.OK}


def test_a_bind_mounted_file_makes_room_for_the_directory(box: FakeBox, reader: Reader, wait_for: WaitFor) -> None:
    directory = box.roots.proc.parent / "somewhere" / "deep"
    directory.mkdir(parents=True)
    file = box.proc("f", "x")
    box.proc(
        "self/mountinfo",
        f"1 0 8:1 /a {file} rw - ext4 /dev/sda1 rw\n2 0 8:1 /b {directory} rw - ext4 /dev/sda1 rw\n",
    )
    disks = DiskReading(box.roots, reader)
    settled(disks, reader, wait_for, time.monotonic())
    assert list(settled(disks, reader, wait_for, time.monotonic())) == [str(directory)]


def test_a_mount_that_went_after_the_table_was_read_is_no_fault(
    box: FakeBox, disks: DiskReading, reader: Reader, mounts: FakeMounts, wait_for: WaitFor
) -> None:
    """A job's scratch folder that is unmounted and removed while it is asked for; one that is still listed is told."""
    now = time.monotonic()
    mounts.fail("/data", errno.ENOENT)
    mounts.fail("/nfs", errno.ENOENT)
    disks.read(now)
    box.proc("self/mountinfo", "".join(line for line in MOUNTS.splitlines(keepends=True) if " /data " not in line))
    wait_for(reader, lambda: not disks.is_waiting(now))
    found = {disk.mount: disk.status for disk in disks.read(now)}
    assert found == {"/": Status.OK, "/nfs": Status.ERROR}


def test_the_mount_table_may_be_missing(box: FakeBox, reader: Reader) -> None:
    [disk] = DiskReading(box.roots, reader).read(0.0)
    assert (disk.mount, disk.status, disk.reason) == ("/", Status.UNSUPPORTED, "/proc/self/mountinfo is not there")


def test_a_mount_table_that_makes_no_sense_is_an_error(box: FakeBox, reader: Reader) -> None:
    box.proc("self/mountinfo", "garbage\n")
    [disk] = DiskReading(box.roots, reader).read(0.0)
    assert (disk.mount, disk.status) == ("/", Status.ERROR)


def test_counters_that_were_reset_give_no_rate() -> None:
    before = parse_diskstats(DISKSTATS % (100, 200))
    assert before["259:2"] == (51200, 102400)
    assert set(before) == {"8:0", "259:2", "253:0"}
    after = parse_diskstats(DISKSTATS % (90, 300))
    assert "259:2" not in rates_between(before, after, 2.0)
    assert rates_between(before, after, 2.0)["8:0"].read_bytes_per_s == 0.0
    assert rates_between({}, after, 2.0) == {}
