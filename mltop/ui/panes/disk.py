"""The disk pane: mounts side by side in a line, or one a row in a frame; the worst are always among those shown."""

from __future__ import annotations

from mltop.model.finding import Finding, Level
from mltop.model.snapshot import Disk, Status
from mltop.ui.format import UNKNOWN, cells, clip_left, duration, left, percent, plain, rate, right, size
from mltop.ui.graph import bar
from mltop.ui.line import Line, Pen, Role, cut, gathered, width_of
from mltop.ui.panes.frame import EDGES, MARGIN, framed, has_frame, message, titled
from mltop.ui.panes.level import WORDS, Levels, age_of, is_old, role_of, stale
from mltop.ui.view import View

TABLE_FROM = 100
"""Columns inside the frame from which every number has a column of its own."""
TREND_S = 3600.0
LEAST_GROWTH = 0.2
"""Points of percent in that time: less is noise."""
FORESEEN_S = 48 * 3600.0
"""A mount that is full within this says so."""
INODES_FROM = 80.0
"""M25: inodes show from here, or when they are fuller than the space."""


def draw(view: View, width: int, height: int) -> list[Line]:
    """The pane."""
    snapshot = view.snapshot
    if snapshot is None or not snapshot.disks:
        text = "waiting for the first sample" if snapshot is None else "no mounts"
        line = message("DISK", text, Role.DIM, width)
        return framed([line[1:]], width, height, titled("Disks"), []) if has_frame(width, height) else [line][:height]
    if not has_frame(width, height):
        return _compact(view, snapshot.disks, width, height)
    inner, room = width - MARGIN, height - EDGES
    disks, hidden = shown(view, snapshot.disks, room)
    name = min(max(cells(plain(disk.mount)) for disk in disks), max(10, inner // 4))
    if inner >= TABLE_FROM and len(disks) < room:
        name = max(name, 5)
        lines = [_head(inner, name), *[_columns(view, disk, inner, name) for disk in disks]]
    else:
        lines = [_row(view, disk, inner, name) for disk in disks]
    note: Line = [(f"+{hidden} more", Role.DIM)] if hidden else []
    return framed(lines, width, height, titled("Disks"), note, view.focus == "disk")


def weight(disk: Disk, findings: dict[str, Finding]) -> tuple[float, ...]:
    """What is worth a place: trouble, a pinned mount, a full one."""
    level = max((finding.level for finding in findings.values()), default=Level.OK)
    stuck = disk.status is not Status.OK
    fullness = disk.used_percent if disk.used_percent is not None else 0.0
    return (float(level), float(stuck), float(bool(disk.pinned_by)), float(disk.mount == "/"), fullness)


def shown(view: View, disks: tuple[Disk, ...], room: int) -> tuple[list[Disk], int]:
    """The mounts that have a place, in their order, and how many have none."""
    if len(disks) <= room:
        return list(disks), 0
    levels = Levels(view.findings)
    ranked = sorted(disks, key=lambda disk: weight(disk, levels.of(disk.mount)), reverse=True)
    kept = {disk.mount for disk in ranked[: max(room, 0)]}
    return [disk for disk in disks if disk.mount in kept][: max(room, 0)], len(disks) - max(room, 0)


def notes(view: View, disk: Disk, findings: dict[str, Finding]) -> list[Line]:
    """What is wrong or odd with a mount, in words."""
    parts: list[Line] = []
    if disk.status is Status.TIMEOUT:
        age = age_of(view, disk)
        told = "no answer" if age is None else f"no answer {duration(age)}"
        parts.append([(told, role_of(findings, Role.WARNING, "disk.mount_stuck"))])
    elif is_old(view, disk):
        parts.append([(stale(view, disk), Role.STALE)])
    elif disk.status is not Status.OK:
        parts.append([(disk.reason or WORDS[disk.status], Role.STALE)])
    if "disk.readonly" in findings or (disk.is_readonly and disk.fstype not in ("squashfs", "iso9660", "erofs")):
        parts.append([("read-only", role_of(findings, Role.DIM, "disk.readonly"))])
    inodes = disk.inodes_used_percent
    if inodes is not None and (inodes >= INODES_FROM or inodes > (disk.used_percent or 0.0)):
        parts.append([(f"inodes {percent(inodes)}", role_of(findings, Role.DIM, "disk.inodes"))])
    return parts


def _share(view: View, disk: Disk, findings: dict[str, Finding], width: int) -> Line:
    old = is_old(view, disk)
    role = Role.STALE if old else role_of(findings, Role.DISK, "disk.space", "disk.shm")
    text = Role.STALE if old else role_of(findings, Role.TEXT, "disk.space", "disk.shm")
    return [*bar(disk.used_percent, width, role, view.graphs), (right(percent(disk.used_percent), 5), text)]


def _compact(view: View, disks: tuple[Disk, ...], width: int, height: int) -> list[Line]:
    """As many a line as there is room for, in columns."""
    across = max(1, min((width - 6) // 34, 4, len(disks)))
    kept, hidden = shown(view, disks, across * height)
    each = (width - 6 - (4 if hidden else 0)) // across
    levels = Levels(view.findings)
    texts = [_says(view, disk, levels.of(disk.mount)) for disk in kept]
    size_bar = max(3, min(12, each - 18 - max([10, *[cells(text[0][0]) for text in texts]])))
    lines = []
    for start in range(0, len(kept), across):
        pen = Pen().put(" DISK " if start == 0 else "      ", Role.LABEL)
        for place, disk in enumerate(kept[start : start + across]):
            pen.to(6 + place * each).put(left(clip_left(plain(disk.mount), 9), 10))
            pen.add(_share(view, disk, levels.of(disk.mount), size_bar)).put(" ")
            pen.add(cut(texts[start + place], 6 + (place + 1) * each - 1 - pen.at))
        lines.append(pen.line)
    if hidden and lines:
        lines[-1] = [*Pen().add(cut(lines[-1], width - 4)).to(width - 4).line, (f"+{hidden}", Role.DIM)]
    return lines


def full_in(view: View, disk: Disk) -> float | None:
    """Seconds until the mount is full if it grows on as in the last hour; `None` where it does not or that is far."""
    if disk.used_percent is None or is_old(view, disk):
        return None
    values = view.history.values(f"disk:{disk.mount}", TREND_S, 12, view.history.latest or 0.0)
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < 9:
        return None
    (first, before), (last, after) = ((p[1][0], sum(v for _, v in p) / 3) for p in (known[:3], known[-3:]))
    grown = after - before
    if grown < LEAST_GROWTH:
        return None
    left_s = (100.0 - disk.used_percent) / grown * (last - first) * TREND_S / 12
    return left_s if left_s <= FORESEEN_S else None


def _says(view: View, disk: Disk, findings: dict[str, Finding]) -> Line:
    """What is wrong, the most important, else what is free."""
    odd = [part for part in notes(view, disk, findings) if part[0][1] is not Role.DIM]
    if disk.available_bytes is None and not odd:
        return [("not read yet", Role.DIM)]
    free: Line = [(f"{size(disk.available_bytes)} free", Role.STALE if is_old(view, disk) else Role.TEXT)]
    if odd:
        return odd[0]
    soon = full_in(view, disk)
    return free if soon is None else [(f"full in {duration(soon)}", free[0][1])]


def _bar_width(width: int, name: int) -> int:
    return max(4, min(20, (width - name) // 4))


def _head(width: int, name: int) -> Line:
    """The heads of the columns."""
    pen = Pen().put(left("MOUNT", name + 1), Role.LABEL).put(left("USED", _bar_width(width, name) + 5), Role.LABEL)
    for text, size_of in (("FREE", 8), ("SIZE", 8), ("INODES", 8), ("READ", 9), ("WRITE", 9)):
        pen.put(right(text, size_of), Role.LABEL)
    return pen.put("  WHAT", Role.LABEL).line


def _columns(view: View, disk: Disk, width: int, name: int) -> Line:
    """Every number of a mount in its column, then its words."""
    findings = Levels(view.findings).of(disk.mount)
    text = Role.STALE if is_old(view, disk) else Role.TEXT
    pen = Pen().put(left(clip_left(plain(disk.mount), name), name), Role.TEXT).put(" ")
    pen.add(_share(view, disk, findings, _bar_width(width, name)))
    pen.put(right(size(disk.available_bytes), 8), text).put(right(size(disk.total_bytes), 8), text)
    pen.put(right(percent(disk.inodes_used_percent), 8), role_of(findings, text, "disk.inodes"))
    pen.put(right(rate(disk.read_bytes_per_s), 9), text).put(right(rate(disk.write_bytes_per_s), 9), text).put("  ")
    words = [part for part in notes(view, disk, findings) if not part[0][0].startswith("inodes")]
    return _told(view, pen, disk, words, width)


def _told(view: View, pen: Pen, disk: Disk, words: list[Line], width: int) -> Line:
    """The rest of a row: words, what pins the mount, what it is; as much as there is room for."""
    if (soon := full_in(view, disk)) is not None:
        words.insert(0, [(f"full in {duration(soon)}", Role.TEXT)])
    if disk.pinned_by:
        words.append([(", ".join(map(plain, disk.pinned_by)), Role.DIM)])
    words.append([(disk.fstype or "", Role.DIM)])
    words.append([(plain(disk.device or ""), Role.DIM)])
    fitting = [part for part in words if 0 < width_of(part) <= width - pen.at]
    return pen.add(gathered(fitting, width - pen.at, ("  ", Role.TEXT))).line


def _row(view: View, disk: Disk, width: int, name: int) -> Line:
    """A mount with the numbers that have room."""
    findings = Levels(view.findings).of(disk.mount)
    text = Role.STALE if is_old(view, disk) else Role.TEXT
    pen = Pen().put(left(clip_left(plain(disk.mount), name), name), Role.TEXT).put(" ")
    pen.add(_share(view, disk, findings, _bar_width(width, name)))
    free = f"{size(disk.available_bytes)} free" if disk.available_bytes is not None else UNKNOWN
    whole = f"{free} of {size(disk.total_bytes)}" if disk.total_bytes is not None else free
    pen.put(right(whole, 20) if width - pen.at >= 24 else right(free, 11), text).put("  ")
    words = notes(view, disk, findings)
    if disk.read_bytes_per_s or disk.write_bytes_per_s:
        moved: Line = [("r ", Role.LABEL), (rate(disk.read_bytes_per_s), text)]
        words.append([*moved, (" w ", Role.LABEL), (rate(disk.write_bytes_per_s), text)])
    return _told(view, pen, disk, words, width)
