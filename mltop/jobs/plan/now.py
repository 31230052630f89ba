"""What stands in a place now that a change is about, whatever kind of place it is."""

from __future__ import annotations

import os
from pathlib import Path

from mltop.jobs.crontab.own import Crontab
from mltop.jobs.plan.change import TIMER_SCOPES, Kind, read
from mltop.jobs.site import Site
from mltop.jobs.systemd import switch
from mltop.jobs.systemd.place import is_link


def now(kind: Kind, path: str, site: Site) -> bytes | None:
    """The content, `None` for none; raises OSError, CrontabError and SystemdError."""
    if kind is Kind.CRONTAB:
        return Crontab(site.state, site.environment).read()
    if kind in TIMER_SCOPES:
        return switch.state(TIMER_SCOPES[kind], site.environment, path)
    if is_link(path):
        link = Path(path)
        return f"-> {link.parent.parent / link.name}\n".encode() if os.path.lexists(link) else None
    return read(Path(path))
