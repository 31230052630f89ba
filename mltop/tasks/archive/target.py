"""The folder that holds a job's archives: space, files at work, commit, and what is there."""

# All access is relative to the folder's descriptor
# ruff: noqa: PTH100, PTH103, PTH111, PTH208

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from itertools import chain
from types import TracebackType

from mltop.tasks.archive import manifest, mount, name
from mltop.tasks.archive.compression import BLOCK
from mltop.tasks.archive.output import full_or_failed
from mltop.tasks.archive.record import Entry, Head
from mltop.tasks.outcome import CorruptError, TaskError, os_reason

RESERVE_MAX = 1 << 30
RESERVE_SHARE = 0.02
_HOW_TO = """How to restore one of these archives without mltop

    mkdir restored
    zstd -dc ID.tar.zst | tar -xp --delay-directory-restore -C restored      (or tar -xzpf ID.tar.gz, tar -xpf ID.tar)
    cd restored && sha256sum -c --quiet ../ID.sha256

The first line of ID.manifest.jsonl says what the archive is, how it was verified and what is not in it
(`head -1 ID.manifest.jsonl | python3 -m json.tool`); the other lines are its entries, one a line.
Files that begin with a dot and end in .partial are of a run at work or of one that was killed. No manifest: no backup.
"""
_HOW_TO_NAME = "RESTORE.txt"
_TITLE = _HOW_TO.partition("\n")[0].encode()
_UNPACK = {".tar.zst": "zstd -dc ID.tar.zst | tar -xp", ".tar.gz": "tar -xzpf ID.tar.gz", ".tar": "tar -xpf ID.tar"}


