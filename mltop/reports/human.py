"""A verdict for people: what is wrong, a line a family with its worst value and limit, and the sum of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mltop.model.verdict import Result, State, Verdict, badness, family_of
from mltop.reports.range import closeness, limits
from mltop.system.text import clean

FAMILIES = ("disk", "memory", "cpu", "gpu", "services", "kernel", "jobs", "self")
"""In the order of their lines; `self` has one only where something is wrong with it."""
_COLORS = {State.OK: "32", State.WARNING: "33", State.CRITICAL: "31", State.UNKNOWN: "35", State.SKIP: "2"}
"""SGR parameters: ECMA-48, 8.3.117."""
_LONGEST = 2000
"""Characters of a line."""
_TELLING = frozenset({"disk.space", "disk.shm", "disk.inodes", "mem.available", "cpu.load", "gpu.temp"})
"""Of a family that is well, the value of one of these says how well."""
_BY_THE_DRIVER = ("gpu.driver", "gpu.responsive")


def text(verdict: Verdict, verbosity: int = 0, *, color: bool = False) -> str:
    """The whole text: `verbosity` 1 has every target, 2 its limits and times, 3 its data too."""
    lines = [(result.state, line) for result in _told(verdict) for line in [_problem(result)]]
    shown = [*lines, *_families(verdict.results)] if verbosity == 0 else _everything(verdict.results, verbosity)
    shown += [(State.UNKNOWN, f"{State.UNKNOWN:<8} {error.message}") for error in verdict.errors]
    if verdict.disabled:
        shown.append((State.SKIP, f"{'disabled':<8} {', '.join(verdict.disabled)}"))
    body = "".join(f"{_colored(clean(line, _LONGEST), state, color)}\n" for state, line in shown)
    return body + _colored(_sum(verdict), verdict.state, color) + "\n"


def _told(verdict: Verdict) -> list[Result]:
    """What is not OK; what cannot be read because the driver, or one GPU, does not answer is told by that."""
    bad = [one for one in verdict.results if one.state not in (State.OK, State.SKIP)]
    drivers = [one for one in bad if one.check in _BY_THE_DRIVER and one.target == ""]
    silent = {one.target: one for one in bad if one.check == "gpu.responsive" and not drivers}
    tellers = [max(drivers, key=lambda one: badness(one.state))] if drivers else [*silent.values()]

    def is_told(one: Result) -> bool:
        is_muted = one.state is State.UNKNOWN and family_of(one.check) == "gpu"
        return is_muted and one not in tellers and bool(drivers or one.target in silent)

    return [one for one in bad if not is_told(one)]


def _problem(result: Result) -> str:
    who = f"{result.target_name}: " if result.target_name else ""
    action = f" -> {result.action}" if result.action else ""
    limit = f" ({words})" if (words := limits(result)) and result.value is not None else ""
    return f"{result.state:<8} {result.check:<19} {who}{result.summary}{limit}{action}"


def _families(results: Sequence[Result]) -> list[tuple[State, str]]:
    lines = []
    by_family: dict[str, list[Result]] = {family: [] for family in FAMILIES}
    for one in results:
        by_family.setdefault(family_of(one.check), []).append(one)
    for family in FAMILIES:
        members = by_family[family]
        ran = [one for one in members if one.state is not State.SKIP]
        if not members or (family == "self" and all(one.state is State.OK for one in ran)):
            continue
        lines.append(_family(family, members, ran))
    return lines


def _family(family: str, members: Sequence[Result], ran: Sequence[Result]) -> tuple[State, str]:
    """A family's worst: its state, and of the members in it the one closest to its limit."""
    if not ran:
        return State.SKIP, f"{State.SKIP:<8} {family:<8} {members[0].summary}"
    level = max((badness(one.state), one.check in _TELLING) for one in ran)
    worst = max((one for one in ran if (badness(one.state), one.check in _TELLING) == level), key=closeness)
    who = f"{worst.target_name} " if worst.target_name and worst.target_name.lower() != family else ""
    limit = f" ({words})" if (words := limits(worst)) else ""
    targets = len({one.target for one in ran if one.target})
    count = f", {targets} {_many(family)}" if targets > 1 else ""
    return worst.state, f"{worst.state:<8} {family:<8} {who}{worst.summary}{limit}{count}"


def _many(family: str) -> str:
    return {"disk": "mounts", "gpu": "GPUs", "services": "services", "jobs": "jobs"}.get(family, "targets")


def _everything(results: Sequence[Result], verbosity: int) -> list[tuple[State, str]]:
    lines = []
    for one in results:
        line = _problem(one)
        if verbosity >= 2 and one.duration_s is not None:
            line += f" [{one.duration_s:.3f} s]"
        lines.append((one.state, line))
        if verbosity >= 3:
            lines.extend((State.SKIP, f"{'':8} {words}") for words in _data(one))
    return lines


def _data(result: Result) -> Iterator[str]:
    yield f"reason={result.reason} value={result.value} warn={result.warn} crit={result.crit}"
    for key, value in result.data.items():
        yield f"{key}={value}"


def _sum(verdict: Verdict) -> str:
    counts = verdict.counts
    parts = [
        f"{number} {word}"
        for number, word in (
            (counts.critical, "critical"),
            (counts.warning, "warning"),
            (counts.unknown, "unknown"),
            (counts.ok, "ok"),
            (counts.skip, "skipped"),
        )
        if number or word == "ok"
    ]
    profile = "" if verdict.profile == "default" else f" (profile {verdict.profile})"
    whole = "" if verdict.complete else ", not complete"
    return f"mltop {verdict.state}{profile}: {', '.join(parts)} in {verdict.duration_s:.2f} s{whole}"


def _colored(line: str, state: State, color: bool) -> str:
    return f"\x1b[{_COLORS[state]}m{line}\x1b[0m" if color else line
