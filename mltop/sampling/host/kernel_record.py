"""What a record of the kernel log means: the messages that tell of trouble, by the drivers that write them.

The forms are those of the kernel's own sources: mm/oom_kill.c, mm/memory-failure.c, fs/ext4/super.c,
fs/xfs/xfs_fsops.c, fs/btrfs/{super,messages,inode}.c, fs/fat/misc.c, fs/f2fs/super.c, fs/buffer.c, block/blk-core.c,
drivers/nvme/host/{pci,core,multipath}.c, drivers/ata/libata-{eh,core}.c, drivers/scsi/scsi_error.c,
drivers/md/{raid1,raid5,raid10}.c, drivers/edac/edac_mc.c, arch/x86/kernel/cpu/mce/core.c; and OpenZFS'
module/zfs/spa_misc.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from mltop.model.host_facts import EventKind, KernelEvent
from mltop.sampling.gpu.pci import bus_id
from mltop.system.text import clean

MOST_LEVEL = 4
"""KERN_WARNING: of what is less urgent only what `may_tell` knows is looked at."""
_TEXT_LIMIT = 160
# texts: `re` compiles each when it is first used, and on a quiet box none ever is
_XID = rb"NVRM: Xid \((?:PCI:)?([0-9a-fA-F:.]+)\): (\d+)"
_OOM_ACCOUNT = rb"oom-kill:constraint=.*task_memcg=([^,]*),task=.*,pid=(\d+),uid="
_OOM = rb"(?:[Oo]ut of memory[^:]*: )?Killed process (\d+) \((.*?)\)(?:,| total-vm)"
_UNIT = rb"([^/]+\.(?:service|scope))(?:/|$)"
_FORMS: tuple[tuple[EventKind, bytes, bytes], ...] = (
    ("readonly", b"-fs (", rb"\w-fs \(([\w.-]+)\).*(?:[Rr]emounting filesystem|[Ff]ilesystem has been set) read-only"),
    ("shut-down", b"XFS (", rb"XFS \(([\w.-]+)\): .*(?:has been shut down|[Ss]hutting down filesystem)"),
    ("readonly", b"BTRFS", rb"BTRFS(?: \w+)? \(device ([\w.-]+)[^)]*\).*forced readonly"),
    ("io-error", b"I/O error on dev", rb"Buffer I/O error on dev(?:ice)? (?!(?:fd|sr|loop)\d)([\w.-]+)"),
    ("io-error", b"error, dev ", rb"(?:I/O|medium|protection) error, dev (?!(?:fd|sr|loop)\d)([\w.-]+)"),
    (
        "io-error",
        b"target error, dev ",
        rb"target error, dev (?!(?:fd|sr|loop)\d)([\w.-]+)(?!.*\((?:DISCARD|WRITE_ZER))",
    ),
    ("io-error", b"beyond end", rb"beyond end of device(?:\\x0a|\s)+(?!(?:fd|sr|loop)\d)([\w.-]+): rw="),
    ("io-error", b"-fs error", rb"EXT[234]-fs error \(device ([\w.-]+)\)"),
    ("io-error", b"superblock", rb"EXT[234]-fs \(([\w.-]+)\): I/O error while writing superblock"),
    ("io-error", b"BTRFS", rb"BTRFS(?:: error| error| critical) \(device ([\w.-]+)"),
    ("io-error", b"BTRFS", rb"BTRFS warning \(device ([\w.-]+)[^)]*\): .*(?:csum failed|checksum error)"),
    ("io-error", b"XFS (", rb"XFS \(([\w.-]+)\): .*(?:I/O error|[Cc]orruption)"),
    ("io-error", b"ata", rb"(?<![\w.])(ata\d+(?:\.\d+)?): (?:exception Emask|failed command)"),
    ("lost", b": disable", rb"(?<![\w.])(ata\d+\.\d+): disabled?(?: device)?\s*$"),
    ("lost", b"offline", rb"(?:sd|scsi) (\d+:\d+:\d+:\d+): (?:\[\w+\] )?(?:Device offlined|rejecting I/O to offline)"),
    ("lost", b"nvme nvme", rb"nvme (nvme\d+): (?:Disabling device after reset|Removing after probe|Device not ready)"),
    ("reset", b"nvme nvme", rb"nvme (nvme\d+): (?:controller is down|I/O .*timeout|.*reset(?:ting)? controller)"),
    ("reset", b"path - ", rb"block (nvme\w+): no (?:usable|available) path - "),
    (
        "array-failed",
        b"suspended",
        rb"Pool '([^']{1,64})' has encountered an uncorrectable I/O failure and has been suspended",
    ),
    ("lost", b"md/raid", rb"md/raid\w*:(md\w+): Disk failure on "),
    ("array-failed", b"md/raid", rb"md/raid\w*:(md\w+): (?:Cannot continue operation|not enough operational)"),
    ("memory-uncorrected", b"EDAC MC", rb"EDAC (MC\d+): \d+ UE "),
    ("memory-corrected", b"EDAC MC", rb"EDAC (MC\d+): \d+ CE "),
    ("memory-uncorrected", b"Memory failure: ", rb"(Memory failure): 0x[0-9a-f]+: "),
    ("memory-uncorrected", b"mce: ", rb"(mce): Uncorrected hardware memory error"),
    ("memory-corrected", b"mce: ", rb"(mce): \[Hardware Error\]: Machine check events logged"),
)
"""What it is, a word that such a message has, and the whole form: most messages have none of the words."""


class Record(msgspec.Struct, frozen=True):
    """One record of the kernel log."""

    level: int
    """0 (emergency) to 7 (debug)."""
    at_s: float
    """Seconds since the boot, by the kernel's own clock."""
    message: bytes