def is_target(fd: int) -> bool:
    """Whether a folder holds our archives: told by the page in it, whose first line we know."""
    try:
        page = os.open(_HOW_TO_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    except OSError:
        return False
    try:
        return os.read(page, len(_TITLE)) == _TITLE
    except OSError:
        return False
    finally:
        os.close(page)


def how_to_restore(archive_id: str, ending: str) -> tuple[str, ...]:
    """Return the lines for a shell, in the target folder, that restore an archive without mltop and check it."""
    unpack = _UNPACK[ending].replace("ID", archive_id)
    return (
        f"mkdir restored && {unpack} --delay-directory-restore -C restored",
        f"cd restored && sha256sum -c --quiet ../{archive_id}.sha256",
    )


class Target:
    """An open target folder. Use it in `with`."""

    def __init__(self, path: str, create: bool = False) -> None:
        """Open the folder; with `create` it is made (0700), unless a mount is missing. Raises `TaskError`."""
        self.path = os.path.abspath(os.path.expanduser(path))
        try:
            if create:
                mount.refuse_unmounted(self.path)
                os.makedirs(self.path, 0o700, exist_ok=True)
            self.fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise TaskError(f"the target {self.path} cannot be used: {os_reason(error)}") from error

    def __enter__(self) -> Target:
        """It is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the descriptor."""
        os.close(self.fd)

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        status = os.fstat(self.fd)
        return status.st_dev, status.st_ino

    def free_bytes(self) -> int:
        """Return what this user may still write."""
        status = os.fstatvfs(self.fd)
        return status.f_bavail * status.f_frsize

    def reserve_bytes(self, wanted: int | None = None) -> int:
        """Return what is to stay free: 2 % of the file system, at most 1 GiB, unless the job says otherwise."""
        if wanted is not None:
            return wanted
        status = os.fstatvfs(self.fd)
        return min(RESERVE_MAX, int(status.f_blocks * status.f_frsize * RESERVE_SHARE))

    def names(self) -> list[str]:
        """Return all names in the folder, sorted."""
        return sorted(os.listdir(self.fd))

    def size(self, file_name: str) -> int | None:
        """Return the size of a regular file, or `None` when there is none by that name."""
        try:
            status = os.stat(file_name, dir_fd=self.fd, follow_symlinks=False)
        except OSError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def open(self, file_name: str) -> int:
        """Return a descriptor of a regular file to read, never through a link; raises `OSError`."""
        fd = os.open(file_name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.fd)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise FileNotFoundError(2, "not a regular file", file_name)
        return fd

    def head(self, archive_id: str) -> Head:
        """Return the head of a manifest; raises `CorruptError` or `OSError`."""
        with os.fdopen(self.open(archive_id + name.MANIFEST), "rb") as file:
            head = manifest.decode_head(file.readline(manifest.MAX_HEAD))
        return self._checked(head, archive_id)

    def manifest(self, archive_id: str) -> tuple[Head, tuple[Entry, ...]]:
        """Return the whole manifest; raises `CorruptError` or `OSError`."""
        head, entries = manifest.decode(self.read(archive_id + name.MANIFEST))
        return self._checked(head, archive_id), entries

    def entries(self, archive_id: str) -> Iterator[Entry]:
        """Yield the entries of a manifest, one in memory at a time; raises `CorruptError` or `OSError`.

        Whether they are those of its head shows at the end only.
        """
        digest = hashlib.sha256()
        with os.fdopen(self.open(archive_id + name.MANIFEST), "rb") as file:
            head = manifest.decode_head(file.readline(manifest.MAX_HEAD))
            for line in file:
                digest.update(line)
                yield manifest.decode_entry(line)
        if digest.hexdigest() != head.entries_sha256:
            raise CorruptError("the manifest is damaged: its entries do not match their checksum")

    def entry_blocks(self, archive_id: str) -> Iterator[bytes]:
        """Yield the lines of a manifest but for the first, in blocks; raises `OSError`."""
        with os.fdopen(self.open(archive_id + name.MANIFEST), "rb") as file:
            file.readline(manifest.MAX_HEAD)
            while block := file.read(BLOCK):
                yield block

    def check_entries(self, archive_id: str) -> None:
        """Raise `CorruptError` when the entries of a manifest are not those of its head; `OSError`."""
        digest = hashlib.sha256()
        for block in self.entry_blocks(archive_id):
            digest.update(block)
        if digest.hexdigest() != self.head(archive_id).entries_sha256:
            raise CorruptError("the manifest is damaged: its entries do not match their checksum")

    def read(self, file_name: str) -> bytes:
        """Return all of a file; raises `OSError`."""
        with os.fdopen(self.open(file_name), "rb") as file:
            return file.read()

    @staticmethod
    def _checked(head: Head, archive_id: str) -> Head:
        if head.id != archive_id or name.split(head.archive) != (archive_id, head.archive[len(archive_id) :]):
            raise CorruptError(f"the manifest is of another archive: {head.id}")
        return head

    def replace(self, file_name: str, blocks: Iterable[bytes]) -> None:
        """Write a file whole or not at all, whoever else writes it."""
        at_work = name.partial(file_name, secrets.token_hex(8))
        self.stage(file_name, blocks, at_work)
        try:
            self.rename(at_work, file_name)
        except OSError:
            self.remove(at_work)
            raise
        self.sync()

    def stage(self, file_name: str, blocks: Iterable[bytes], at_work: str | None = None) -> None:
        """Write a file under a name at work, synced; `None` is the one that `sweep` can finish."""
        at_work = at_work or name.partial(file_name)
        self.remove(at_work)
        try:
            fd = os.open(
                at_work, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self.fd
            )
            try:
                for block in blocks:
                    view = memoryview(block)
                    while view:
                        view = view[os.write(fd, view[:BLOCK]) :]
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            self.remove(at_work)
            raise full_or_failed(error, file_name) from error

    def rename(self, old: str, new: str) -> None:
        """Give a file another name in this folder."""
        os.rename(old, new, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def remove(self, file_name: str) -> None:
        """Remove a file; none there is fine."""
        try:
            os.unlink(file_name, dir_fd=self.fd)
        except FileNotFoundError:
            return

    def sync(self) -> None:
        """Bring the names to the disk, where the file system can do that for a folder."""
        try:
            os.fsync(self.fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
                raise

    def commit(self, head: Head, entries: Iterable[bytes], sums: Iterable[bytes]) -> None:
        """Give an archive that is whole, synced and verified its final name; its manifest comes last.

        All three files lie ready before the first is renamed, so `sweep` can finish what a crash leaves.
        """
        manifest_name, sums_name = head.id + name.MANIFEST, head.id + name.SUMS
        self.stage(sums_name, sums)
        self.stage(manifest_name, chain((manifest.encode_head(head),), entries))
        self._finish(head)
        if _HOW_TO_NAME not in self.names():
            with contextlib.suppress(OSError, TaskError):  # the backup is good without it
                self.stage(_HOW_TO_NAME, (_HOW_TO.encode(),))
                self.rename(name.partial(_HOW_TO_NAME), _HOW_TO_NAME)

    def abandon(self, archive: str) -> None:
        """Remove the files at work of an archive, unless it has its final name: then `sweep` can finish it."""
        if name.partial(archive) in self.names():
            archive_id, _ = name.split(archive) or ("", "")
            for each in (archive_id + name.MANIFEST, archive_id + name.SUMS, archive):
                self.remove(name.partial(each))

    def _finish(self, head: Head) -> None:
        for file_name in (head.archive, head.id + name.SUMS, head.id + name.MANIFEST):
            if name.partial(file_name) in self.names():
                self.rename(name.partial(file_name), file_name)
        self.sync()

    def sweep(self, job: str) -> None:
        """Finish or remove what a killed run of `job` left; to be called under its lock."""
        at_work = [(each, final) for each in self.names() if (final := name.whole(each)) and _job_of(final) == job]
        for each, final in at_work:
            archive_id, ending = name.split(final) or ("", "")
            if each == name.partial(final) and ending == name.MANIFEST and (head := self._finishable(archive_id)):
                self._finish(head)
        for each, _ in at_work:
            self.remove(each)

    def _finishable(self, archive_id: str) -> Head | None:
        """Return the head of a manifest at work whose archive already has its final name."""
        try:
            head, _ = manifest.decode(self.read(name.partial(archive_id + name.MANIFEST)))
        except (CorruptError, OSError):
            return None
        whole = self.size(head.archive) == head.statistics.archive_bytes
        return head if whole and self.size(archive_id + name.MANIFEST) is None else None


def _job_of(file_name: str) -> str | None:
    parts = name.split(file_name)
    parsed = name.parse_id(parts[0]) if parts else None
    return parsed[0] if parsed else None
