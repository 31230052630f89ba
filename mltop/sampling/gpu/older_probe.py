"""A probe of an earlier mltop that is stuck in the driver still: no second one goes in after it (D2, M10)."""

from __future__ import annotations

from pathlib import Path

from mltop.sampling.kin import kin
from mltop.sampling.root import Roots

_COMM = b"mltop-probe"


def stuck_probes(roots: Roots, mine: int | None = None) -> frozenset[int]:
    """Pids of this user's probes that wait in the kernel (state D), or whose parent is gone, but for `mine`.

    State D alone may also be a healthy call of the moment: who asks looks twice.
    """
    return frozenset(
        one.pid
        for one in kin(roots.proc, _COMM)
        if one.comm == _COMM and one.pid != mine and _is_stuck(roots, one.state, one.parent)
    )


def _is_stuck(roots: Roots, state: bytes, parent: int) -> bool:
    if state in (b"Z", b"X"):
        return False
    return state == b"D" or (parent == 1 and not _is_mltop(roots.proc / "1/comm"))


def _is_mltop(comm: Path) -> bool:
    """In a container the first process may be an mltop, and its probe no orphan."""
    try:
        return comm.read_text().startswith(("mltop", "python"))
    except OSError:
        return False
