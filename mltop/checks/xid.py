"""Xids: what the kernel log's error codes of the NVIDIA driver mean for the one who keeps the box.

Levels: the codes on which the tools of the field agree (DCGM, NVIDIA's health validation, nvidia_gpu_exporter's rules);
names: NVIDIA's Xid catalogue.
"""

from __future__ import annotations

import msgspec

from mltop.model.finding import Level

RECENT_S = 86400.0
"""An older one is history."""

_DRAIN = "drain the node and reset the GPU"
_REBOOT = "drain and reboot the node"
_APPLICATION = "look at the application"


class Xid(msgspec.Struct, frozen=True):
    """One code: how bad, in words, and what to do."""

    level: Level
    words: str
    action: str | None


_KNOWN = {
    13: Xid(Level.OK, "graphics engine exception", _APPLICATION),
    31: Xid(Level.OK, "memory page fault", _APPLICATION),
    43: Xid(Level.OK, "stopped processing", _APPLICATION),
    45: Xid(Level.OK, "preemptive clean-up", _APPLICATION),
    46: Xid(Level.CRITICAL, "stopped answering", _DRAIN),
    48: Xid(Level.CRITICAL, "double-bit ECC error", _DRAIN),
    62: Xid(Level.CRITICAL, "micro-controller halted", _DRAIN),
    63: Xid(Level.WARNING, "row remap recorded", "reset the GPU when it is idle"),
    64: Xid(Level.CRITICAL, "row remap failed", _DRAIN),
    74: Xid(Level.CRITICAL, "NVLink error", _DRAIN),
    79: Xid(Level.CRITICAL, "fallen off the bus", _REBOOT),
    94: Xid(Level.WARNING, "contained memory error", "restart the application, reset the GPU when it is idle"),
    95: Xid(Level.CRITICAL, "uncontained memory error", _DRAIN),
    119: Xid(Level.CRITICAL, "GSP does not answer", _REBOOT),
    120: Xid(Level.CRITICAL, "GSP error", _REBOOT),
    140: Xid(Level.CRITICAL, "unrecovered ECC error", _DRAIN),
}


def xid(code: int) -> Xid:
    """What a code means; one that is not in the table deserves a look."""
    return _KNOWN.get(code, Xid(Level.WARNING, "see NVIDIA's Xid catalogue", None))
