"""Timers of a manager as they are: three questions a scope (D38), and only what means the same in every version.

Of `list-timers`, `left` and `passed` are never read: in systemd 252 they repeat `next` and `last`, later they are of
another clock.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec

from mltop.jobs.moment import utc
from mltop.jobs.program import Answer, ProgramError
from mltop.jobs.systemd.manager import systemctl
from mltop.jobs.systemd.switch import service_of
from mltop.model.job import Run, RunState

_DEADLINE_S = 5.0
_PROPERTIES = (
    "Id,LoadState,ActiveState,UnitFileState,FragmentPath,Description,TimersCalendar,TimersMonotonic,"
    "NextElapseUSecRealtime,NextElapseUSecMonotonic,LastTriggerUSec,Triggers,Persistent,RandomizedDelayUSec,"
    "Result,ExecMainStatus,ExecMainCode,ExecMainStartTimestamp,ExecMainExitTimestamp,ExecStart,InvocationID"
)
_EXPRESSION = re.compile(r"\{ (?:OnCalendar|On\w+Sec|OnClockChange|OnTimezoneChange)=(?P<value>[^;}]*?) ;")
_NAMED = re.compile(r"\{ (?P<name>On\w+?)(?:USec|Sec)?=(?P<value>[^;}]*?) ;")
_COMMAND = re.compile(r"argv\[\]=(?P<argv>.*?) ; ignore_errors=")
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(y|month|w|d|h|min|s|ms|us|μs)(?![a-z])")
_UNITS_S = {
    "y": 31557600.0, "month": 2629800.0, "w": 604800.0, "d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0,
    "ms": 1e-3, "us": 1e-6, "μs": 1e-6,
}  # fmt: skip
"""As systemd.time(7) has them."""
_FIRST_US = 10**15
"""Of 2001: nothing that is scheduled is older."""
_TIME = re.compile(r"(?:@(?P<epoch>\d+)|(?:\w{3} )?(?P<text>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC)")


class TimersError(Exception):
    """What keeps a manager's timers from being seen."""


class Timer(msgspec.Struct, frozen=True, kw_only=True):
    """One timer. Times are RFC 3339 in UTC."""

    unit: str
    service: str | None = None
    schedule: tuple[str, ...] = ()
    """OnCalendar as it is, others as `OnBoot=15min`."""
    next_run: str | None = None
    last_trigger: str | None = None
    last_run: Run | None = None
    """Of the service, as long as the manager remembers."""
    is_enabled: bool = True
    is_persistent: bool = False
    jitter_s: float = 0.0
    """RandomizedDelaySec."""
    path: str | None = None
    command: str | None = None
    description: str | None = None


class _Row(msgspec.Struct):
    unit: str
    activates: str | list[str] | None = None
    next: int | None = None
    last: int | None = None


class _File(msgspec.Struct):
    unit_file: str
    state: str = ""


def timers(scope: str, environment: Mapping[str, str]) -> list[Timer]:
    """All timers of a scope, the disabled ones too; raises TimersError."""
    rows = _rows(_asked(scope, environment, "list-timers", "--all", "--output=json"))
    files = _files(_asked(scope, environment, "list-unit-files", "--type=timer", "--output=json"))
    known = {row.unit: row for row in rows}
    names = list(dict.fromkeys([*known, *(name for name in files if not name.endswith("@.timer"))]))
    services = {name: _activated(known.get(name)) or service_of(scope, environment, name) for name in names}
    if not names:
        return []
    asked = _asked(scope, environment, "show", f"--property={_PROPERTIES}", "--", *names, *set(services.values()))
    shown = {block["Id"]: block for block in _blocks(asked.out.decode("utf-8", "replace")) if "Id" in block}
    return [_timer(name, known.get(name), services[name], shown, files) for name in sorted(names)]


def _asked(scope: str, environment: Mapping[str, str], *arguments: str) -> Answer:
    try:
        answer = systemctl(scope, environment, *arguments, deadline_s=_DEADLINE_S)
    except ProgramError as error:
        raise TimersError(str(error)) from None
    if answer.code != 0:
        raise TimersError(f"systemctl {arguments[0]}: {answer.complaint()}")
    return answer


def _rows(answer: Answer) -> list[_Row]:
    """Nothing where systemd is older than its JSON (247): then the unit files tell the names."""
    try:
        return msgspec.json.decode(answer.out, type=list[_Row])
    except msgspec.MsgspecError:
        return []


def _files(answer: Answer) -> dict[str, str]:
    try:
        return {one.unit_file: one.state for one in msgspec.json.decode(answer.out, type=list[_File])}
    except msgspec.MsgspecError:
        pairs = (line.split()[:2] for line in answer.out.decode("utf-8", "replace").splitlines())
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[0].endswith(".timer")}


