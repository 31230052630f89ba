"""What is told of one process on request, as lines: names at the left, values in words, lists below them."""

from __future__ import annotations

from collections.abc import Iterator

from mltop.model.process_detail import Kin, ProcessDetail
from mltop.ui.format import clip_left, duration, fixed, fold, percent, plain, rate, size
from mltop.ui.line import Line, Pen, Role, cut

LABEL_WIDTH = 14
BESIDE_FROM = 120
"""Width from which values and lists stand side by side."""
NEARLY_ALL = 0.9
"""Of the open files that it may have, so many are worth a warning."""
_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting in the kernel, cannot be interrupted",
    "Z": "zombie: ended, not yet collected by its parent",
    "T": "stopped",
    "t": "stopped by a debugger",
    "I": "idle kernel thread",
}
_NOT_KNOWN = "not known"


def state_words(state: str | None) -> str:
    """What the letter of a state means."""
    return _STATES.get(state or "", state or _NOT_KNOWN)


def fact(label: str, text: str, role: Role = Role.TEXT) -> Line:
    """A name and a value."""
    return [(f"   {label:<{LABEL_WIDTH}}", Role.LABEL), (plain(text), role)]


def folded(label: str, text: str, width: int) -> list[Line]:
    """A name and a value on as many lines as it needs."""
    parts = fold(text, max(8, width - LABEL_WIDTH - 4))
    return [fact("" if index else label, part) for index, part in enumerate(parts)]


def remedies(detail: ProcessDetail, width: int) -> list[Line]:
    """Why values are missing and what to do, once each."""
    told = sorted({why for why in detail.missing.values() if ": " in why})
    return [[("   ", Role.TEXT), (part, Role.WARNING)] for why in told for part in fold(why, width - 4)]


def detail_lines(detail: ProcessDetail, width: int) -> list[Line]:
    """All that was read, each line at most `width` cells; lists beside the values where there is room."""
    half = width // 2 if width >= BESIDE_FROM else width
    values = [*_running(detail), *_place(detail, half), *_environment(detail, half)]
    room = width - half if half < width else width
    lists = [*_files(detail, room), [], *_sockets(detail), [], *_children(detail)]
    if half == width:
        return [cut(line, width) for line in (*values, [], *lists)]
    rows = max(len(values), len(lists))
    values += [[] for _ in range(rows - len(values))]
    lists += [[] for _ in range(rows - len(lists))]
    return [
        Pen().add(cut(value, half - 1)).to(half).add(cut(listed, room)).line
        for value, listed in zip(values, lists, strict=True)
    ]


def _known(detail: ProcessDetail, label: str, key: str, text: str, role: Role = Role.TEXT) -> Line:
    """A fact, or why there is none; one that is old says so."""
    age = detail.ages_s.get(key)
    why = detail.missing.get(key)
    value = getattr(detail, key)
    if value is None or (why is not None and age is None and not value):
        return fact(label, (why or _NOT_KNOWN).partition(": ")[0], Role.DIM)
    return fact(label, text + (f"  ({duration(age)} old)" if age else ""), Role.STALE if age else role)


def _running(detail: ProcessDetail) -> Iterator[Line]:
    """How it runs: processor, memory, drives."""
    waits = f" in {detail.waits_in}" if detail.waits_in else ""
    seen = f", for at least {duration(detail.blocked_s)}" if detail.blocked_s else ""
    is_blocked = detail.state == "D"
    yield fact("state", state_words(detail.state) + waits + seen, Role.WARNING if is_blocked else Role.TEXT)
    used = f"{duration(detail.cpu_user_s)} user, {duration(detail.cpu_system_s)} kernel"
    yield _known(detail, "CPU", "cpu_user_s", f"{percent(detail.cpu_percent)} of one CPU; {used}")
    on = f"{detail.threads}, on CPUs {detail.affinity or _NOT_KNOWN} ({_count(detail.affinity_count)})"
    yield _known(detail, "threads", "threads", on)
    gave, lost = fixed(detail.switches_voluntary_per_s, 0), fixed(detail.switches_involuntary_per_s, 0)
    yield _known(detail, "switches", "switches_voluntary", f"{gave} /s of its own, {lost} /s forced")
    yield _known(detail, "priority", "nice", f"nice {detail.nice}, drives {detail.io_class or _NOT_KNOWN}")
    yield fact("memory", f"{size(detail.rss_bytes)} resident")
    own = f"{size(detail.uss_bytes)} its own, {size(detail.pss_bytes)} with its share"
    yield _known(detail, "  of it", "uss_bytes", own)
    swap = Role.WARNING if detail.swap_bytes else Role.TEXT
    yield _known(detail, "  swapped", "swap_bytes", size(detail.swap_bytes), swap)
    yield _known(detail, "read", "read_bytes", _moved(detail.read_bytes, detail.read_bytes_per_s))
    yield _known(detail, "written", "written_bytes", _moved(detail.written_bytes, detail.written_bytes_per_s))


