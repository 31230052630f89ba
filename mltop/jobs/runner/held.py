"""Whether a manager holds this run to its limits, by what the kernel says of our cgroup and not by who started us.

A terminal inside a user's unit has an INVOCATION_ID too, and a user's manager may have no cpu controller: only the
cgroup's own files tell (cgroups(7); Documentation/admin-guide/cgroup-v2.rst).
"""

from __future__ import annotations

from pathlib import Path

_PERIOD_US = 100_000


def own_cgroup(proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> Path | None:
    """The folder of our cgroup; `None` where there is no unified hierarchy."""
    try:
        lines = (proc / "self/cgroup").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("0::/"):
            return sys / "fs/cgroup" / line[4:]
    return None


def holds_memory(cgroup: Path | None, max_bytes: int) -> bool:
    """Whether all processes together can have no more memory than that."""
    words = _words(cgroup, "memory.max")
    return bool(words) and words[0].isdigit() and int(words[0]) <= max_bytes


def holds_cpu(cgroup: Path | None, percent: float) -> bool:
    """Whether all processes together can have no more than that of one CPU."""
    words = _words(cgroup, "cpu.max")
    if not words or not words[0].isdigit():
        return False
    period_us = int(words[1]) if len(words) > 1 and words[1].isdigit() else _PERIOD_US
    return 100 * int(words[0]) <= (percent + 0.5) * period_us


def _words(cgroup: Path | None, name: str) -> list[str]:
    try:
        return (cgroup / name).read_text("ascii", "replace").split() if cgroup is not None else []
    except OSError:
        return []
