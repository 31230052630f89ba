"""All that can be told of one process on request (`mltop.process/1`): what the snapshot does not carry.

A value that is not known is `None` (or empty), and `missing` says why, by the value's key; 0 is a measured zero. What
was read a while ago is in `ages_s`. All keys have defaults, so that a document of another minor version decodes.
"""

from __future__ import annotations

import msgspec

from mltop.model.snapshot import Status

SCHEMA = "mltop.process/1"


class OpenFile(msgspec.Struct, frozen=True, kw_only=True):
    """One open file, as often as it is open."""

    path: str
    count: int = 1


class Socket(msgspec.Struct, frozen=True, kw_only=True):
    """One socket of the internet families."""

    kind: str
    """`tcp` or `udp`."""
    local: str
    remote: str = ""
    """Empty where nobody is at the other end."""
    state: str = ""
    """As ss(8) has it: `LISTEN`, `ESTAB` …; empty for udp."""


class Kin(msgspec.Struct, frozen=True, kw_only=True):
    """A process that this one started, or one that such a one started."""

    pid: int
    depth: int = 1
    """1: started by this one."""
    name: str = ""
    state: str = ""
    cpu_s: float | None = None
    rss_bytes: int | None = None


class ProcessDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One reading of one process."""

    schema: str = SCHEMA
    pid: int = 0
    time: str = ""
    status: Status = Status.OK
    """`absent`: it has ended; what is here is the last that was known."""
    reason: str | None = None
    doing: str | None = None
    """What is being read next: where nothing comes after it, this is what does not answer."""
    missing: dict[str, str] = {}
    """Why a value is not there, in words, with the remedy; by its key."""
    ages_s: dict[str, float] = {}
    """How old a value is that was not read this time, in seconds; by its key."""

    name: str | None = None
    state: str | None = None
    """One letter of `/proc/PID/stat`."""
    blocked_s: float | None = None
    """For how long it has been seen in state D, at every look."""
    waits_in: str | None = None
    """The function of the kernel in which it waits (`/proc/PID/wchan`), in state D."""
    started_at: str | None = None
    command: str | None = None
    executable: str | None = None
    is_replaced: bool | None = None
    """The file that it runs was deleted or replaced since."""
    directory: str | None = None
    container: str | None = None
    control_group: str | None = None

    cpu_percent: float | None = None
    """Of one CPU, between two readings."""
    cpu_user_s: float | None = None
    cpu_system_s: float | None = None
    threads: int | None = None
    switches_voluntary: int | None = None
    switches_involuntary: int | None = None
    switches_voluntary_per_s: float | None = None
    switches_involuntary_per_s: float | None = None
    nice: int | None = None
    io_class: str | None = None
    """`best-effort 4`, `idle` …; ionice(1)."""
    affinity: str | None = None
    """The CPUs it may run on, as ranges: `0-31,64-95`."""
    affinity_count: int | None = None

    rss_bytes: int | None = None
    uss_bytes: int | None = None
    """What would be free if it ended."""
    pss_bytes: int | None = None
    """With its share of what it has in common with others."""
    swap_bytes: int | None = None
    shared_bytes: int | None = None
    read_bytes: int | None = None
    """From drives, since its start (`read_bytes` of `/proc/PID/io`)."""
    written_bytes: int | None = None
    read_bytes_per_s: float | None = None
    written_bytes_per_s: float | None = None

    files_open: int | None = None
    """File descriptors in use, sockets and pipes too."""
    files_limit: int | None = None
    """The soft limit; `None` with a `files_open`: unlimited."""
    kinds: dict[str, int] = {}
    """What the descriptors are of: `files`, `sockets`, `pipes`, `others`."""
    files: tuple[OpenFile, ...] = ()
    """By path, at most some hundreds."""
    sockets: tuple[Socket, ...] = ()
    """Listening ones first, at most some hundreds."""
    sockets_count: int | None = None
    environment: dict[str, str] = {}
    """What tells of GPUs, ranks and batch jobs; never the rest, where the secrets are."""
    children: tuple[Kin, ...] = ()
    """Parents before their children, at most some hundreds."""
    children_count: int | None = None
