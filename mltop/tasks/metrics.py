"""GPU metrics to daily files: a line a GPU and one of the host each run, read back for tables and graphs.

A file is appended to in single writes and has its header once; another version's columns come with a header of their
own, so a file is read by whatever header stands above a line. What is over is compressed the next day.
"""

# Descriptors
# ruff: noqa: PTH208

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from mltop.config.location import SYSTEM_STATE
from mltop.model.snapshot import Gpu, Snapshot, Status
from mltop.sampling.look import Look
from mltop.sampling.root import Roots
from mltop.system.file import append
from mltop.tasks.archive.compression import read_errors, unpacker
from mltop.tasks.outcome import Control, CorruptError, NoSpaceError, TaskError, os_reason
from mltop.tasks.rotate.pack import pack

LIMIT_S = 20.0
"""How long one run may read."""
CAP_BYTES = 256 << 20
"""All files together: a day of 16 GPUs, once a minute, has 5 MB."""
_RESERVE_BYTES = 64 << 20
_RESERVE_SHARE = 0.02
"""Free space to leave: metrics are no reason for a full disk."""
_ENDINGS = (".csv", ".jsonl")
_PACKED = ".zst"
_SYSTEM = Path("/var/log/mltop/metrics")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line: a GPU's, or the host's, whose `memory_*` are of the host. What is not known is empty, never 0."""

    time: str
    """RFC 3339 in UTC with `Z`."""
    kind: Literal["gpu", "host"]
    index: int | None = None
    uuid: str | None = None
    name: str | None = None
    status: str = "ok"
    reason: str | None = None
    temperature_c: int | None = None
    utilization_percent: int | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    clock_event_reasons: str | None = None
    """Joined by spaces."""
    ecc_uncorrected_volatile: int | None = None
    ecc_uncorrected_aggregate: int | None = None
    ecc_corrected_volatile: int | None = None
    load_1: float | None = None
    load_5: float | None = None
    load_15: float | None = None
    disks: str | None = None
    """Used percent by mount, joined by spaces: `/=41.2 /data=87.0`; blanks in a mount as `%20`."""


COLUMNS = Row.__struct_fields__
_MEASURED = (
    "temperature_c",
    "utilization_percent",
    "memory_used_bytes",
    "power_w",
    "ecc_uncorrected_volatile",
    "ecc_uncorrected_aggregate",
    "ecc_corrected_volatile",
)
"""Of a GPU, by the same names in a snapshot."""


class _Nothing:
    """Nobody else to wait for."""

    def filenos(self) -> list[int]:
        return []

    def is_done(self) -> bool:
        return True

    def poll(self) -> None:
        return


def folder_of(state: Path) -> Path:
    """Where metrics are kept: beside the logs for the system, else in the state's folder."""
    return _SYSTEM if state == SYSTEM_STATE else state / "metrics"


def look(limit_s: float = LIMIT_S) -> Snapshot:
    """Read GPUs, disks, memory and load once; ends in time whatever hangs. To be called from a single thread."""
    from mltop.system.process import reap_children

    taken = Look(Roots.from_environment(), ("gpu", "disk", "memory", "cpu"), None, limit_s)
    try:
        return taken.take(_Nothing())[0]
    finally:
        taken.close()
        reap_children(0.02)


def rows_of(snapshot: Snapshot) -> list[Row]:
    """The lines of a snapshot, the host's last."""
    at = snapshot.time
    load = (*snapshot.cpu.load, None, None, None)[:3]
    disks = [
        f"{disk.mount.replace('%', '%25').replace(' ', '%20')}={disk.used_percent:.1f}"
        for disk in snapshot.disks
        if disk.used_percent is not None
    ]
    host = Row(
        time=at,
        kind="host",
        name=snapshot.host or None,
        memory_used_bytes=snapshot.memory.used_bytes,
        memory_total_bytes=snapshot.memory.total_bytes,
        load_1=load[0],
        load_5=load[1],
        load_15=load[2],
        disks=" ".join(disks) or None,
    )
    return [*(_gpu_row(at, gpu) for gpu in snapshot.gpus), host]


def _gpu_row(at: str, gpu: Gpu) -> Row:
    is_known = gpu.status is Status.OK  # an old number is not of this moment
    return Row(
        time=at,
        kind="gpu",
        index=gpu.index,
        uuid=gpu.uuid or gpu.pci_bus_id,
        name=gpu.name,
        status=gpu.status.value,
        reason=gpu.reason,
        memory_total_bytes=gpu.memory_total_bytes,
        power_limit_w=gpu.power_limit_w,
        clock_event_reasons=" ".join(gpu.clock_event_reasons) or None if is_known else None,
        **({name: getattr(gpu, name) for name in _MEASURED} if is_known else {}),
    )