def may_tell(level: int, message: bytes) -> bool:
    """Whether a record is to be looked at: urgent, of the OOM killer, or trouble that its driver calls information."""
    return (
        level <= MOST_LEVEL
        or b"Xid" in message
        or b"oom-kill:" in message
        or b"forced readonly" in message
        or b"beyond end of device" in message
    )


def events(records: Iterable[Record], now: float) -> Iterator[KernelEvent]:
    """The records that tell of trouble; `now` is the kernel's clock, to say how old they are."""
    units: dict[bytes, str] = {}
    for record in records:
        if record.level > MOST_LEVEL and b"oom-kill:" in record.message:
            units.update(_account(record.message))
            continue
        if not may_tell(record.level, record.message):
            continue
        found = _event(record, max(0.0, now - record.at_s), units)
        if found is not None:
            yield found


def _event(record: Record, age_s: float, units: dict[bytes, str]) -> KernelEvent | None:
    message = record.message
    text = clean(message, _TEXT_LIMIT)
    if b"Xid" in message and (match := re.search(_XID, message)) is not None:
        card = bus_id(match[1].decode())
        code = int(match[2]) if len(match[2]) < 10 else None
        if card is None or code is None:
            return None
        return KernelEvent(kind="xid", subject=card, at_s=record.at_s, age_s=age_s, text=text, code=code)
    if b"Killed process" in message and (match := re.search(_OOM, message)) is not None:
        who, unit = f"{clean(match[2], 64)} ({match[1].decode()})", units.pop(match[1], None)
        return KernelEvent(kind="oom", subject=who, at_s=record.at_s, age_s=age_s, text=text, unit=unit)
    for kind, word, form in _FORMS:
        if word in message and (match := re.search(form, message)) is not None:
            return KernelEvent(kind=kind, subject=clean(match[1], 64), at_s=record.at_s, age_s=age_s, text=text)
    return None


def _account(message: bytes) -> Iterator[tuple[bytes, str]]:
    """Whose unit a process belonged to, which the killer says in another record than that it was killed."""
    match = re.search(_OOM_ACCOUNT, message)
    if match is not None and (unit := re.search(_UNIT, match[1])) is not None:
        yield match[2], clean(unit[1], 128)
