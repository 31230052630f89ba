"""mltop's units in a folder of systemd's, against what the config wants there."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from mltop.jobs.crontab.block import Choice
from mltop.jobs.plan.change import Change, Kind
from mltop.jobs.plan.wish import Wish
from mltop.jobs.program import ProgramError
from mltop.jobs.scheduler import manager_off
from mltop.jobs.site import Site
from mltop.jobs.systemd import unit
from mltop.jobs.systemd.manager import systemctl
from mltop.model.job import Drift

SYSTEM_UNITS = Path("/etc/systemd/system")
_WANTS = "timers.target.wants"
_QUESTION = ("show", "--property=Id,ActiveState", "--")
_DEADLINE_S = 5.0
STOPPED = b" (stopped)\n"
"""Behind the link of a timer that is enabled, and that somebody stopped."""


class Piece(msgspec.Struct, frozen=True):
    """A plan's part for one scheduler."""

    drifts: dict[str, Drift] = {}
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    faults: dict[str, str] = {}
    """Why a job cannot be put there."""


class Folder(msgspec.Struct, frozen=True):
    """A folder of units: mltop's files by name, and the timers that are enabled."""

    path: Path
    files: dict[str, bytes] = {}
    links: frozenset[str] = frozenset()
    """Units that are links, which mltop never makes: a mask leads to /dev/null."""
    enabled: frozenset[str] = frozenset()
    stopped: frozenset[str] = frozenset()
    """Timers that are enabled and do not wait for their time: somebody stopped them."""
    altered: tuple[str, ...] = ()
    """Files beside the units that change what they say: drop-ins."""
    off: str | None = None
    """Why no manager reads it now."""


def folder(scope: str, site: Site) -> Path:
    """Where units of a scope are written."""
    if scope == "system":
        return SYSTEM_UNITS
    base = site.environment.get("XDG_CONFIG_HOME", "")
    home = site.environment.get("HOME", "/")
    return (Path(base) if base.startswith("/") else Path(home) / ".config") / "systemd" / "user"


def look(scope: str, site: Site, told: Collection[str] | None = None, *, is_asked: bool = False) -> Folder:
    """What is there; raises OSError.

    `told` are the timers that wait for their time, from who asked already, and `None` where the manager did not say.
    """
    path = folder(scope, site)
    files, links, altered = {}, set(), []
    if path.is_dir():
        for entry in sorted(os.scandir(path), key=lambda one: one.name):
            if unit.id_of(entry.name) is not None and entry.is_file(follow_symlinks=False):
                files[entry.name] = Path(entry.path).read_bytes()
            elif unit.id_of(entry.name) is not None and entry.is_symlink():
                links.add(entry.name)
            elif unit.id_of(entry.name.removesuffix(".d")) is not None and entry.is_dir():
                altered += sorted(str(one) for one in Path(entry.path).glob("*.conf"))
    enabled = frozenset(name for name in files if os.path.lexists(path / _WANTS / name))
    off = manager_off(scope, site.environment)
    active = told if is_asked or off is not None or not enabled else _active(scope, site, enabled)
    stopped = frozenset() if active is None else enabled - frozenset(active)
    return Folder(path, files, frozenset(links), enabled, stopped, tuple(altered), off)


def _active(scope: str, site: Site, names: Collection[str]) -> frozenset[str] | None:
    """Those of the timers that wait for their time; `None` where the manager does not say."""
    try:
        answer = systemctl(scope, site.environment, *_QUESTION, *sorted(names), deadline_s=_DEADLINE_S)
    except ProgramError:
        return None
    blocks = answer.out.decode("utf-8", "replace").split("\n\n")
    found = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in blocks]
    if answer.code != 0 or not all("ActiveState" in one for one in found):
        return None
    return frozenset(one.get("Id", "") for one in found if one["ActiveState"] in ("active", "activating", "reloading"))


