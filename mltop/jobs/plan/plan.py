"""The config against the schedulers: what is in step, and what `apply` would write (J22). Looking changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from mltop.config.derived import DRILL
from mltop.config.job import JobConfig
from mltop.jobs.crontab import block
from mltop.jobs.crontab import line as cron_line
from mltop.jobs.crontab.block import Choice, Resolve
from mltop.jobs.crontab.own import Crontab, CrontabError
from mltop.jobs.crontab.stray import strays, without
from mltop.jobs.crontab.taken import is_debians, why_stopped
from mltop.jobs.crontab.text import BlockFault, Parts, parts, variables, with_block
from mltop.jobs.plan.change import BEGUN, Change, Kind, diff, read
from mltop.jobs.plan.wish import Wish, wishes
from mltop.jobs.site import Site, SiteError
from mltop.jobs.systemd import place as unit_place
from mltop.model.job import Drift
from mltop.system.text import clean

CRON_D = Path("/etc/cron.d/mltop")
_CRON_D_HEAD = b"# Made by mltop from its config: change it there, then `mltop jobs apply`.\n"
_RANK = (Drift.DRIFTED, Drift.MISSING, Drift.CHANGED, Drift.ORPHANED, Drift.IN_SYNC)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """How one job stands in its scheduler."""

    id: str
    drift: Drift | None = None
    """`None`: nothing can be said, `note` says why."""
    backend: str | None = None
    note: str | None = None
    is_fault: bool = False
    """The note is why it cannot be scheduled as its config has it."""
    retry_waits_s: tuple[float, ...] = ()
    """How long the wrapper waits before each further attempt."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What stands between the config and the schedulers."""

    steps: tuple[Step, ...] = ()
    changes: tuple[Change, ...] = ()
    """Files to write for it; hand edits are left out unless they were resolved."""
    notes: tuple[str, ...] = ()
    """What could not be looked at, in lines for people."""

    @property
    def faults(self) -> tuple[str, ...]:
        """Why some jobs cannot be scheduled."""
        return tuple(step.note for step in self.steps if step.is_fault and step.note)

    @property
    def drifted(self) -> tuple[str, ...]:
        """Jobs that were edited by hand in the scheduler."""
        return tuple(step.id for step in self.steps if step.drift is Drift.DRIFTED)

    def diff(self) -> str:
        """The unified diff of all files."""
        return diff(self.changes)


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """What the schedulers hold now."""

    crontab: bytes | None = None
    """`None`: there is none, or it cannot be read."""
    crontab_parts: Parts | None = None
    cron_d: bytes | None = None
    units: dict[str, unit_place.Folder] = {}
    """By scope, the units of mltop's."""
    notes: tuple[str, ...] = ()


def installed(
    site: Site, crontab: bytes | None = None, active: Mapping[str, Collection[str]] | None = None
) -> Installed:
    """Look at the schedulers. `crontab`, and by scope the `active` timers, are given by who read them already."""
    notes: list[str] = []
    found: Parts | None = None
    try:
        crontab = Crontab(site.state, site.environment).read() if crontab is None else crontab
        found = parts(crontab)
    except (CrontabError, BlockFault) as error:
        notes.append(str(error))
    units: dict[str, unit_place.Folder] = {}
    for scope in site.scopes():
        try:
            units[scope] = unit_place.look(scope, site, (active or {}).get(scope), is_asked=active is not None)
        except OSError as error:
            notes.append(f"{error.filename}: {error.strerror}")
    cron_d = _cron_d(site, notes)
    notes += _cut_short(site)
    return Installed(crontab=crontab, crontab_parts=found, cron_d=cron_d, units=units, notes=tuple(notes))


def _cut_short(site: Site) -> list[str]:
    """What an operation that was killed has left."""
    if not (site.state / BEGUN).exists():
        return []
    from mltop.jobs.plan.operation import Operations

    begun = Operations(site).cut_short()
    if begun is None:
        return []
    what = f"{begun.operation} {begun.target or ''}".strip()
    return [f"{what} of {begun.time} was cut short: mltop jobs undo takes back what it did"]


