"""What the kernel's messages mean, in the forms of its drivers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from needed import by_modes

from mltop.model.host_facts import KernelEvents
from mltop.model.snapshot import Status
from mltop.sampling.host.journal import parse
from mltop.sampling.host.kernel_log import read_kernel_log
from mltop.sampling.host.kernel_record import Record, events
from mltop.sampling.root import Roots


@pytest.mark.parametrize(
    ("message", "kind", "subject"),
    [
        ("NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.", "xid", "0000:3b:00.0"),
        ("NVRM: Xid (0000:3B:00): 31, Ch 00000008", "xid", "0000:3b:00.0"),
        ("Out of memory: Killed process 812 (python3) total-vm:1kB, anon-rss:1kB", "oom", "python3 (812)"),
        ("Memory cgroup out of memory: Killed process 7 (a b) (c) total-vm:9kB", "oom", "a b) (c (7)"),
        ("Killed process 12 (java) total-vm:12kB, anon-rss:9kB", "oom", "java (12)"),
        ("EXT4-fs (sda1): Remounting filesystem read-only", "readonly", "sda1"),
        ("EXT3-fs (dm-3): error: remounting filesystem read-only", "readonly", "dm-3"),
        ("BTRFS info (device nvme0n1p2 state E): forced readonly", "readonly", "nvme0n1p2"),
        ("XFS (dm-0): Filesystem has been shut down due to log error (0x2).", "shut-down", "dm-0"),
        ("XFS (sdb1): I/O Error Detected. Shutting down filesystem", "shut-down", "sdb1"),
        ("Buffer I/O error on dev sdb1, logical block 0, async page read", "io-error", "sdb1"),
        ("I/O error, dev nvme1n1, sector 2048 op 0x0:(READ) flags 0x0", "io-error", "nvme1n1"),
        ("blk_update_request: critical medium error, dev sda, sector 5", "io-error", "sda"),
        ("EXT4-fs error (device sda1): ext4_lookup:1: inode #2", "io-error", "sda1"),
        ("ata3.00: exception Emask 0x0 SAct 0x1 SErr 0x0 action 0x6 frozen", "io-error", "ata3.00"),
        ("ata3.00: failed command: READ FPDMA QUEUED", "io-error", "ata3.00"),
        ("ata3.00: disable device", "lost", "ata3.00"),
        ("sd 0:0:1:0: Device offlined - not ready after error recovery", "lost", "0:0:1:0"),
        ("sd 0:0:1:0: [sdb] rejecting I/O to offline device", "lost", "0:0:1:0"),
        ("nvme nvme0: controller is down; will reset: CSTS=0xffffffff", "reset", "nvme0"),
        ("nvme nvme0: I/O 23 (I/O Cmd) QID 5 timeout, aborting", "reset", "nvme0"),
        ("nvme nvme0: I/O tag 9 (1009) opcode 0x2 (I/O Cmd) QID 5 timeout, reset controller", "reset", "nvme0"),
        ("nvme nvme0: Disabling device after reset failure: -19", "lost", "nvme0"),
        ("nvme nvme0: Removing after probe failure status: -19", "lost", "nvme0"),
        ("md/raid1:md0: Disk failure on sdb1, disabling device.", "lost", "md0"),
        ("md/raid:md127: Cannot continue operation (2/3 failed).", "array-failed", "md127"),
        ("md/raid10:md0: not enough operational mirrors.", "array-failed", "md0"),
        ("FAT-fs (sdb1): Filesystem has been set read-only", "readonly", "sdb1"),
        ("F2FS-fs (dm-2): Remounting filesystem read-only", "readonly", "dm-2"),
        ("EXT4-fs (sda1): I/O error while writing superblock", "io-error", "sda1"),
        ("BTRFS warning (device sdc1): csum failed root 5 ino 257 off 0 csum 0x1", "io-error", "sdc1"),
        ("dd: attempt to access beyond end of device\\x0asda1: rw=0, sector=9, nr_sectors = 8", "io-error", "sda1"),
        ("attempt to access beyond end of device\nnvme0n1: rw=0, want=12, limit=8", "io-error", "nvme0n1"),
        ("critical target error, dev sda, sector 5 op 0x1:(WRITE) flags 0x0", "io-error", "sda"),
        ("nvme nvme0: frozen state error detected, reset controller", "reset", "nvme0"),
        ("block nvme1n1: no usable path - requeuing I/O", "reset", "nvme1n1"),
        ("WARNING: Pool 'tank' has encountered an uncorrectable I/O failure and has been suspended.",
         "array-failed", "tank"),
        ("EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0", "memory-corrected", "MC0"),
        ("EDAC MC1: 1 UE memory scrubbing error on CPU_SrcID#1", "memory-uncorrected", "MC1"),
        ("Memory failure: 0x1234: recovery action for dirty page: Failed", "memory-uncorrected", "Memory failure"),
        ("mce: [Hardware Error]: Machine check events logged", "memory-corrected", "mce"),
    ],
)  # fmt: skip
def test_messages(message: str, kind: str, subject: str) -> None:
    (found,) = events([Record(3 if kind != "xid" else 6, 40.0, message.encode())], now=100.0)
    assert (found.kind, found.subject, found.age_s) == (kind, subject, 60.0)


@pytest.mark.parametrize(
    "message",
    [
        "EXT4-fs (sda1): mounted filesystem with ordered data mode",
        "EXT4-fs (sda1): re-mounted. Opts: ro",
        "XFS (sda1): Ending clean mount",
        "Buffer I/O error on dev fd0, logical block 0",
        "I/O error, dev sr0, sector 0",
        "nvme nvme0: 8/0/0 default/read/poll queues",
        "md/raid1:md0: active with 2 out of 2 mirrors",
        "ata1: SATA link up 6.0 Gbps",
        "systemd[1]: disabled",
        "NVRM: Xid (nonsense): 79",
        "attempt to access beyond end of device\\x0aloop3: rw=0, want=12, limit=8",
        "critical target error, dev sda, sector 5 op 0x3:(DISCARD) flags 0x800",
        "BTRFS warning (device sdc1): the 'usebackuproot' mount option is deprecated",
        "mce: CPU supports 32 MCE banks",
    ],
)
def test_messages_that_tell_of_no_trouble(message: str) -> None:
    assert list(events([Record(3, 1.0, message.encode())], now=2.0)) == []


def test_the_unit_of_a_killed_process_is_in_another_record() -> None:
    account = (
        b"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg=/system.slice,"
        b"task_memcg=/system.slice/redis.service,task=redis-server,pid=812,uid=110"
    )
    killed = b"Memory cgroup out of memory: Killed process 812 (redis-server) total-vm:1kB"
    (found,) = events([Record(6, 1.0, account), Record(3, 1.0, killed)], now=2.0)
    assert found.unit == "redis.service"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (b"BTRFS info (device sda1): forced readonly", "readonly"),
        (b"NVRM: Xid (PCI:0000:3b:00): 79, pid=1", "xid"),
        (b"mount: attempt to access beyond end of device\\x0asdb1: rw=0, want=9, limit=8", "io-error"),
    ],
)
def test_trouble_that_its_driver_calls_information(message: bytes, kind: str) -> None:
    (found,) = events([Record(6, 1.0, message)], now=2.0)
    assert found.kind == kind


def test_what_an_application_prints_at_a_low_urgency_is_not_looked_at() -> None:
    assert list(events([Record(6, 1.0, b"Buffer I/O error on dev sda, logical block 0")], now=2.0)) == []


@given(st.lists(st.tuples(st.integers(0, 7), st.binary(max_size=200))))
def test_any_bytes(messages: list[tuple[int, bytes]]) -> None:
    records = [Record(level, 1.0, message) for level, message in messages]
    assert all(found.age_s == 1.0 for found in events(records, now=2.0))


# --- where they are read


def test_the_log_of_the_last_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    old, new = int((now - 90_000) * 1e6), int((now - 60) * 1e6)
    lines = [f"3,1,{new},-;EXT4-fs error (device sdb1): x", " SUBSYSTEM=block", f"6,2,{new + 5},-;usb 1-1: new"]
    if old > 0:
        lines.insert(0, f"3,0,{old},-;EXT4-fs error (device sda1): x")
    path = tmp_path / "kmsg"
    path.write_text("\n".join([*lines, "garbage", ""]))
    monkeypatch.setenv("MLTOP_KMSG", str(path))
    found = read_kernel_log(Roots())
    assert [one.subject for one in found.events] == ["sdb1"]
    assert found.events[0].age_s == pytest.approx(60, abs=5)
    assert found.last_s == pytest.approx((new + 5) / 1e6)
    assert found.status is Status.OK


def test_trouble_at_any_level_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kmsg"
    at = int(time.monotonic() * 1e6)
    path.write_text(f"6,1,{at},-;BTRFS info (device sda1): forced readonly\n6,2,{at},-;usb 1-1: new\n")
    monkeypatch.setenv("MLTOP_KMSG", str(path))
    assert [one.kind for one in read_kernel_log(Roots()).events] == ["readonly"]


@pytest.mark.parametrize(
    ("content", "is_given", "status"),
    [
        (b"\xff\xfe;-)\n" * 9, True, Status.ERROR),
        (b"no end of a line", True, Status.ERROR),
        (b"", True, Status.OK),
        (b"", False, Status.ABSENT),
    ],
)
def test_a_log_without_a_record_is_not_the_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, is_given: bool, status: Status
) -> None:
    """LXC links /dev/kmsg to the console, which has nothing to say."""
    path = tmp_path / "kmsg"
    path.write_bytes(content)
    monkeypatch.delenv("MLTOP_KMSG", raising=False)
    if is_given:
        monkeypatch.setenv("MLTOP_KMSG", str(path))
    monkeypatch.setattr("mltop.sampling.host.kernel_log._KMSG", str(path))
    assert read_kernel_log(Roots()).status is status


def test_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTOP_KMSG", str(tmp_path / "none"))
    assert read_kernel_log(Roots()).status is Status.ABSENT
    monkeypatch.setenv("MLTOP_KMSG", str(tmp_path))  # a directory opens, and then refuses to be read
    assert read_kernel_log(Roots()).status is Status.ERROR


JOURNAL = """#!/bin/sh
case "$*" in *--priority=4*) cat <<'END'
{"MESSAGE":"EXT4-fs error (device sda1): x","PRIORITY":"3","_SOURCE_MONOTONIC_TIMESTAMP":"1000000"}
{"MESSAGE":[120,255],"PRIORITY":"3","__MONOTONIC_TIMESTAMP":"2000000"}
garbage
END
;; *) echo '{"MESSAGE":"Linux","PRIORITY":"5","__MONOTONIC_TIMESTAMP":"0"}' ;; esac
"""
ASK = """
import os, msgspec
from mltop.sampling.host.kernel_log import read_kernel_log
from mltop.sampling.root import Roots
os.write(1, msgspec.json.encode(read_kernel_log(Roots(), deadline_s=5.0)))
"""


@pytest.mark.parametrize(
    ("script", "status"),
    [(JOURNAL, Status.OK), ("#!/bin/sh\nexit 1\n", Status.NO_PERMISSION), (None, Status.NO_PERMISSION)],
)
def test_a_log_that_is_refused_is_asked_of_the_journal(tmp_path: Path, script: str | None, status: Status) -> None:
    log = tmp_path / "kmsg"
    log.write_text("3,1,1,-;x\n")
    log.chmod(0)
    tools = tmp_path / "bin"
    tools.mkdir(mode=0o755)
    program = tools / "journalctl"
    program.write_text(script or "#!/bin/sh\nexec sleep 0\n")
    program.chmod(0o755)
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "MLTOP_KMSG": str(log), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [*by_modes(), sys.executable, "-c", ASK],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=True,
    )
    found = msgspec.json.decode(done.stdout, type=KernelEvents)
    assert found.status is status
    if status is Status.OK:
        assert [one.subject for one in found.events] == ["sda1"]
    else:
        assert "systemd-journal" in (found.reason or "")


@given(st.binary())
def test_a_journal_of_any_bytes(data: bytes) -> None:
    assert isinstance(list(parse(data)), list)
