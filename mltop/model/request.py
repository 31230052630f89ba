"""What the dashboard asks of its sampler: one JSON object a line on the sampler's standard input (D7)."""

from __future__ import annotations

import msgspec


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A change of what is sampled; a key that is absent leaves things as they are."""

    interval_s: float | msgspec.UnsetType = msgspec.UNSET
    refresh: bool = False
    """Sample now."""
    filter: str | msgspec.UnsetType = msgspec.UNSET
    """Text that a process's pid, user, name or command must hold (in any case; a leading `!` inverts); "" for all."""
    sort: str | msgspec.UnsetType = msgspec.UNSET
    """`gpu`, `cpu`, `memory`, `pid`, `user`, `time`, `command`."""
    invert: bool | msgspec.UnsetType = msgspec.UNSET
    limit: int | msgspec.UnsetType = msgspec.UNSET
    """How many processes the screen can show (at most 200)."""
    pcie: bool | msgspec.UnsetType = msgspec.UNSET
    """PCIe throughput is on the screen (20 ms a call, so only then)."""
    pause: bool | msgspec.UnsetType = msgspec.UNSET
