"""What the files of an archive are called, and which names are ours.

`<job>_<UTC>_<sequence>` is the id; the ending says what it is. Names that begin with a dot are at work: a file under
its final name is whole.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from mltop.tasks.outcome import display

ENDINGS = {"zstd": ".tar.zst", "gzip": ".tar.gz", "none": ".tar"}
MANIFEST = ".manifest.jsonl"
SUMS = ".sha256"
PARTIAL = ".partial"
TRASH = ".trash"
_FOREIGN = re.compile(r"models_backup_[^/]*\.tar\.gz")
_FOREIGN_ENDING = ".tar.gz"

_ID = re.compile(r"(?P<job>[a-z0-9][a-z0-9_-]{0,62})_(?P<utc>[0-9]{8}T[0-9]{6}Z)_(?P<sequence>[0-9]{6,18})")
_JOB = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_TOKEN = re.compile(r"\.[0-9a-f]{16}\Z")
_ENDINGS = (*ENDINGS.values(), MANIFEST, SUMS)


def is_job_id(text: str) -> bool:
    """Whether `text` can be the id of a job (D24)."""
    return _JOB.fullmatch(text) is not None


def make_id(job: str, created: datetime, sequence: int) -> str:
    """Return the id of a new archive."""
    return f"{job}_{created.astimezone(UTC):%Y%m%dT%H%M%SZ}_{sequence:06d}"


def parse_id(archive_id: str) -> tuple[str, int] | None:
    """Return job and sequence of one of our ids, or `None` when it is not ours."""
    match = _ID.fullmatch(archive_id)
    return (match["job"], int(match["sequence"])) if match else None


def split(name: str) -> tuple[str, str] | None:
    """Return id and ending of a file that is ours by its name, or `None`."""
    for ending in _ENDINGS:
        if name.endswith(ending) and parse_id(stem := name[: -len(ending)]):
            return stem, ending
    return None


def is_foreign(name: str) -> bool:
    """Whether a file is an archive of the scripts that came before: listed, verified, restored, never deleted.

    A job may be called as their archives were; what has one of our ids is ours. A name that is no text is nobody's: it
    could be neither shown nor typed.
    """
    return _FOREIGN.fullmatch(name) is not None and split(name) is None and display(name) == name


def foreign_id(name: str) -> str:
    """Return what a foreign archive is called by."""
    return name.removesuffix(_FOREIGN_ENDING)


def foreign(archive_id: str) -> str | None:
    """Return the file of a foreign archive by its id, or `None` when it is not the id of one."""
    name = archive_id + _FOREIGN_ENDING
    return name if is_foreign(name) else None


def partial(name: str, token: str = "") -> str:
    """Return the name a file has until it is whole; `token`, hex digits, keeps two that write it at once apart."""
    return f".{name}.{token}{PARTIAL}" if token else f".{name}{PARTIAL}"


def whole(name: str) -> str | None:
    """Return the final name of one of our files at work, or `None` when it is not one."""
    if not name.startswith(".") or not name.endswith(PARTIAL):
        return None
    final = _TOKEN.sub("", name[1 : -len(PARTIAL)])
    return final if split(final) else None


def lock_name(job: str) -> str:
    """Return the name of the lock in the target folder; it holds the stamp of the last run and is never removed."""
    return f".mltop-{job}.lock"
