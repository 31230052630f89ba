"""Fill an archive from what is found: settled files first, young ones last, then a look at what changed meanwhile."""

from __future__ import annotations

import stat
import time
from array import array
from collections.abc import Iterator

from mltop.tasks.archive import compression
from mltop.tasks.archive.found import Found, Scan, facts_of, path_of
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.last import LastNames, has, ordered
from mltop.tasks.archive.ledger import Ledger
from mltop.tasks.archive.output import Output, full_or_failed
from mltop.tasks.archive.scan import walk
from mltop.tasks.archive.target import Target
from mltop.tasks.archive.write import Writer
from mltop.tasks.outcome import Control, many, problem


class Filling:
    """One walk that goes into an archive: `found` is its sum, `writer` has what did not go as it should."""

    def __init__(
        self,
        job: BackupJob,
        target: Target,
        expected: Scan,
        ledger: Ledger,
        control: Control,
        last: LastNames,
    ) -> None:
        self._job, self._target, self._expected = job, target, expected
        self._ledger, self._control, self._last = ledger, control, last
        self._seen = array("q")
        """Hashes of all that was found, name and facts, eight bytes each."""
        self.found = Scan()

    def write(self, at_work: str) -> Writer:
        """Write all that there is now to the file `at_work`, synced; what went in is in the ledger."""
        output = Output(self._target.fd, at_work, self._target.reserve_bytes(self._job.reserve_bytes) // 2)
        try:
            packer = compression.packer(self._job.compression, self._job.level, self._job.threads, output)
            writer = Writer(packer, self._ledger, self._control, self._last)
            try:
                self._add_all(writer)
                writer.close()
            except BaseException:
                output.abandon()
                packer.close()
                raise
            if output.failure is not None:
                raise output.failure
            self._control.begin("flush")
            output.sync()
        except OSError as error:
            raise output.failure or full_or_failed(error, "the archive") from error
        finally:
            output.close()
        self._note_vanished(writer)
        self._note_changes(writer)
        return writer

    def _add_all(self, writer: Writer) -> None:
        self._control.begin("write", self._expected.count, self._expected.source_bytes)
        young = []
        now_ns, settle_ns = time.time_ns(), self._job.settle_s * 1e9
        for each in self._walk(self.found):
            self._seen.append(hash((each.name, facts_of(each))))
            # files from the future count as settled: there is no telling when they were written
            if stat.S_ISREG(each.status.st_mode) and 0 <= now_ns - each.status.st_mtime_ns < settle_ns:
                young.append(each)
            else:
                writer.add(each)
        if young:
            self._settle(young)
            for each in young:
                writer.add(each)

    def _walk(self, into: Scan) -> Iterator[Found]:
        return walk(self._job, self._target.identity, self._control, into)

    def _settle(self, young: list[Found]) -> None:
        """Wait until the youngest file is as old as the job wants it, from when it was found."""
        quiet_at = max(each.status.st_mtime_ns for each in young) / 1e9 + self._job.settle_s
        end = time.monotonic() + min(self._job.settle_s, quiet_at - time.time())
        while (left := end - time.monotonic()) > 0:
            self._control.wait(f"waiting {left:.0f} s: {len(young)} files were written to a moment ago")
            time.sleep(min(left, 0.2))

    def _note_vanished(self, writer: Writer) -> None:
        """Say what was there when the backup began and was not when its turn came."""
        now = ordered(self.found.names)
        gone = {each for each in self._expected.names if not has(now, each)}
        if not gone:
            return
        missed = {self._expected.large[each] for each in gone if each in self._expected.large}
        missed.update(self._last.files(gone))
        for name in sorted(missed):
            writer.problems.append(
                problem("vanished", path_of(name, self.found.sources), "it went away before it was read")
            )
        if len(gone) > len(missed):
            message = f"{many(len(gone) - len(missed), 'thing')} of it went away unread"
            writer.notes.append(problem("vanished", self.found.sources[0].path, message))

    def _note_changes(self, writer: Writer) -> None:
        """Walk once more: what came or changed meanwhile is for the next backup, and is said."""
        again = Scan()
        seen, names = ordered(self._seen), ordered(self.found.names)
        moved = new = 0
        for each in self._walk(again):
            if not has(seen, hash((each.name, facts_of(each)))):
                if has(names, hash(each.name)):
                    moved += 1
                else:
                    new += 1
        if moved or new:
            message = f"while it was read, {many(moved, 'file')} changed and {new} appeared: the next backup has them"
            writer.notes.append(problem("moved", again.sources[0].path, message))