def piece(scope: str, wanted: Sequence[Wish], site: Site, have: Folder, choice: Choice) -> Piece:
    """How each job stands in a folder, and the files to write."""
    want = {wish.id: wish for wish in wanted if wish.backend == "systemd" and wish.job.scope == scope}
    known = {wish.id for wish in wanted}
    faulty = {wish.id for wish in wanted if wish.fault is not None}
    drifts: dict[str, Drift] = {}
    changes: list[Change] = []
    notes: list[str] = []
    faults: dict[str, str] = {}
    ids = {unit.id_of(name) or "" for name in have.files}
    for id in sorted(ids | set(want)):
        files = want[id].units if id in want else {}
        owner = _owner(id, have, site)
        if owner is not None:
            if id in want:
                faults[id] = f"{id}: {owner}"
                drifts[id] = Drift.MISSING
            continue
        drift = _drift(id, files, have, is_known=id in known)
        drifts[id] = drift
        notes += _by_hand(id, have)
        if drift is Drift.IN_SYNC or id in faulty or choice.leaves(id, drift):
            continue
        changes += _changes(scope, id, files, have)
    if changes and have.off is not None:
        notes.append(f"{have.path}: {have.off}")
        changes = []
    return Piece(drifts, tuple(changes), tuple(notes), faults)


def _owner(id: str, have: Folder, site: Site) -> str | None:
    """Whose the units are, where they are not this config's."""
    service, timer = unit.names(id)
    for name in (service, timer):
        if name in have.links:
            return f"{have.path / name} is a link that mltop did not make, a mask perhaps: it stays; take it away"
        data = have.files.get(name)
        if data is None:
            continue
        owned = unit.owned(name, data)
        if owned is None:
            return f"{have.path / name} is not mltop's: it stays; give it, or the job, another name"
        call = owned.call
        if call is not None and all((call.config, call.state) != (one.config, one.state) for one in site.calls()):
            other = call.config or "the default"
            return f"{have.path / name} is of another config ({other}): it stays; give the job another name"
    return None


def _by_hand(id: str, have: Folder) -> list[str]:
    """What was done to a job's units without a change of their files."""
    names = unit.names(id)
    found = [f"{id}: {names[1]} is stopped: nothing starts it"] if names[1] in have.stopped else []
    beside = tuple(f"/{name}.d/" for name in names)
    return found + [
        f"{id}: {path} changes what mltop wrote: it stays"
        for path in have.altered
        if any(one in path for one in beside)
    ]


def _drift(id: str, files: dict[str, bytes], have: Folder, *, is_known: bool) -> Drift:
    names = unit.names(id)
    found = {name: have.files[name] for name in names if name in have.files}
    if not found:
        return Drift.MISSING
    if not is_known:
        return Drift.ORPHANED
    is_enabled = names[1] in have.enabled - have.stopped
    if found == files and is_enabled:
        return Drift.IN_SYNC
    if len(found) < len(names) or not is_enabled:
        return Drift.DRIFTED
    owned = [unit.owned(name, data) for name, data in found.items()]
    return Drift.CHANGED if all(one is not None and one.is_intact for one in owned) else Drift.DRIFTED


def _changes(scope: str, id: str, files: dict[str, bytes], have: Folder) -> list[Change]:
    kind = Kind.SYSTEM_UNIT if scope == "system" else Kind.USER_UNIT
    made = [
        Change(kind=kind, path=str(have.path / name), before=have.files.get(name), after=files.get(name))
        for name in unit.names(id)
    ]
    timer = unit.names(id)[1]
    link = f"-> {have.path / timer}\n".encode()
    old = link.removesuffix(b"\n") + STOPPED if timer in have.stopped else link
    made.append(
        Change(
            kind=kind,
            path=str(have.path / _WANTS / timer),
            before=old if timer in have.enabled else None,
            after=link if files else None,
        )
    )
    return [change for change in made if change.before != change.after]


def is_link(path: str) -> bool:
    """Whether a change is of the link that enables a timer."""
    return Path(path).parent.name == _WANTS
