"""Fill an archive from what was found: settled files first, young ones last, then a look at what changed meanwhile."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable

from mltop.tasks.archive import compression
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.output import Output, full_or_failed
from mltop.tasks.archive.scan import Found, Scan, scan
from mltop.tasks.archive.target import Target
from mltop.tasks.archive.write import Writer
from mltop.tasks.outcome import Control, problem


def fill(
    job: BackupJob, target: Target, found: Scan, at_work: str, control: Control, was_in_last: Callable[[str], bool]
) -> Writer:
    """Write all of `found` to the file `at_work`, synced; what went in and what did not is in the writer."""
    output = Output(target.fd, at_work, target.reserve_bytes(job.reserve_bytes) // 2)
    try:
        packer = compression.packer(job.compression, job.level, job.threads, output)
        writer = Writer(packer, control, was_in_last)
        try:
            _add_all(job, found, writer, control)
            writer.close()
        except BaseException:
            output.abandon()
            packer.close()
            raise
        if output.failure is not None:
            raise output.failure
        control.begin("flush")
        output.sync()
    except OSError as error:
        raise output.failure or full_or_failed(error, "the archive") from error
    finally:
        output.close()
    _note_changes(job, target, found, writer, control)
    return writer


def _add_all(job: BackupJob, found: Scan, writer: Writer, control: Control) -> None:
    old, young = _by_age(found.found, job.settle_s)
    control.begin("write", len(found.found), found.source_bytes)
    for each in old:
        writer.add(each)
    if young:
        _settle(young, job.settle_s, control)
        for each in young:
            writer.add(each)


def _settle(young: list[Found], settle_s: float, control: Control) -> None:
    """Wait until the youngest file is as old as the job wants it, from when it was found."""
    quiet_at = max(each.status.st_mtime_ns for each in young) / 1e9 + settle_s
    end = time.monotonic() + min(settle_s, quiet_at - time.time())
    while (left := end - time.monotonic()) > 0:
        control.wait(f"waiting {left:.0f} s: {len(young)} files were written to a moment ago")
        time.sleep(min(left, 0.2))


def _note_changes(job: BackupJob, target: Target, found: Scan, writer: Writer, control: Control) -> None:
    """Walk once more: what came or changed meanwhile is for the next backup, and is said."""
    again = scan(job, target.identity, control)
    before = {each.name: _facts(each) for each in found.found}
    after = {each.name: _facts(each) for each in again.found}
    moved = [each for each in after if each in before and after[each] != before[each]]
    new = len(after.keys() - before.keys())
    if moved or new:
        message = f"while it was read {len(moved)} files changed and {new} appeared: the next backup has them"
        writer.notes.append(problem("moved", found.sources[0].path, message))


def _by_age(found: list[Found], settle_s: float) -> tuple[list[Found], list[Found]]:
    """Return what is settled, in order, and the files that were written to less than `settle_s` ago.

    Files from the future count as settled: there is no telling when they were written.
    """
    now_ns = time.time_ns()
    young = {
        each.name
        for each in found
        if stat.S_ISREG(each.status.st_mode) and 0 <= now_ns - each.status.st_mtime_ns < settle_s * 1e9
    }
    return [each for each in found if each.name not in young], [each for each in found if each.name in young]


def _facts(found: Found) -> tuple[int, ...]:
    status = found.status
    if stat.S_ISDIR(status.st_mode):
        return (status.st_mode,)
    return status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
