"""The memory pane: one line, or a frame with swap, cache, pressure and the history."""

from __future__ import annotations

from mltop.model.snapshot import Memory
from mltop.ui.format import UNKNOWN, fixed, left, pair, percent, right, size
from mltop.ui.graph import bar
from mltop.ui.line import Line, Pen, Role, gathered
from mltop.ui.panes.cpu import bar_width, history, told_age
from mltop.ui.panes.frame import EDGES, MARGIN, framed, has_frame, message, titled
from mltop.ui.panes.gpu_row import memory_percent
from mltop.ui.panes.level import Levels, is_old, role_of, why_not
from mltop.ui.view import View


def draw(view: View, width: int, height: int) -> list[Line]:
    """The pane."""
    snapshot = view.snapshot
    if snapshot is None or snapshot.memory.total_bytes is None:
        text = "waiting for the first sample" if snapshot is None else why_not(snapshot.memory)
        line = message("MEM", text, Role.DIM, width)
        return framed([line[1:]], width, height, titled("Memory"), []) if has_frame(width, height) else [line][:height]
    memory = snapshot.memory
    if not has_frame(width, height):
        pen = Pen().put(" MEM  ", Role.LABEL).add(usage(view, memory, bar_width(width))).put("  ")
        parts = [[(pair(memory.used_bytes, memory.total_bytes), _text(view, memory))], *facts(view, memory)]
        return [pen.add(gathered(parts, width - pen.at, ("  ", Role.TEXT))).line][:height]
    lines = _tall(view, memory, width - MARGIN, height - EDGES)
    note: Line = [(pair(memory.used_bytes, memory.total_bytes), _text(view, memory))]
    return framed(lines, width, height, titled("Memory"), note, view.focus == "memory")


def _text(view: View, memory: Memory) -> Role:
    return Role.STALE if is_old(view, memory) else Role.TEXT


def usage(view: View, memory: Memory, width: int) -> Line:
    """The bar of used memory and its percent."""
    share = memory_percent(memory.used_bytes, memory.total_bytes)
    found = Levels(view.findings).of("")
    role = Role.STALE if is_old(view, memory) else role_of(found, Role.MEMORY, "mem.available", "mem.limit")
    return [*bar(share, width, role, view.graphs), (right(percent(share), 5), _text(view, memory))]


def facts(view: View, memory: Memory) -> list[Line]:
    """Swap, pressure, a limit, cache: most telling first."""
    findings = Levels(view.findings).of("")
    text = _text(view, memory)
    parts: list[Line] = []
    if (told := told_age(view, memory)) is not None:
        parts.append(told)
    if memory.limit_bytes is not None:
        parts.append([("limit ", Role.LABEL), (size(memory.limit_bytes), Role.TEXT)])
    swap = pair(memory.swap_used_bytes, memory.swap_total_bytes) if memory.swap_total_bytes else "none"
    if memory.swap_total_bytes is None:
        swap = UNKNOWN
    parts.append([("swap ", Role.LABEL), (swap, role_of(findings, text, "mem.swap"))])
    role = role_of(findings, text, "mem.psi")
    parts.append([("psi ", Role.LABEL), (fixed(memory.psi_some_avg10), role)])
    if memory.psi_full_avg10:
        parts[-1] += [(" full ", Role.LABEL), (fixed(memory.psi_full_avg10), role)]
    parts.append([("cache ", Role.LABEL), (size(memory.cached_bytes), text)])
    if memory.arc_bytes:
        parts.append([("arc ", Role.LABEL), (size(memory.arc_bytes), text)])
    return parts


def _tall(view: View, memory: Memory, width: int, height: int) -> list[Line]:
    """Usage and facts, the parts as bars where there is room, the history below them."""
    pen = Pen().add(usage(view, memory, max(4, min(width // 5, 24)))).put("  ")
    lines = [pen.add(gathered(facts(view, memory), width - pen.at, ("  ", Role.TEXT))).line]
    parts = _bars(view, memory, min(width, 60))
    if height >= 1 + len(parts) + 2:
        lines += parts
    return lines + history(view, "memory", width, height - len(lines), Role.MEMORY)


def _bars(view: View, memory: Memory, width: int) -> list[Line]:
    """Parts of memory as labelled bars, of one scale but for swap."""
    total = memory.total_bytes
    rows = [("cache", memory.cached_bytes, total), ("available", memory.available_bytes, total)]
    if memory.swap_total_bytes:
        rows.append(("swap", memory.swap_used_bytes, memory.swap_total_bytes))
    if memory.arc_bytes:
        rows.append(("arc", memory.arc_bytes, total))
    lines = []
    for name, part, whole in rows:
        pen = Pen().put(left(name, 10), Role.LABEL)
        pen.add(bar(memory_percent(part, whole), width - 16, Role.MEMORY, view.graphs))
        lines.append(pen.put(right(size(part), 6), _text(view, memory)).line)
    return lines
