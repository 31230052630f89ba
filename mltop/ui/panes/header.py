"""The header: which box, and how it is. Minutes only, so that an idle screen writes nothing."""

from __future__ import annotations

from collections import Counter

from mltop.model.finding import Finding, Level
from mltop.model.snapshot import Snapshot
from mltop.ui.format import clip, clock, duration
from mltop.ui.line import Line, Pen, Role, cut, gathered, spread, width_of
from mltop.ui.panes.level import NAMES, ROLES
from mltop.ui.view import View

SEPARATOR = (" · ", Role.DIM)


def draw(view: View, width: int, height: int) -> list[Line]:
    """The identity line and, where there is a second line, what is wrong in words."""
    verdict = [*_modes(view), *_verdict(view)]
    verdict = [("", Role.TEXT), *verdict, (" ", Role.TEXT)] if verdict else []
    room = max(0, width - width_of(verdict) - 3)
    lines = [spread([(" ", Role.TEXT), *gathered(_identity(view), room, SEPARATOR)], verdict, width)]
    if height > 1:
        lines.append([(" ", Role.TEXT), *alerts_line(view, max(0, width - 2))])
    return lines[:height]


def model_of(name: str) -> str:
    """A GPU's name without the vendor's."""
    return name.removeprefix("NVIDIA ").removeprefix("GeForce ")


def _identity(view: View) -> list[Line]:
    snapshot = view.snapshot
    host = snapshot.host if snapshot and snapshot.host else view.remote or "mltop"
    parts: list[Line] = [[(host, Role.TITLE)]]
    if view.remote and view.remote != host:
        parts[0].append((f" ({view.remote})", Role.DIM))
    if view.trouble:  # one part with the name: cut where there is little room, never left out
        parts[0] += [SEPARATOR, (view.trouble, Role.CRITICAL)]
    if snapshot is None:
        return parts if view.trouble else [*parts, [("waiting for the first sample", Role.DIM)]]
    models = models_line(snapshot)
    now = clock(snapshot.time)
    facts = [
        models,
        f"driver {snapshot.driver.version}" if snapshot.driver.version else "",
        f"up {duration(snapshot.uptime_s)}" if snapshot.uptime_s is not None else "",
        now,
    ]
    return parts + [[(fact, Role.TEXT)] for fact in facts if fact]


def models_line(snapshot: Snapshot) -> str:
    """`8x H100 80GB HBM3`, each model with its count."""
    counts = Counter(model_of(gpu.name) for gpu in snapshot.gpus if gpu.name)
    unnamed = sum(not gpu.name for gpu in snapshot.gpus)
    parts = [f"{count}x {name}" for name, count in counts.most_common(3)]
    return " + ".join([*parts, f"{unnamed} unknown"] if unnamed else parts)


def _modes(view: View) -> Line:
    line: Line = []
    if view.trouble and not view.paused:
        return line  # which says more, and needs the room
    if view.silent_s > 0 and view.snapshot is not None and not view.paused:
        line += [(f"sampler silent {duration(view.silent_s)}", Role.WARNING), ("  ", Role.TEXT)]
    if view.paused:
        line += [("PAUSED", Role.WARNING), ("  ", Role.TEXT)]
    if view.is_demo:
        line += [("samples, nothing is real", Role.DIM), ("  ", Role.TEXT)]
    if view.readonly and not view.remote:
        line += [("read-only", Role.DIM), ("  ", Role.TEXT)]
    if view.remote:
        line += [("remote, local limits", Role.DIM), ("  ", Role.TEXT)]
    return line


def counts(findings: tuple[Finding, ...]) -> Line:
    """`1 CRIT 1 WARN`; nothing when nothing is found."""
    line: Line = []
    for level in (Level.CRITICAL, Level.WARNING, Level.UNKNOWN):
        number = sum(1 for finding in findings if finding.level is level)
        if number:
            line.append((f"{' ' if line else ''}{number} {NAMES[level]}", ROLES[level]))
    return line


def _verdict(view: View) -> Line:
    if view.snapshot is None:
        return []
    return counts(view.findings) or ([] if view.trouble else [("OK", Role.OK)])


def alert(finding: Finding) -> Line:
    """One finding in words: `CRIT GPU 3: lost, Xid 79 · reboot the node`."""
    name, summary = finding.target_name, finding.summary
    told = summary if not name or summary.lower().startswith(name.lower()) else f"{name}: {summary}"
    line: Line = [(f"{NAMES[finding.level]} ", ROLES[finding.level]), (told, Role.TEXT)]
    return [*line, (f" · {finding.action}", Role.DIM)] if finding.action else line


def alerts_line(view: View, width: int) -> Line:
    """The findings in one line: with what to do, else without, else the worst ones and how many more."""
    if view.snapshot is None:
        return []
    if not view.findings:
        return [(clip("nothing to report", width), Role.DIM)]
    full = [alert(finding) for finding in view.findings]
    brief = [line[:2] for line in full]
    for parts in (full, brief):
        if width_of(joined(parts)) <= width:
            return joined(parts)
    for shown in range(len(brief) - 1, 0, -1):
        more = f"   +{len(brief) - shown} more"
        line = joined(brief[:shown])
        if shown == 1 or width_of(line) + len(more) <= width:
            return [*cut(line, width - len(more)), (more, Role.DIM)]
    return cut(brief[0], width)


def joined(parts: list[Line]) -> Line:
    """The parts with room between them."""
    pen = Pen()
    for part in parts:
        pen.put("   " if pen.at else "").add(part)
    return pen.line
