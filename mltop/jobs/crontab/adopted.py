"""A line that became a job: commented out with a tag, never deleted, and given back byte for byte (J23)."""

from __future__ import annotations

from mltop.jobs.crontab.text import Entry, lines, replaced


def _tag(id: str) -> bytes:
    return b"# mltop:adopted:%s " % id.encode()


def adopted(data: bytes, entry: Entry, id: str) -> bytes:
    """The file with the line out of cron's reach, tagged with the job that it became; raises ValueError."""
    if has_adopted(data, id):
        raise ValueError(f"a line that became {id} stands there already: mltop jobs unadopt {id}, or another name")
    return replaced(data, entry, _tag(id) + entry.raw)


def has_adopted(data: bytes, id: str) -> bool:
    """Whether a line stands there that became this job."""
    return any(line.startswith(_tag(id)) for line in lines(data))


def restored(data: bytes, id: str) -> bytes:
    """The file with the line as it was before it became this job; the same where there is none."""
    tag = _tag(id)
    return b"".join(line.removeprefix(tag) for line in lines(data))