def _place(detail: ProcessDetail, width: int) -> Iterator[Line]:
    """Where it runs: files, folder, groups."""
    room = max(8, width - LABEL_WIDTH - 4)
    program = clip_left(detail.executable or "", room - 36 if detail.is_replaced else room)
    replaced = "  deleted or replaced since its start" if detail.is_replaced else ""
    yield _known(detail, "program", "executable", program + replaced, Role.WARNING if replaced else Role.TEXT)
    yield _known(detail, "directory", "directory", clip_left(detail.directory or "", room))
    if detail.container:
        yield fact("container", detail.container)
    yield _known(detail, "control group", "control_group", clip_left(detail.control_group or "", room))


def _environment(detail: ProcessDetail, width: int) -> list[Line]:
    if not detail.environment:
        why = detail.missing.get("environment", "nothing of GPUs, ranks or batch jobs")
        return [fact("environment", why.partition(": ")[0], Role.DIM)]
    lines: list[Line] = []
    for name, value in detail.environment.items():
        lines += folded("" if lines else "environment", f"{name}={value}", width)
    return lines


def _files(detail: ProcessDetail, width: int) -> list[Line]:
    opened, most = detail.files_open, detail.files_limit
    is_near = opened is not None and most is not None and opened >= NEARLY_ALL * most
    limit = "without a limit" if most is None else f"of at most {most}"
    kinds = ", ".join(f"{count} {kind}" for kind, count in detail.kinds.items())
    head = _known(detail, "open files", "files_open", f"{opened} {limit}", Role.WARNING if is_near else Role.TEXT)
    lines = [head, *([fact("", kinds, Role.DIM)] if kinds else [])]
    for file in detail.files:
        times = f"  {file.count}x" if file.count > 1 else ""
        lines.append(fact("", clip_left(file.path, max(8, width - LABEL_WIDTH - 10)) + times))
    return lines


def _sockets(detail: ProcessDetail) -> list[Line]:
    total = detail.sockets_count
    lines = [_known(detail, "sockets", "sockets_count", "none" if not total else f"{total}")]
    for each in detail.sockets:
        towards = f" to {each.remote}" if each.remote else ""
        lines.append(fact("", f"{each.kind} {each.state or 'open':<10} {each.local}{towards}"))
    return lines + _more(total, len(detail.sockets))


def _children(detail: ProcessDetail) -> list[Line]:
    total = detail.children_count
    lines = [_known(detail, "children", "children_count", "none" if not total else f"{total}")]
    return lines + [_child(each) for each in detail.children] + _more(total, len(detail.children))


def _child(child: Kin) -> Line:
    used = f"{size(child.rss_bytes):>6} {duration(child.cpu_s):>4} CPU"
    role = Role.WARNING if child.state in ("D", "Z") else Role.TEXT
    return fact("", f"{child.pid:>8} {child.state} {used}  {'  ' * (child.depth - 1)}{child.name}", role)


def _more(total: int | None, listed: int) -> list[Line]:
    left = (total or 0) - listed
    return [fact("", f"and {left} more", Role.DIM)] if left > 0 else []


def _moved(total: int | None, per_second: float | None) -> str:
    return f"{size(total)} since its start, {rate(per_second)} now"


def _count(number: int | None) -> str:
    return _NOT_KNOWN if number is None else str(number)
