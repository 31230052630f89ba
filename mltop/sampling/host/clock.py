"""Whether the kernel's clock is being kept: adjtimex(2), which anybody may ask as long as nothing is to be set."""

from __future__ import annotations

import ctypes

from mltop.model.host_facts import Clock
from mltop.model.snapshot import Status
from mltop.sampling.gpu.pci import is_container
from mltop.sampling.root import Roots

# linux/timex.h
_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000


class _Timex(ctypes.Structure):
    """`struct timex` of the C library; what comes after `status` is only room here."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("maximum_error", ctypes.c_long),
        ("estimated_error", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 64),
    )


def read_clock(roots: Roots) -> Clock:
    """The kernel's own word; a container's clock is its host's to keep. Raises OSError."""
    if is_container(roots):
        return Clock(status=Status.UNSUPPORTED, reason="a container has its host's clock")
    answer = _Timex(modes=0)
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return Clock(status=Status.UNSUPPORTED, reason="no adjtimex in this C library")
    if adjtimex(ctypes.byref(answer)) == -1:
        number = ctypes.get_errno()
        raise OSError(number, "adjtimex refused")
    return told(answer.status, answer.offset, answer.maximum_error)


def told(status: int, offset: int, maximum_error_us: int) -> Clock:
    """What the fields of `struct timex` mean: the offset is in ns with STA_NANO, else in us."""
    return Clock(
        age_s=0.0,
        is_synchronised=not status & _STA_UNSYNC,
        offset_s=offset / (1e9 if status & _STA_NANO else 1e6),
        max_error_s=maximum_error_us / 1e6,
    )
