"""Recorded metrics for people: a line a GPU in 80 columns, and plots of fixed scale in which a gap is a gap."""

from __future__ import annotations

import locale
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise

from mltop.commands.output import table
from mltop.reports.plain import part, span
from mltop.tasks.metrics import Row
from mltop.tasks.outcome import many
from mltop.ui.graph import graph, points
from mltop.ui.view import Graphs

WIDTH = 64
_TALL = 4
_LEAST = 3
"""Readings that make a plot."""
_Value = Callable[[Row], float | None]


def shown(rows: Sequence[Row], since_s: float, *, is_one: bool, ascii_only: bool) -> list[str]:
    """A table of the GPUs (of the host, where there are none) and a plot each; of one GPU, all its plots."""
    graphs: Graphs = "ascii" if ascii_only or not _is_utf8() else "braille"
    cards = _by_card([row for row in rows if row.kind == "gpu"])
    hosts = [row for row in rows if row.kind == "host"]
    first, last = rows[0].time[:16], rows[-1].time[:16]
    count = len({row.time for row in rows})
    lines = [f"{first}Z to {last}Z, {many(count, 'reading')}", "average/maximum; of memory the maximum", ""]
    if cards:
        lines += _gpu_table(cards)
    if hosts:
        lines += ["", *_host_table(hosts)] if cards else _host_table(hosts)
    if count < _LEAST:
        return lines
    until = time.time()
    if not cards:
        return [*lines, "", *_plots(hosts, until, since_s, graphs, _HOST)]
    for card in cards:
        lines += ["", *_plots(card, until, since_s, graphs, _ALL if is_one else _ALL[:1], 1 if not is_one else _TALL)]
    return lines


def _is_utf8() -> bool:
    return "utf" in locale.getpreferredencoding(False).lower()


def _by_card(rows: Sequence[Row]) -> list[list[Row]]:
    """The lines of each GPU, by its identity: an index may have been another card's."""
    cards: dict[str, list[Row]] = {}
    for row in rows:
        cards.setdefault(row.uuid or str(row.index), []).append(row)
    return sorted(cards.values(), key=lambda card: (card[-1].index is None, card[-1].index or 0))


def _gpu_table(cards: list[list[Row]]) -> list[str]:
    columns = ("GPU", "NAME", "STATUS", "TEMP", "UTIL", "MEMORY", "POWER")
    rows = []
    for card in cards:
        now = card[-1]
        rows.append(
            (
                "-" if now.index is None else str(now.index),
                (now.name or "-").removeprefix("NVIDIA ")[:16],
                now.status,
                _pair([row.temperature_c for row in card], "C"),
                _pair([row.utilization_percent for row in card], "%"),
                part(_most([row.memory_used_bytes for row in card]), now.memory_total_bytes),
                _pair([row.power_w for row in card], "W"),
            )
        )
    return table(columns, rows, right=(0, 3, 4, 5, 6))


def _host_table(rows: list[Row]) -> list[str]:
    most = part(_most([row.memory_used_bytes for row in rows]), rows[-1].memory_total_bytes)
    cells = (rows[-1].name or "-", _pair([row.load_1 for row in rows], "", 1), most, rows[-1].disks or "-")
    return table(("HOST", "LOAD", "MEMORY", "DISKS % used"), [cells])


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _most(values: Sequence[float | None]) -> float | None:
    return max(_known(values), default=None)


def _pair(values: Sequence[float | None], unit: str, digits: int = 0) -> str:
    known = _known(values)
    return f"{sum(known) / len(known):.{digits}f}/{max(known):.{digits}f}{unit}" if known else "-"


def _share(row: Row) -> float | None:
    if row.memory_used_bytes is None or not row.memory_total_bytes:
        return None
    return 100.0 * row.memory_used_bytes / row.memory_total_bytes


_ALL: tuple[tuple[str, _Value, float | None], ...] = (
    ("utilisation %", lambda row: row.utilization_percent, 100.0),
    ("memory %", _share, 100.0),
    ("temperature C", lambda row: row.temperature_c, 100.0),
    ("power W", lambda row: row.power_w, None),
)
"""What is plotted of a GPU: title, value, and the top of the scale (`None`: the card's limit, else the most seen)."""
_HOST: tuple[tuple[str, _Value, float | None], ...] = (
    ("load", lambda row: row.load_1, None),
    ("memory %", _share, 100.0),
)


def _plots(
    rows: list[Row],
    until: float,
    since_s: float,
    graphs: Graphs,
    kinds: tuple[tuple[str, _Value, float | None], ...],
    height: int = _TALL,
) -> list[str]:
    lines: list[str] = []
    whose = "host" if rows[-1].kind == "host" else f"GPU {'-' if rows[-1].index is None else rows[-1].index}"
    begin = max(until - since_s, datetime.fromisoformat(rows[0].time).timestamp())
    for title, value, top in kinds:
        known = _known([value(row) for row in rows])
        if not known:
            continue
        limit = rows[-1].power_limit_w if title.startswith("power") else None
        scale = top or limit or max(known) or 1.0
        series = _bucketed(rows, value, begin, until, _count(rows, begin, until, points(WIDTH, graphs)))
        lines.append(f"{whose} {title}, 0 to {scale:g}, last {span(until - begin)}")
        lines += [f"  |{text.rstrip()}" for text in graph(series, height, graphs, scale)]
    return lines


def _count(rows: list[Row], begin: float, until: float, most: int) -> int:
    """How many spans: none shorter than the usual time between two readings, else there would be gaps that are none."""
    times = [datetime.fromisoformat(row.time).timestamp() for row in rows]
    steps = sorted(later - earlier for earlier, later in pairwise(times))
    usual_s = steps[len(steps) // 2] if steps else until - begin
    return max(1, min(most, int((until - begin) / max(1.25 * usual_s, 1.0))))


def _bucketed(rows: list[Row], value: _Value, begin: float, until: float, count: int) -> list[float | None]:
    """The mean of each of `count` equal spans; `None` where nothing was recorded."""
    sums: list[tuple[float, int]] = [(0.0, 0)] * count
    for row in rows:
        number = value(row)
        place = int((datetime.fromisoformat(row.time).timestamp() - begin) / max(until - begin, 1.0) * count)
        if number is not None and 0 <= place <= count:
            total, seen = sums[min(place, count - 1)]
            sums[min(place, count - 1)] = (total + number, seen + 1)
    return [total / seen if seen else None for total, seen in sums]
