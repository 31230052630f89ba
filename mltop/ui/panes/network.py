"""The network pane: interfaces side by side in a line, or one a row with its history."""

from __future__ import annotations

from math import log10

from mltop.model.snapshot import Network
from mltop.ui.format import cells, clip, left, plain, rate, right
from mltop.ui.graph import graph, points
from mltop.ui.line import Line, Pen, Role
from mltop.ui.panes.cpu import told_age
from mltop.ui.panes.frame import EDGES, MARGIN, framed, has_frame, message, titled
from mltop.ui.panes.level import is_old
from mltop.ui.view import View

LEAST_TOP = 1 << 20
"""The lowest scale of a rate's graph: 1 MiB/s; above it steps of 1, 2 and 5, so that it stays put."""
MOST_LINES = 12
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1024)


def draw(view: View, width: int, height: int) -> list[Line]:
    """The pane."""
    snapshot = view.snapshot
    if snapshot is None or not snapshot.network:
        text = "waiting for the first sample" if snapshot is None else "no interfaces"
        line = message("NET", text, Role.DIM, width)
        return framed([line[1:]], width, height, titled("Network"), []) if has_frame(width, height) else [line][:height]
    if not has_frame(width, height):
        return [_compact(view, snapshot.network, width)][:height]
    room = height - EDGES
    kept, hidden = shown(snapshot.network, room)
    lines = _rows(view, kept, width - MARGIN, max(1, min(MOST_LINES, room // len(kept))))
    note = told_age(view, kept[0]) or ([(f"+{hidden} more", Role.DIM)] if hidden else [])
    return framed(lines, width, height, titled("Network"), note, view.focus == "network")


def shown(network: tuple[Network, ...], room: int) -> tuple[list[Network], int]:
    """The interfaces that have a place, in their order: those with traffic first."""
    room = max(room, 1)
    ranked = sorted(range(len(network)), key=lambda i: (-_traffic(network[i]), i))
    return [network[i] for i in sorted(ranked[:room])], max(0, len(network) - room)


def _traffic(network: Network) -> int:
    """Its order of magnitude: the choice must not change with every sample."""
    total = (network.receive_bytes_per_s or 0.0) + (network.transmit_bytes_per_s or 0.0)
    return int(log10(total)) if total > 1e5 else 0


def _compact(view: View, network: tuple[Network, ...], width: int) -> Line:
    each = 34
    kept, hidden = shown(network, max(1, min((width - 6) // each, 4)))
    each = (width - 6) // len(kept)
    pen = Pen().put(" NET  ", Role.LABEL)
    for place, interface in enumerate(kept):
        pen.to(6 + place * each).put(left(clip(plain(interface.interface), 10), 11), Role.TEXT)
        pen.add(_rates(view, interface))
    if (told := told_age(view, kept[0])) is not None:
        return pen.put("  ").add(told).line
    return pen.put(f"  +{hidden}", Role.DIM).line if hidden and pen.at + 6 <= width else pen.line


def _rates(view: View, network: Network) -> Line:
    text = Role.STALE if is_old(view, network) else Role.TEXT
    return [
        ("↓", Role.NETWORK), (right(rate(network.receive_bytes_per_s), 8), text),
        (" ↑", Role.NETWORK), (right(rate(network.transmit_bytes_per_s), 8), text),
    ]  # fmt: skip


def _rows(view: View, network: list[Network], width: int, lines: int) -> list[Line]:
    name = min(max(cells(plain(item.interface)) for item in network), 16)
    side = (width - name - 22) // 2
    result: list[Line] = []
    for item in network:
        if side < 6:
            result.append(Pen().put(left(plain(item.interface), name)).put(" ").add(_rates(view, item)).line)
            continue
        down, down_top = _history(view, item, "receive", side, lines)
        up, up_top = _history(view, item, "transmit", side, lines)
        for row in range(lines):
            pen = Pen()
            if row == 0:
                rates = _rates(view, item)
                pen.put(left(plain(item.interface), name)).put(" ").add(rates[:2]).put(" ")
                pen.put(down[0], Role.NETWORK).add(rates[2:]).put(" ").put(up[0], Role.NETWORK)
            else:
                tops = (down_top, up_top) if row == 1 else ("", "")
                pen.to(name + 1).put(right(tops[0], 9), Role.DIM).put(" ").put(down[row], Role.NETWORK)
                pen.put(right(tops[1], 10), Role.DIM).put(" ").put(up[row], Role.NETWORK)
            result.append(pen.line)
    return result


def _history(view: View, network: Network, way: str, width: int, rows: int) -> tuple[list[str], str]:
    key = f"net:{network.interface}:{way}"
    values = view.history.values(key, view.zoom_s, points(width, view.graphs), view.history.latest or 0.0)
    top = top_of(values)
    return graph(values, rows, view.graphs, top), f"/{scale(top)}"


def scale(top: float) -> str:
    """A graph's scale in words: `20G/s`."""
    return rate(top).replace(".0", "")


def top_of(values: list[float | None]) -> float:
    """The scale of a rate: the first of 1, 2, 5, 10 … of a unit that holds all of it, at least 1 MiB/s."""
    most = max((value for value in values if value is not None), default=0.0)
    unit = float(LEAST_TOP)
    while most > unit * 1024:
        unit *= 1024
    return next((step * unit for step in _STEPS if most <= step * unit), most)