def _cron_d(site: Site, notes: list[str]) -> bytes | None:
    try:
        return read(CRON_D) if "system" in site.scopes() else None
    except OSError as error:
        notes.append(f"{CRON_D}: {error.strerror}")
        return None


def plan(
    jobs: Iterable[JobConfig],
    site: Site,
    resolve: Resolve = "keep",
    have: Installed | None = None,
    only: Iterable[str] | None = None,
) -> Plan:
    """What stands between these jobs and the schedulers; `resolve` says what becomes of hand edits.

    With `only`, the changes are those of some jobs, and of the drills that follow from them (D37).
    """
    choice = Choice(resolve, None if only is None else frozenset(id + end for id in only for end in ("", DRILL)))
    have = have or installed(site)
    wanted = wishes(jobs, site)
    pieces = [_crontab_piece(wanted, site, have, choice), _cron_d_piece(wanted, site, have, choice)]
    pieces += [unit_place.piece(scope, wanted, site, folder, choice) for scope, folder in have.units.items()]
    drifts: dict[str, list[Drift]] = {}
    for piece in pieces:
        for id, drift in piece.drifts.items():
            drifts.setdefault(id, []).append(drift)
    faults = {id: fault for piece in pieces for id, fault in piece.faults.items()}
    steps = [_retried(_step(wish, drifts.pop(wish.id, []), have, faults.get(wish.id)), wish.job) for wish in wanted]
    steps += [_orphan(id, found) for id, found in drifts.items() if id != cron_line.CATCH_UP]
    changes = [change for piece in pieces for change in piece.changes]
    notes = [*have.notes, *(note for piece in pieces for note in piece.notes)]
    return Plan(steps=tuple(steps), changes=tuple(changes), notes=tuple(dict.fromkeys(notes)))


def block_lines(have: Installed) -> list[bytes]:
    """The lines of mltop's block in the crontab."""
    return list((have.crontab_parts.block if have.crontab_parts else None) or ())


def cron_d_lines(have: Installed) -> list[bytes]:
    """The lines of mltop's file in /etc/cron.d."""
    return [line for line in (have.cron_d or b"").split(b"\n") if line and line + b"\n" != _CRON_D_HEAD]


def _step(wish: Wish, drifts: Sequence[Drift], have: Installed, taken: str | None) -> Step:
    """How a job stands; `taken` is what stands in its place."""
    if taken is not None:
        return Step(id=wish.id, backend=wish.backend, note=taken, is_fault=True, drift=_worst(drifts))
    if wish.fault is not None:
        return Step(id=wish.id, backend=wish.backend, note=wish.fault, is_fault=True, drift=_worst(drifts))
    if wish.backend == "cron" and have.crontab_parts is None:
        reason = have.notes[0] if have.notes else "the crontab cannot be read"
        return Step(id=wish.id, backend=wish.backend, note=reason, is_fault=True)
    if wish.backend is None:
        return Step(id=wish.id, drift=_worst(drifts) or Drift.IN_SYNC, note=wish.note)
    return Step(id=wish.id, drift=_worst(drifts), backend=wish.backend, note=wish.note)


def _retried(step: Step, job: JobConfig) -> Step:
    return msgspec.structs.replace(step, retry_waits_s=job.retry_waits_s) if job.retries else step


def _orphan(id: str, drifts: Sequence[Drift]) -> Step:
    return Step(id=id, drift=_worst(drifts), note="no longer in the config")


def _worst(drifts: Sequence[Drift]) -> Drift | None:
    return min(drifts, key=_RANK.index) if drifts else None