def _activated(row: _Row | None) -> str | None:
    activates = row.activates if row else None
    if isinstance(activates, list):
        return activates[0] if activates else None
    return activates


def _blocks(text: str) -> Iterable[dict[str, str]]:
    """`show` of many units: KEY=VALUE lines, an empty line between; a key may come again."""
    for part in text.split("\n\n"):
        block: dict[str, str] = {}
        for line in part.splitlines():
            key, equals, value = line.partition("=")
            if equals:
                block[key] = f"{block[key]}\n{value}" if key in block else value
        yield block


def _timer(
    name: str, row: _Row | None, service: str, shown: Mapping[str, Mapping[str, str]], files: Mapping[str, str]
) -> Timer:
    block, ran = shown.get(name, {}), shown.get(service, {})
    command = _COMMAND.search(ran.get("ExecStart", ""))
    return Timer(
        unit=name,
        service=service,
        schedule=_schedule(block),
        next_run=_of_row(row.next if row else None) or _next(block),
        last_trigger=_of_row(row.last if row else None) or _of_text(block.get("LastTriggerUSec", "")),
        last_run=_run(name, ran),
        is_enabled=block.get("ActiveState") == "active",
        is_persistent=block.get("Persistent") == "yes",
        jitter_s=span_s(block.get("RandomizedDelayUSec", "")) or 0.0,
        path=block.get("FragmentPath") or None,
        command=command["argv"] if command else service,
        description=block.get("Description") or None,
    )


def _next(block: Mapping[str, str]) -> str | None:
    """The next time as systemctl(1) works it out: the earlier of the clock's, and of one counted from the box's start.

    That one does not count suspended time, so it is told from now (systemctl's own column was wrong for years).
    """
    found = []
    realtime = _of_text(block.get("NextElapseUSecRealtime", ""))
    if realtime is not None:
        found.append(realtime)
    monotonic = span_s(block.get("NextElapseUSecMonotonic", ""))
    if monotonic and block.get("TimersMonotonic"):
        ahead = monotonic - time.clock_gettime(time.CLOCK_MONOTONIC)
        found.append(utc(time.time() + max(0.0, ahead)))
    return min(found, default=None)


def span_s(text: str) -> float | None:
    """Seconds of a span as systemd writes it: `1h 30min`, `2d 4.5s`; `None` for none, and for `infinity`."""
    parts = _SPAN.findall(text)
    if not parts or _SPAN.sub("", text).strip():
        return None
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _schedule(block: Mapping[str, str]) -> tuple[str, ...]:
    calendar = [match["value"] for match in _EXPRESSION.finditer(block.get("TimersCalendar", ""))]
    others = [f"{match['name']}={match['value']}" for match in _NAMED.finditer(block.get("TimersMonotonic", ""))]
    return (*calendar, *others)


def _of_row(microseconds: int | None) -> str | None:
    """`next` is null, or huge, for never; `last` is 0 for never. A small number is of another clock."""
    if not microseconds or not _FIRST_US <= microseconds < 1 << 60:
        return None
    return utc(microseconds / 1e6)


def _of_text(text: str) -> str | None:
    match = _TIME.match(text)
    if match is None:
        return None
    if match["epoch"]:
        return utc(float(match["epoch"]))
    return utc(datetime.strptime(match["text"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp())


def _run(name: str, ran: Mapping[str, str]) -> Run | None:
    """The last run that the manager remembers: it forgets with the unit, and when the box restarts."""
    started, ended = (_of_text(ran.get(f"ExecMain{word}Timestamp", "")) for word in ("Start", "Exit"))
    if started is None:
        return None
    state = _state(ran, ended)
    status = ran.get("ExecMainStatus", "")
    was_signal = ran.get("ExecMainCode") in ("2", "3")
    number = int(status) if status.isdigit() and ended else None
    return Run(
        id=ran.get("InvocationID") or f"{name}@{started}",
        job=name,
        started_at=started,
        ended_at=ended,
        duration_s=_between(started, ended),
        state=state,
        exit_code=None if was_signal else number,
        signal=number if was_signal else None,
        reason=ran.get("Result") if state in (RunState.FAILED, RunState.TIMEOUT) else None,
    )


def _state(ran: Mapping[str, str], ended: str | None) -> RunState:
    if ended is None and ran.get("ActiveState") in ("active", "activating", "deactivating"):
        return RunState.RUNNING
    match ran.get("Result", "success"):
        case "success":
            return RunState.OK
        case "timeout":
            return RunState.TIMEOUT
    return RunState.FAILED


def _between(started: str, ended: str | None) -> float | None:
    from mltop.jobs.moment import seconds

    return None if ended is None else max(0.0, seconds(ended) - seconds(started))
