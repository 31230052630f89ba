"""What went into an archive, written down as it goes in: manifest lines and checksums, on the disk and not in memory.

Both lie in files without a name in the target until the archive is whole; a run that is killed leaves nothing of them.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from typing import IO

from mltop.tasks.archive import manifest
from mltop.tasks.archive.compression import BLOCK
from mltop.tasks.archive.output import full_or_failed
from mltop.tasks.archive.record import Entry, Statistics
from mltop.tasks.outcome import TaskError


class _Spool:
    """An unnamed file that is only added to, and its hash. Raises `TaskError` where the disk is full or fails."""

    def __init__(self, folder: str) -> None:
        self._digest = hashlib.sha256()
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, buffering=BLOCK)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise full_or_failed(error, "the manifest") from error

    def add(self, line: bytes) -> None:
        self._digest.update(line)
        try:
            self._file.write(line)
        except OSError as error:
            raise full_or_failed(error, "the manifest") from error

    def sha256(self) -> str:
        return self._digest.hexdigest()

    def blocks(self) -> Iterator[bytes]:
        self._start()
        while block := self._file.read(BLOCK):
            yield block

    def lines(self) -> Iterator[bytes]:
        self._start()
        yield from self._file

    def _start(self) -> None:
        try:
            self._file.seek(0)  # writes what is buffered first
        except OSError as error:
            raise full_or_failed(error, "the manifest") from error

    def close(self) -> None:
        try:
            self._file.close()
        except OSError:
            return  # what a full disk did not take goes anyway


class Ledger:
    """The entries of an archive in the order of its members; iterate to read them again. Close it when done."""

    def __init__(self, folder: str) -> None:
        """Keep them in `folder`; raises `TaskError`."""
        self._entries = _Spool(folder)
        try:
            self._sums = _Spool(folder)
        except TaskError:
            self._entries.close()
            raise
        self.count = 0
        self._kinds = {"file": 0, "dir": 0, "symlink": 0, "hardlink": 0}
        self._source_bytes = self._stored_bytes = 0

    def add(self, entry: Entry, content: Entry | None = None) -> None:
        """Note one entry; `content` is the file that a hard link is another name of."""
        self._entries.add(manifest.encode_entry(entry))
        self._sums.add(manifest.sums_line(entry.name, content or entry))
        self.count += 1
        self._kinds[entry.kind] += 1
        self._source_bytes += entry.size
        self._stored_bytes += entry.size if entry.stored_bytes is None else entry.stored_bytes

    def __iter__(self) -> Iterator[Entry]:
        """Read the entries back."""
        return (manifest.decode_entry(line) for line in self._entries.lines())

    @property
    def entries_sha256(self) -> str:
        """Of the manifest's lines but the first."""
        return self._entries.sha256()

    @property
    def sums_sha256(self) -> str:
        """Of the checksums' file."""
        return self._sums.sha256()

    def entry_blocks(self) -> Iterator[bytes]:
        """The manifest's lines but the first."""
        return self._entries.blocks()

    def sums_blocks(self) -> Iterator[bytes]:
        """The checksums' file."""
        return self._sums.blocks()

    @property
    def source_bytes(self) -> int:
        """Of all files, holes too."""
        return self._source_bytes

    def statistics(self, archive_bytes: int, excluded: int, excluded_bytes: int) -> Statistics:
        """What went in."""
        return Statistics(
            files=self._kinds["file"],
            directories=self._kinds["dir"],
            links=self._kinds["symlink"] + self._kinds["hardlink"],
            source_bytes=self._source_bytes,
            stored_bytes=self._stored_bytes,
            archive_bytes=archive_bytes,
            excluded=excluded,
            excluded_bytes=excluded_bytes,
        )

    def close(self) -> None:
        """Let go of the files."""
        self._entries.close()
        self._sums.close()
