"""What a record of the kernel log means: the messages that tell of trouble, by the drivers that write them.

The forms are those of the kernel's own sources: mm/oom_kill.c, mm/memory-failure.c, fs/ext4/super.c,
fs/xfs/xfs_fsops.c, fs/btrfs/super.c, fs/buffer.c, block/blk-core.c, drivers/nvme/host/{pci,core}.c,
drivers/ata/libata-{eh,core}.c, drivers/scsi/scsi_error.c, drivers/md/{raid1,raid5,raid10}.c, drivers/edac/edac_mc.c,
arch/x86/kernel/cpu/mce/core.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mltop.model.host_facts import EventKind, KernelEvent
from mltop.sampling.gpu.pci import bus_id
from mltop.system.text import clean

MOST_LEVEL = 4
"""KERN_WARNING: of what is less urgent only the OOM killer's own account is looked at."""
_TEXT_LIMIT = 160
_XID = re.compile(rb"NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]+)\): (\d+)")
_OOM_ACCOUNT = re.compile(rb"oom-kill:constraint=.*task_memcg=([^,]*),task=.*,pid=(\d+),uid=")
_OOM = re.compile(rb"(?:[Oo]ut of memory[^:]*: )?Killed process (\d+) \((.*?)\)(?:,| total-vm)")
_UNIT = re.compile(rb"([^/]+\.(?:service|scope))(?:/|$)")
_FORMS: tuple[tuple[EventKind, re.Pattern[bytes]], ...] = (
    ("readonly", re.compile(rb"EXT[234]-fs \(([\w.-]+)\).*[Rr]emounting filesystem read-only")),
    ("readonly", re.compile(rb"XFS \(([\w.-]+)\): .*(?:has been shut down|[Ss]hutting down filesystem)")),
    ("readonly", re.compile(rb"BTRFS(?: \w+)? \(device ([\w.-]+)[^)]*\).*forced readonly")),
    ("io-error", re.compile(rb"Buffer I/O error on dev(?:ice)? (?!(?:fd|sr|loop)\d)([\w.-]+)")),
    ("io-error", re.compile(rb"(?:I/O|medium|target|protection) error, dev (?!(?:fd|sr|loop)\d)([\w.-]+)")),
    ("io-error", re.compile(rb"EXT[234]-fs error \(device ([\w.-]+)\)")),
    ("io-error", re.compile(rb"BTRFS(?:: error| error| critical) \(device ([\w.-]+)")),
    ("io-error", re.compile(rb"XFS \(([\w.-]+)\): .*(?:I/O error|[Cc]orruption)")),
    ("io-error", re.compile(rb"(?<![\w.])(ata\d+(?:\.\d+)?): (?:exception Emask|failed command)")),
    ("lost", re.compile(rb"(?<![\w.])(ata\d+\.\d+): disabled?(?: device)?\s*$")),
    ("lost", re.compile(rb"(?:sd|scsi) (\d+:\d+:\d+:\d+): (?:\[\w+\] )?(?:Device offlined|rejecting I/O to offline)")),
    ("lost", re.compile(rb"nvme (nvme\d+): (?:Disabling device after reset|Removing after probe|Device not ready)")),
    ("reset", re.compile(rb"nvme (nvme\d+): (?:controller is down|I/O .*timeout|resetting controller)")),
    ("lost", re.compile(rb"md/raid\w*:(md\w+): Disk failure on ")),
    ("array-failed", re.compile(rb"md/raid\w*:(md\w+): (?:Cannot continue operation|not enough operational)")),
    ("memory-uncorrected", re.compile(rb"EDAC (MC\d+): \d+ UE ")),
    ("memory-corrected", re.compile(rb"EDAC (MC\d+): \d+ CE ")),
    ("memory-uncorrected", re.compile(rb"(Memory failure): 0x[0-9a-f]+: ")),
    ("memory-uncorrected", re.compile(rb"(mce): Uncorrected hardware memory error")),
    ("memory-corrected", re.compile(rb"(mce): \[Hardware Error\]: Machine check events logged")),
)


class Record(NamedTuple):
    """One record of the kernel log."""

    level: int
    """0 (emergency) to 7 (debug)."""
    at_s: float
    """Seconds since the boot, by the kernel's own clock."""
    message: bytes


def events(records: Iterable[Record], now: float) -> Iterator[KernelEvent]:
    """The records that tell of trouble; `now` is the kernel's clock, to say how old they are."""
    units: dict[bytes, str] = {}
    for record in records:
        if record.level > MOST_LEVEL and b"Xid" not in record.message:
            if b"oom-kill:" in record.message:
                units.update(_account(record.message))
            continue
        found = _event(record, max(0.0, now - record.at_s), units)
        if found is not None:
            yield found


def _event(record: Record, age_s: float, units: dict[bytes, str]) -> KernelEvent | None:
    message = record.message
    text = clean(message, _TEXT_LIMIT)
    if (match := _XID.search(message)) is not None:
        card = bus_id(match[1].decode())
        code = int(match[2]) if len(match[2]) < 10 else None
        if card is None or code is None:
            return None
        return KernelEvent(kind="xid", subject=card, at_s=record.at_s, age_s=age_s, text=text, code=code)
    if (match := _OOM.search(message)) is not None:
        who, unit = f"{clean(match[2], 64)} ({match[1].decode()})", units.pop(match[1], None)
        return KernelEvent(kind="oom", subject=who, at_s=record.at_s, age_s=age_s, text=text, unit=unit)
    for kind, form in _FORMS:
        if (match := form.search(message)) is not None:
            return KernelEvent(kind=kind, subject=clean(match[1], 64), at_s=record.at_s, age_s=age_s, text=text)
    return None


def _account(message: bytes) -> Iterator[tuple[bytes, str]]:
    """Whose unit a process belonged to, which the killer says in another record than that it was killed."""
    match = _OOM_ACCOUNT.search(message)
    if match is not None and (unit := _UNIT.search(match[1])) is not None:
        yield match[2], clean(unit[1], 128)
