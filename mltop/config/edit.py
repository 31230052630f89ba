"""Edits of a config file: shown as a difference first, judged, then written whole with the old file kept."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from mltop.config.change import Change, changed, changed_text, same
from mltop.config.document import Document, Files, Scope, parse_document, read_bytes
from mltop.config.fault import Fault
from mltop.config.jobs import ScheduleCheck, judge
from mltop.system.file import try_lock, write_atomic

KEPT = 10
"""Old files: `config.toml.bak`, then `.bak.2` to `.bak.10`."""
ALONE = Files()
"""No other files."""
_PATIENCE_S = 5.0
_PAUSE_S = 0.02
_MARK = "\ufeff"
_NEW = "version = 1\n"


class Edit(msgspec.Struct, frozen=True):
    """An edit that was judged and is not written yet."""

    file: Path
    before: bytes | None
    """`None`: there is no file yet."""
    after: bytes

    def diff(self) -> str:
        """What it changes, as a unified diff; empty where nothing."""
        import difflib

        before = (self.before or b"").decode("utf-8", "replace").splitlines(keepends=True)
        after = self.after.decode("utf-8", "replace").splitlines(keepends=True)
        old = "/dev/null" if self.before is None else str(self.file)
        lines = difflib.unified_diff(before, after, old, str(self.file))
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def preview(
    file: Path,
    changes: Iterable[Change],
    files: Files = ALONE,
    *,
    check_schedule: ScheduleCheck | None = None,
) -> Edit:
    """What changes would make of a file; writes nothing. Raises `Fault` where one cannot be made or brings a fault.

    `files`: all that were read (`job_files`), among which a name and a target must be the only ones.
    """
    before = _before(file)
    mark, text = _text(before, file)
    for change in changes:
        raw = parse_document(file, text).raw
        expected = changed(raw, change)
        text = changed_text(text, change)
        if not same(_parsed(text, file), expected):
            raise Fault([f"{file}: this edit would change more than it should: edit the file by hand"])
    return _judged(file, before, mark, text, files, check_schedule)


def preview_text(
    file: Path,
    text: str,
    files: Files = ALONE,
    *,
    check_schedule: ScheduleCheck | None = None,
) -> Edit:
    """The same for a whole new text, as an editor leaves it."""
    before = _before(file)
    mark, _ = _text(before, file)
    return _judged(file, before, mark, text.removeprefix(_MARK), files, check_schedule)


def write(edit: Edit, *, is_shared: bool = False) -> None:
    """Write it, the old file kept beside it; raises `Fault` where the file is another by now, and OSError.

    A new file, and folders that are missing, are their owner's alone, unless they are shared: the system's config is
    read by every user's mltop. A link is followed; mode and owner of a file that is there stay.
    """
    file = edit.file.resolve()
    if file.exists() and not file.is_file():
        raise Fault([f"{edit.file}: not a file: give the config another place (--config)"])
    make_folder(file.parent, 0o755 if is_shared else 0o700)
    lock = _lock(file.with_name(f".{file.name}.lock"))
    try:
        if _before(file) != edit.before:
            raise Fault([f"{edit.file}: changed since you looked"])
        if edit.after == edit.before:
            return
        keep_old(file)
        replace(file, edit.after, 0o644 if is_shared else 0o600)
    finally:
        os.close(lock)


def replace(file: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file whole; one that is there keeps its mode and owner. Raises OSError."""
    try:
        status = file.stat()
    except FileNotFoundError:
        write_atomic(file, data, mode)
        return
    if not stat.S_ISREG(status.st_mode):  # a device would be gone for everybody
        raise OSError(errno.EINVAL, "not a file", str(file))
    write_atomic(file, data, status.st_mode & 0o7777)
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(PermissionError):
            os.chown(file, status.st_uid, status.st_gid)


def keep_old(file: Path) -> None:
    """Keep a copy of a file as `.bak`, and those before it; raises OSError."""
    try:
        data, mode = read_bytes(file), file.stat().st_mode & 0o7777
    except FileNotFoundError:
        return
    names = [file.with_name(file.name + ".bak" + (f".{number}" if number > 1 else "")) for number in range(1, KEPT + 1)]
    for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
        with contextlib.suppress(FileNotFoundError):
            newer.rename(older)
    write_atomic(names[0], data, mode)


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make a folder and those above it that are missing, of that mode whatever the umask; raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    try:
        folder.mkdir(mode)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return  # another was as fast
    folder.chmod(mode)


def _before(file: Path) -> bytes | None:
    try:
        return read_bytes(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Fault([f"{file}: cannot be read: {error.strerror or 'is a directory'}"]) from None


def _text(before: bytes | None, file: Path) -> tuple[str, str]:
    """A mark of byte order, and the text."""
    try:
        text = _NEW if before is None else before.decode()
    except UnicodeDecodeError as error:
        raise Fault([f"{file}: not UTF-8 (byte {error.start})"]) from None
    return (_MARK, text[1:]) if text.startswith(_MARK) else ("", text)


def _parsed(text: str, file: Path) -> dict[str, object] | None:
    try:
        return parse_document(file, text).raw
    except Fault:
        return None


def _judged(
    file: Path, before: bytes | None, mark: str, text: str, files: Files, check_schedule: ScheduleCheck | None
) -> Edit:
    """The edit, when it brings no fault that was not there; whoever repairs a file does it step by step."""
    known = [document for document in files.documents if document.path == file]
    name, scope = (known[0].source.name, known[0].scope) if known else (file.name, _scope(files, file))
    after = parse_document(file, text, name, scope)
    old: set[str] = set()
    with contextlib.suppress(Fault):  # it was no TOML: then every fault is a new one
        earlier = _with(files, parse_document(file, _text(before, file)[1], name, scope))
        old = {_placeless(line) for line in judge(earlier, check_schedule).faults}
    faults = [line for line in judge(_with(files, after), check_schedule).faults if _placeless(line) not in old]
    if faults:
        raise Fault(faults)
    return Edit(file, before, (mark + text).encode())


def _scope(files: Files, file: Path) -> Scope:
    system = {document.path.parent for document in files.documents if document.scope == "system"}
    return "system" if file.parent in system else "user"


def _with(files: Files, document: Document) -> Files:
    """The files as they would be."""
    others = files.documents
    if all(one.path != document.path for one in others):
        others = (*others, document)
    replaced = tuple(document if one.path == document.path else one for one in others)
    return files._replace(documents=replaced)


def _placeless(line: str) -> str:
    """A fault without its lines' numbers, which an edit moves."""
    return re.sub(r":\d+\b", "", line)


def _lock(path: Path) -> int:
    deadline = time.monotonic() + _PATIENCE_S
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise Fault([f"{path}: another mltop is writing this file"])
        time.sleep(_PAUSE_S)
    return descriptor
