"""Whether what runs can be noted, and read again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mltop.jobs.doctor.scene import Scene
from mltop.jobs.doctor.symptom import Report, fault, ok, warning
from mltop.jobs.history.history import History
from mltop.model.doctor import Symptom
from mltop.system.text import clean

_SHORT_BYTES = 64 << 20
_REMEDY = "mend the folder's owner and mode, or name another: --state-dir"


def look(scene: Scene) -> Report:
    """Look at the state's folder and the history in it; nothing is made."""
    history = History(scene.site.state)
    found = list(writable(history.place.state))
    history.runs(limit=1)
    found += readable(history.notes, str(history.place.history))
    spooled = _size(history.place.spool)
    if spooled:
        what = f"{spooled} bytes of runs wait in the spool: they could not be written to the history"
        remedy = f"if {history.place.history} cannot be mended, move it away: the next run makes a new one"
        found.append(warning("state.spool", what, remedy, str(history.place.spool)))
    return Report(tuple(found))


def writable(folder: Path) -> Iterator[Symptom]:
    """Whether files can be made there, or the folder itself in the one above that exists."""
    above = folder
    while not above.exists() and above != above.parent:
        above = above.parent
    if not above.is_dir():
        yield fault("state.writable", f"{above} is not a folder", _REMEDY, str(folder))
        return
    try:
        room = os.statvfs(above)
    except OSError as error:
        yield fault("state.writable", f"{above}: {error.strerror}", _REMEDY, str(folder))
        return
    if room.f_flag & os.ST_RDONLY or not os.access(above, os.W_OK | os.X_OK):
        yield fault("state.writable", f"{above} cannot be written: runs are noted nowhere", _REMEDY, str(folder))
    elif room.f_bavail * room.f_frsize < _SHORT_BYTES or (room.f_files and not room.f_favail):
        what = f"the disk of {above} is nearly full: logs and history will be lost"
        yield fault("state.writable", what, "mltop cleanup, or a state on another disk: --state-dir", str(folder))
    else:
        yield ok("state.writable", f"{folder} can be written", str(folder))


def readable(notes: Iterable[str], where: str) -> Iterator[Symptom]:
    """What kept the history from being read whole."""
    lines = list(notes)
    for line in lines:
        remedy = f"move {where} away: the next run makes a new one, and takes the spool in"
        yield fault("state.history", clean(line, 300), remedy, where)
    if not lines:
        yield ok("state.history", "the history can be read", where)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