def _crontab_piece(wanted: Sequence[Wish], site: Site, have: Installed, choice: Choice) -> unit_place.Piece:
    if have.crontab is None or have.crontab_parts is None:
        return unit_place.Piece()
    lines = block_lines(have)
    outside = strays(have.crontab, site.calls())
    astray = frozenset(one.owned.id for one in outside)
    made, drifts, notes = _lines(lines, "cron", wanted, site, choice, astray)
    taken = [one for one in outside if not choice.leaves(one.owned.id, Drift.DRIFTED)]
    after = without(have.crontab, taken)
    if made != lines:
        after = with_block(after, made)
    notes += tuple(f"{one.owned.id}: line {one.number} of the crontab stands outside mltop's block" for one in outside)
    notes += _zone_note(have.crontab) if made else ()
    change = Change(kind=Kind.CRONTAB, path="crontab", before=have.crontab, after=after)
    return unit_place.Piece(drifts, (change,) if after != have.crontab else (), notes)


def _zone_note(crontab: bytes) -> tuple[str, ...]:
    """Where cron counts the block's lines in another zone than the box's."""
    above = variables(crontab)
    if "CRON_TZ" not in above or is_debians():
        return ()
    return (f"CRON_TZ={clean(above['CRON_TZ'], 60)} above mltop's block: its jobs run by that zone",)


def _cron_d_piece(wanted: Sequence[Wish], site: Site, have: Installed, choice: Choice) -> unit_place.Piece:
    if "system" not in site.scopes():
        return unit_place.Piece()
    lines = cron_d_lines(have)
    made, drifts, notes = _lines(lines, "cron.d", wanted, site, choice)
    notes += _cron_d_stopped(have.cron_d)
    after = _CRON_D_HEAD + b"".join(line + b"\n" for line in made) if made else None
    if made == lines:
        return unit_place.Piece(drifts, (), notes)
    change = Change(kind=Kind.CRON_D, path=str(CRON_D), before=have.cron_d, after=after)
    return unit_place.Piece(drifts, (change,), notes)


def _cron_d_stopped(data: bytes | None) -> tuple[str, ...]:
    """Why cron runs nothing of mltop's file, though all of it stands there."""
    if data is None:
        return ()
    stopped = why_stopped(CRON_D, data, owner=CRON_D.parent, is_debian=is_debians())
    if stopped is None:
        return ()
    line, why = stopped
    if line is None:
        remedy = f"find / -xdev -samefile {CRON_D}: take it away" if "link" in why else "chown root, chmod 644"
        return (f"{CRON_D}: {why}, so cron runs nothing of it ({remedy})",)
    return (f"{CRON_D}:{line}: cron cannot read this line ({why}), nor runs the others",)


def _lines(
    lines: list[bytes],
    backend: str,
    wanted: Sequence[Wish],
    site: Site,
    choice: Choice,
    astray: frozenset[str] = frozenset(),
) -> tuple[list[bytes], dict[str, Drift], tuple[str, ...]]:
    """The block as it should be, how each job stands in it, and what else is in it; some have lines outside it too."""
    calls = site.calls()
    have = block.found(lines, calls)
    want = _wanted_lines(backend, wanted, site)
    drifts = {}
    for id in {*have, *want}:
        if id in have or want.get(id):
            drifts[id] = block.drift(id, have.get(id), want.get(id))
    drifts |= dict.fromkeys(astray, Drift.DRIFTED)
    faulty = {wish.id for wish in wanted if wish.fault is not None}
    keep = faulty | {id for id, drift in drifts.items() if choice.leaves(id, drift)}
    made = block.merged(lines, calls, want, frozenset(keep))
    strange = sum(1 for line in lines if line.strip() and cron_line.owned(line) is None)
    notes = (f"{strange} lines in mltop's block are not mltop's: they stay",) if strange else ()
    return made, drifts, notes


def _wanted_lines(backend: str, wanted: Sequence[Wish], site: Site) -> Mapping[str, Sequence[bytes]]:
    want: dict[str, Sequence[bytes]] = {wish.id: wish.lines if wish.backend == backend else () for wish in wanted}
    late = [wish for wish in wanted if wish.backend == backend and wish.job.persistent and wish.lines]
    try:
        user = "root" if backend == "cron.d" else None
        want[cron_line.CATCH_UP] = cron_line.catch_up(site.call(late[0].job.scope), user) if late else ()
    except SiteError:
        want[cron_line.CATCH_UP] = ()  # said by the wish already
    return want
