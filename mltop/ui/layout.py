"""Where the panes stand: by the terminal's size, what the box has, what the user hid. No overlap, nothing outside."""

from __future__ import annotations

from typing import NamedTuple

from mltop.ui.panes import cpu, gpu
from mltop.ui.view import View

TINY_WIDTH = 64
TINY_HEIGHT = 16
"""Below either, the panes give way to a text summary (M4)."""
PANES = ("header", "cpu", "memory", "gpu", "disk", "network", "jobs", "process", "footer")
HEAD = 1
LEAST_PROCESSES = 3
"""Rows that the process list keeps, besides its head."""
FRAMED_PROCESSES = (12, 9)
"""Rows of the process pane, frame and head with them, that make frames worth their room; the second with many GPUs."""


class Place(NamedTuple):
    """A pane's rectangle in cells, from the top left."""

    pane: str
    x: int
    y: int
    width: int
    height: int


def arrange(view: View, width: int, height: int) -> list[Place]:
    """The panes' places, from the top down."""
    if width < 1 or height < 1:
        return []
    if view.full in PANES and view.full is not None:
        return _full(view.full, width, height)
    if width < TINY_WIDTH or height < TINY_HEIGHT:
        return _tiny(view, width, height)
    heights = _framed(view, width, height) or _compact(view, width, height)
    return _stack(view, width, height, heights)


def _full(pane: str, width: int, height: int) -> list[Place]:
    """One pane between header and footer."""
    if height < 4 or pane in ("header", "footer", "jobs"):
        return [Place(pane, 0, 0, width, height)]
    return [
        Place("header", 0, 0, width, 1),
        Place(pane, 0, 1, width, height - 2),
        Place("footer", 0, height - 1, width, 1),
    ]


