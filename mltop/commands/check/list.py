"""`mltop --check --list`: the checks, what they read, and the limits that hold."""

from __future__ import annotations

import msgspec

from mltop.checks.catalogue import CATALOGUE
from mltop.checks.selection import Selection
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


def listing(selection: Selection, limits: Limits, *, as_json: bool) -> str:
    """All of them, as a table or as one JSON document."""
    found = [_listed(check.id, check.family, check.reads, selection, limits) for check in CATALOGUE]
    if as_json:
        return msgspec.json.encode({"schema": SCHEMA, "checks": found}).decode() + "\n"
    rows = [("ID", "WARN", "CRIT", "UNIT", "BAD", "READS"), *(_row(one) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "".join(
        "  ".join([*(word.ljust(width) for word, width in zip(row, widths, strict=False)), row[5]]) + "\n"
        for row in rows
    )


def _listed(check: str, family: str, reads: str, selection: Selection, limits: Limits) -> Listed:
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
        is_selected=check in selection.checks,
    )


def _row(one: Listed) -> tuple[str, ...]:
    off = "" if one.is_selected else " [not selected]"
    return one.id, one.warn or "-", one.crit or "-", one.unit or "-", one.direction or "-", one.reads + off
