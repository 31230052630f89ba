"""Changing what is not mltop's: one line of one's own crontab; of the system's crontabs and timers, whether it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mltop.commands.jobs.asked import Asked, CommandError
from mltop.commands.jobs.operate import Made, operate
from mltop.commands.jobs.system_file import switched
from mltop.commands.parser import ExitCode
from mltop.jobs.crontab.own import Crontab
from mltop.jobs.crontab.text import Entry, edited, ended, entries, toggled
from mltop.jobs.plan.change import Change, Kind
from mltop.jobs.plan.plan import Plan
from mltop.jobs.schedule.schedule import ScheduleFault, parse
from mltop.jobs.systemd import switch
from mltop.jobs.systemd.manager import SystemdError

Edit = Callable[[bytes, Entry], bytes]


def edit(asked: Asked, values: Sequence[str]) -> int | None:
    """Change schedule or command of a crontab's line; `None` where the id is of none."""
    if asked.options.id.startswith(("cron.", "crontab-system-")):
        raise CommandError(["what is the system's is run, paused or adopted here, and edited in its file"])
    if not asked.options.id.startswith("crontab-"):
        return None
    words = {key.strip(): value for key, _, value in (text.partition("=") for text in values)}
    if not words or not words.keys() <= {"schedule", "command"}:
        raise CommandError(["of a crontab's line, --set schedule=… and --set command=… can be changed"], ExitCode.USAGE)
    try:
        parse(words.get("schedule", "@daily")).cron()
    except ScheduleFault as fault:
        raise CommandError([str(fault)], ExitCode.USAGE) from None
    return _line(asked, "edit", lambda data, entry: edited(data, entry, words.get("schedule"), words.get("command")))


def pause(asked: Asked, is_on: bool) -> int | None:
    """Pause or resume a crontab's line, a script of cron.daily, or a timer; `None` where the id is of none."""
    id = asked.options.id
    name = "enable" if is_on else "disable"
    if id.endswith(".timer"):
        return operate(asked, name, lambda: Made(Plan(changes=timer_changes(asked, id, is_on))), id)
    if id.startswith(("cron.", "crontab-system-")):
        if "system" not in asked.site.scopes():
            how = "without --config" if asked.site.is_root else f"sudo mltop jobs {name} {id}"
            raise CommandError([f"{id} is the system's: {how}"])
        return operate(asked, name, lambda: Made(Plan(changes=switched(id, is_on))), id)
    if not id.startswith("crontab-"):
        return None
    return _line(asked, name, lambda data, entry: data if entry.is_enabled is is_on else toggled(data, entry))


def _line(asked: Asked, name: str, change: Edit) -> int:
    id = asked.options.id
    return operate(asked, name, lambda: Made(_planned(asked, id, change)), id)


def _planned(asked: Asked, id: str, change: Edit) -> Plan:
    data = Crontab(asked.site.state, asked.site.environment).read()
    entry = next((one for one in entries(data, "crontab") if one.id == id), None)
    if entry is None:
        raise CommandError([f"no line {id} in your crontab: its text may have changed; see mltop jobs list"])
    try:
        after = ended(change(data, entry))
    except ValueError as error:
        raise CommandError([str(error)], ExitCode.USAGE) from None
    made = Change(kind=Kind.CRONTAB, path="crontab", before=data, after=after)
    return Plan(changes=(made,) if data != after else ())


def timer_changes(asked: Asked, id: str, is_on: bool) -> tuple[Change, ...]:
    """What switches somebody's timer; raises CommandError."""
    scope, unit = switch.scope_and_unit(id)
    before = timer_state(asked, id)
    try:
        after = switch.on(scope, asked.site.environment, unit, before) if is_on else switch.off(unit, before)
    except SystemdError as error:
        raise CommandError([str(error)]) from None
    return _brought(id, before, after)


def timer_brought(asked: Asked, id: str, after: bytes) -> tuple[Change, ...]:
    """What brings somebody's timer into a state; raises CommandError."""
    return _brought(id, timer_state(asked, id), after)


def _brought(id: str, before: bytes, after: bytes) -> tuple[Change, ...]:
    scope, unit = switch.scope_and_unit(id)
    kind = Kind.SYSTEM_TIMER if scope == "system" else Kind.USER_TIMER
    return (Change(kind=kind, path=unit, before=before, after=after),) if before != after else ()


def timer_state(asked: Asked, id: str) -> bytes:
    """How somebody's timer stands; raises CommandError."""
    scope, unit = switch.scope_and_unit(id)
    try:
        return switch.state(scope, asked.site.environment, unit)
    except SystemdError as error:
        raise CommandError([str(error)]) from None
