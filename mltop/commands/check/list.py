"""`mltop --check --list`: the checks, what they read, and the limits that hold."""

from __future__ import annotations

import msgspec

from mltop.checks.catalogue import CATALOGUE
from mltop.checks.profile import PROFILES, changes
from mltop.checks.selection import Selection
from mltop.config.limit import Limit
from mltop.config.limits import TABLE, Limits
from mltop.model.verdict import SCHEMA


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One check as it is listed."""

    id: str
    family: str
    reads: str
    unit: str | None
    direction: str | None
    """`high` or `low`: the end that is bad."""
    warn: str | None
    crit: str | None
    is_selected: bool
    changed: str | None = None
    """What the profile changes of it, in words."""
    limits: tuple[Listed, ...] = ()
    """The limits that it holds other values against, each with an id of its own for the config, `-w` and `-c`."""


def listing(selection: Selection, limits: Limits, profile: str, *, as_json: bool) -> str:
    """All of them, as a table or as one JSON document."""
    further = _further()
    found = [
        msgspec.structs.replace(
            _listed(check.id, check.family, check.reads, limits, check.id in selection.checks),
            changed=_changed(profile, check.id),
            limits=tuple(
                _listed(row, check.family, f"a limit of {check.id}", limits, check.id in selection.checks)
                for row in further[check.id]
            ),
        )
        for check in CATALOGUE
    ]
    if as_json:
        return msgspec.json.encode({"schema": SCHEMA, "profile": profile, "checks": found}).decode() + "\n"
    head = "" if profile == "default" else _head(profile)
    rows = [("ID", "WARN", "CRIT", "UNIT", "BAD", "READS"), *(_row(row) for one in found for row in (one, *one.limits))]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return head + "".join(
        "  ".join([*(word.ljust(width) for word, width in zip(row, widths, strict=False)), row[5]]) + "\n"
        for row in rows
    )


def _further() -> dict[str, list[str]]:
    """The rows of the table that are no check's own, by the check whose id they go on from."""
    ids = {check.id for check in CATALOGUE}
    found: dict[str, list[str]] = {one: [] for one in ids}
    for row in TABLE:
        if row not in ids:
            found[max((one for one in ids if row.startswith(one)), key=len)].append(row)
    return found


def _listed(check: str, family: str, reads: str, limits: Limits, is_selected: bool) -> Listed:
    row = TABLE.get(check)
    limit = limits[check] if row is not None else None
    return Listed(
        id=check,
        family=family,
        reads=reads,
        unit=None if row is None else row.unit or None,
        direction=None if row is None else row.direction,
        warn=str(limit.warn) if limit is not None and limit.warn is not None else None,
        crit=str(limit.crit) if limit is not None and limit.crit is not None else None,
        is_selected=is_selected,
    )


def _row(one: Listed) -> tuple[str, ...]:
    off = "" if one.is_selected else " [not selected]"
    if one.changed is not None:
        off += f" [{one.changed}]"
    return one.id, one.warn or "-", one.crit or "-", one.unit or "-", one.direction or "-", one.reads + off


def _head(name: str) -> str:
    """What a profile is for, and what it changes of all checks."""
    profile = PROFILES[name]
    lines = [f"profile {name}: {profile.words}"]
    if profile.needs_facilities:
        lines.append("what cannot be looked at (no systemd, a kernel log that is refused) is UNKNOWN, not SKIP")
    if profile.unknown_as != "UNKNOWN":
        lines.append(f"UNKNOWN counts as {profile.unknown_as}")
    return "\n".join(lines) + "\n\n"


def _changed(name: str, check: str) -> str | None:
    """What a profile changes of a check: its limits as they were, and the rest in words."""
    profile = PROFILES[name]
    words = [text] if (text := changes(profile, check)) is not None else []
    if check in profile.limits:
        words.insert(0, f"{name}; else {_limits(TABLE[check].limit)}")
    return ", ".join(words) or None


def _limits(limit: Limit) -> str:
    ends = [str(end) for end in (limit.warn, limit.crit) if end is not None]
    return "/".join(ends) or "no limit"