def append_rows(folder: Path, rows: Sequence[Row], form: Literal["csv", "jsonl"]) -> Path:
    """Append lines to the file of their day (in UTC), in one write; raises `NoSpaceError`, `TaskError`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{rows[0].time[:10]}.{form}"
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _check_space(folder, descriptor)
            append(descriptor, _start(descriptor, form) + _encoded(rows, form))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise (NoSpaceError if error.errno == 28 else TaskError)(f"{folder}: {os_reason(error)}") from error
    return path


def _check_space(folder: Path, descriptor: int) -> None:
    room = os.fstatvfs(descriptor)
    reserve = min(_RESERVE_BYTES, int(room.f_blocks * room.f_frsize * _RESERVE_SHARE))
    if room.f_bavail * room.f_frsize < reserve:
        raise NoSpaceError(f"{folder}: the disk is nearly full, nothing recorded", "free space on it")


def _start(descriptor: int, form: str) -> bytes:
    """What has to stand before new lines: an end of a torn line, and the header where none of ours is."""
    size = os.fstat(descriptor).st_size
    torn = b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""
    header = ",".join(COLUMNS).encode() + b"\n" if form == "csv" else b""
    has_header = not header or os.pread(descriptor, len(header), 0) == header
    return torn + (b"" if has_header else header)


def _encoded(rows: Sequence[Row], form: str) -> bytes:
    if form == "jsonl":
        return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    return text_of(rows, header=False).encode()


def text_of(rows: Sequence[Row], *, header: bool = True) -> str:
    """Lines as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(["" if (value := getattr(row, name)) is None else value for name in COLUMNS])
    return text.getvalue()


def keep(folder: Path, keep_days: int, today: date) -> list[str]:
    """Compress the days before, remove those older than `keep_days` and what is above the cap; the names removed."""
    files = _files(folder)
    gone = [name for name, day in files if day <= today - timedelta(days=keep_days)]
    sizes = {name: (folder / name).stat().st_size for name, _ in files if name not in gone}
    for name, day in files:
        if name in sizes and sum(sizes.values()) > CAP_BYTES and day != today:
            gone.append(name)
            del sizes[name]
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name, day in files:
            if name in sizes and day < today and not name.endswith(_PACKED):
                pack(descriptor, name, "zstd", 3, Control())
    finally:
        os.close(descriptor)
    return gone


def _files(folder: Path) -> list[tuple[str, date]]:
    """Our files by their names, oldest first."""
    found = []
    for name in os.listdir(folder) if folder.is_dir() else ():
        stem, dot, ending = name.removesuffix(_PACKED).partition(".")
        if dot and f".{ending}" in _ENDINGS:
            try:
                day = date.fromisoformat(stem)
            except ValueError:
                continue  # not ours
            if day.isoformat() == stem:  # no 20260101 and no 2026-W01-1
                found.append((name, day))
    return sorted(found, key=lambda each: (each[1], each[0]))


def read(folder: Path, since_s: float | None = None, gpu: int | None = None) -> list[Row]:
    """Recorded lines, oldest first, of the last `since_s` seconds and one GPU; raises `TaskError`. Makes nothing.

    A line that was torn is passed over.
    """
    first = None if since_s is None else datetime.fromtimestamp(time.time() - since_s, UTC)
    try:
        rows = [
            row
            for name, day in _files(folder)
            if first is None or day >= first.date()
            for row in _rows(folder / name)
            if first is None or row.time >= f"{first:%Y-%m-%dT%H:%M:%S}"
        ]
    except OSError as error:
        raise TaskError(f"{folder}: {os_reason(error)}") from error
    return sorted((row for row in rows if gpu is None or row.index == gpu), key=lambda row: row.time)


def _rows(path: Path) -> Iterator[Row]:
    damages: tuple[type[Exception], ...] = (CorruptError, *read_errors())
    with path.open("rb") as file:
        try:
            lines = _text(path.name, file).splitlines()
        except damages as error:
            raise TaskError(f"{path}: {error}") from error
    if ".jsonl" in path.name:
        for line in lines:
            try:
                yield msgspec.json.decode(line, type=Row)
            except msgspec.MsgspecError:
                continue
        return
    header: list[str] = []
    for cells in _cells(lines):
        if cells[:2] == ["time", "kind"]:
            header = cells
        elif len(cells) == len(header):
            try:
                known = {name: cell for name, cell in zip(header, cells, strict=True) if cell != "" and name in COLUMNS}
                yield msgspec.convert(known, Row, strict=False)
            except msgspec.ValidationError:
                continue


def _cells(lines: Sequence[str]) -> Iterator[list[str]]:
    """Each line for itself: a quote that a torn one left open takes nothing else along."""
    for line in lines:
        try:
            yield from csv.reader((line,))
        except csv.Error:
            continue


def _text(name: str, file: BinaryIO) -> str:
    if not name.endswith(_PACKED):
        return file.read().decode("utf-8", "replace")
    reader, blocks = unpacker(name, file), []
    while block := reader.read(1 << 20):
        blocks.append(bytes(block))
    return b"".join(blocks).decode("utf-8", "replace")
