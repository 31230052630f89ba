"""A second reader of mltop's own lines, before they are installed: python-crontab, one line at a time.

Of a whole crontab it keeps too little (comments with a `=`, variables, odd schedules go), so it never sees one.
"""

from __future__ import annotations

from collections.abc import Iterable

from mltop.jobs.crontab.line import is_marked, owned


def misread(lines: Iterable[bytes]) -> list[bytes]:
    """Those of mltop's lines that another reader of crontabs takes for something else than the job that they call."""
    return [raw for raw in lines if is_marked(raw) and not raw.startswith(b"#") and _is_misread(raw)]


def _is_misread(raw: bytes) -> bool:
    import logging

    from crontab import CronTab

    logging.getLogger("crontab").setLevel(logging.CRITICAL)  # what it cannot read it tells the terminal
    ours = owned(raw)
    if ours is None:
        return True
    read = list(CronTab(tab=raw.decode("utf-8", "replace").rstrip("\n") + "\n"))
    wanted = " ".join(ours.call.argv(ours.id))
    # a schedule that it cannot read (cron knows more of them) leaves it without a job, and says nothing of the command
    return any(item.enabled is not True or str(item.command) != wanted for item in read)
