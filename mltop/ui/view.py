"""What the panes draw from: the latest snapshot and what the user has chosen. Drawing is a pure function of this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mltop.model.finding import Finding
from mltop.model.history import History
from mltop.model.snapshot import Snapshot

Graphs = Literal["braille", "block", "ascii"]


@dataclass(slots=True)
class ProcessView:
    """How the process list is shown."""

    sort: str = "gpu"
    invert: bool = False
    filter: str = ""
    tree: bool = False
    by_user: bool = False
    cursor: int | None = None
    """The pid under the cursor."""
    offset: int = 0
    """Index of the first visible row."""
    tagged: set[int] = field(default_factory=set)


@dataclass(slots=True)
class View:
    """One screen's state."""

    snapshot: Snapshot | None = None
    """`None` before the first sample: panes draw their frame and placeholders."""
    silent_s: float = 0.0
    """How long the sampler has said nothing beyond its interval; added to every age."""
    trouble: str | None = None
    """Why there are no snapshots (the remote end is gone, …), in words."""
    findings: tuple[Finding, ...] = ()
    history: History = field(default_factory=History)
    processes: ProcessView = field(default_factory=ProcessView)
    graphs: Graphs = "braille"
    zoom_s: float = 300.0
    """The span of the graphs."""
    paused: bool = False
    readonly: bool = False
    is_demo: bool = False
    """Nothing that is shown is real: no process of it may be signalled, whatever has its number here."""
    remote: str | None = None
    """`--host`'s HOST."""
    hidden: set[str] = field(default_factory=set)
    """Names of hidden panes."""
    full: str | None = None
    """The pane that fills the screen."""
    focus: str | None = None
    """The pane that has the focus."""
    gpu_cursor: int = 0
    """Row of the GPU pane under the cursor."""
    jobs_line: str | None = None
    """The one line of jobs; `None` until there are jobs to speak of."""