def _tiny(view: View, width: int, height: int) -> list[Place]:
    """The summary between header and footer, processes below it where there is room."""
    if height < 5:
        return [Place("summary", 0, 0, width, height)]
    header = 0 if "header" in view.hidden else 1
    footer = 0 if "footer" in view.hidden else 1
    room = height - header - footer
    processes = 0
    if "process" not in view.hidden and room >= 9:
        processes = min(max(4, room // 2), room - 7)
    places = [Place("header", 0, 0, width, 1)] if header else []
    places.append(Place("summary", 0, header, width, room - processes))
    if processes:
        places.append(Place("process", 0, height - footer - processes, width, processes))
    if footer:
        places.append(Place("footer", 0, height - 1, width, 1))
    return places


Heights = dict[str, int]


def _shows(view: View, pane: str) -> bool:
    return pane not in view.hidden


def _mounts(view: View) -> int:
    return len(view.snapshot.disks) if view.snapshot else 1


def _interfaces(view: View) -> int:
    return len(view.snapshot.network) if view.snapshot else 1


def _compact(view: View, width: int, height: int) -> Heights:
    """One line for each of CPU, memory, disks and network; the GPUs' rows; processes keep a few."""
    heights: Heights = dict.fromkeys(PANES, 1)
    heights["jobs"] = 1 if view.jobs_line else 0
    if height < 22:
        heights["network"] = 0
    heights |= dict.fromkeys(view.hidden & heights.keys(), 0)
    others = sum(rows for pane, rows in heights.items() if pane not in ("gpu", "process"))
    least = HEAD + LEAST_PROCESSES if _shows(view, "process") else 0
    room = height - others - least
    if _shows(view, "gpu"):
        whole = gpu.need(view, width)
        paired = gpu.need_paired(view, width) if width >= gpu.TWO_A_ROW else whole
        heights["gpu"] = max(1, min(whole if whole <= room else paired, room))
    left = height - others - heights["gpu"]
    if not _shows(view, "process"):
        return heights
    across = max(1, (width - 6) // 34)
    if _shows(view, "disk") and left >= 11 and _mounts(view) > across:
        heights["disk"] += 1
        left -= 1
    if _shows(view, "cpu") and left >= 13 and view.snapshot is not None:
        lines = len(cpu.cores(view, view.snapshot.cpu, width - 1, 2))
        heights["cpu"] += lines
        left -= lines
    heights["process"] = left
    return heights


def _framed(view: View, width: int, height: int) -> Heights | None:
    """Frames, CPU beside memory and disks beside network; `None` where that leaves too few processes."""
    if width < 80:
        return None
    for least in FRAMED_PROCESSES:
        heights = _least_framed(view, width, least)
        if sum(_rows(heights).values()) <= height:
            return _grown(view, width, height, heights, least)
    return None


def _least_framed(view: View, width: int, processes: int) -> Heights:
    gpus = view.snapshot.gpus if view.snapshot is not None else ()
    is_paired = len(gpus) > gpu.PAIRED_FROM and processes == FRAMED_PROCESSES[-1]
    rows = gpu.need_paired(view, width) if is_paired else gpu.need(view, width)
    heights: Heights = {
        "header": 1, "cpu": 5, "memory": 5, "gpu": rows + (2 if gpus else 0), "disk": 4, "network": 4,
        "jobs": 1 if view.jobs_line else 0, "process": processes, "footer": 1,
    }  # fmt: skip
    return heights | dict.fromkeys(view.hidden & heights.keys(), 0)


def _rows(heights: Heights) -> Heights:
    """Rows of the screen that each band takes: those side by side take the higher one's."""
    return {
        "header": heights["header"],
        "host": max(heights["cpu"], heights["memory"]),
        "gpu": heights["gpu"],
        "disk": max(heights["disk"], heights["network"]),
        "jobs": heights["jobs"],
        "process": heights["process"],
        "footer": heights["footer"],
    }


def _grown(view: View, width: int, height: int, heights: Heights, least: int) -> Heights:
    """What is over, given out by wishes: first what shows more things, then what shows them larger."""
    left = height - sum(_rows(heights).values())
    mounts = max(_mounts(view), min(_interfaces(view), 6))
    aim = max(least, height * 3 // 10)
    gpus = len(view.snapshot.gpus) if view.snapshot else 0
    spare = max(0, left - (aim - least)) if _shows(view, "process") else left
    wishes = [
        ("disk", min(mounts, 4) + 2), ("host", 6), ("header", 2 if height >= 36 else 1), ("host", 8),
        ("gpu", 2), ("disk", min(mounts, 8) + 2), ("gpu", 3), ("host", 10), ("gpu", 4), ("disk", min(mounts, 12) + 2),
        ("host", 14 if height >= 80 else 10),
    ]  # fmt: skip
    for band, wanted in wishes:
        spare -= _grant(view, width, heights, band, wanted, spare, gpus)
    used = sum(_rows(heights).values())
    last = "process" if _shows(view, "process") else "gpu" if _shows(view, "gpu") and gpus else "cpu"
    if heights[last]:
        heights[last] += height - used
    return heights


_BANDS = {"disk": ("disk", "network"), "host": ("cpu", "memory"), "header": ("header",), "gpu": ("gpu",)}


def _grant(view: View, width: int, heights: Heights, band: str, wanted: int, spare: int, gpus: int) -> int:
    """Make a band higher, as far as there is room; for the GPUs `wanted` is lines each, all or nothing."""
    panes = [pane for pane in _BANDS[band] if heights[pane]]
    if not panes:
        return 0
    now = max(heights[pane] for pane in panes)
    if band == "gpu":
        more = gpu.need(view, width, wanted) + 2 - now if gpus else 0
        more = more if 0 < more <= spare else 0
    else:
        more = max(0, min(wanted - now, spare))
    if more:
        heights |= dict.fromkeys(panes, now + more)
    return more


def _stack(view: View, width: int, height: int, heights: Heights) -> list[Place]:
    """The rectangles; a pane whose neighbour is hidden takes the whole width."""
    framed = heights["cpu"] >= 4 or heights["memory"] >= 4 or heights["disk"] >= 4 or heights["network"] >= 4
    bands: list[tuple[str, ...]] = [("header",)]
    bands += [("cpu", "memory")] if framed else [("cpu",), ("memory",)]
    bands += [("gpu",)]
    bands += [("disk", "network")] if framed else [("disk",), ("network",)]
    bands += [("jobs",), ("process",)]
    places: list[Place] = []
    footer = heights["footer"]
    y = 0
    for band in bands:
        panes = [pane for pane in band if heights[pane] > 0]
        rows = min(max((heights[pane] for pane in panes), default=0), height - footer - y)
        if rows <= 0:
            continue
        places += _beside(panes, y, rows, width)
        y += rows
    if footer:
        places.append(Place("footer", 0, height - 1, width, 1))
    return places


def _beside(panes: list[str], y: int, rows: int, width: int) -> list[Place]:
    if len(panes) == 1:
        return [Place(panes[0], 0, y, width, rows)]
    first = width * 11 // 20 if width >= 100 else width // 2
    return [Place(panes[0], 0, y, first, rows), Place(panes[1], first, y, width - first, rows)]
