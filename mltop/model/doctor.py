"""What `mltop doctor` tells (`mltop.doctor/1`). The keys are a public contract."""

from __future__ import annotations

from enum import StrEnum

import msgspec

DOCTOR_SCHEMA = "mltop.doctor/1"


class Health(StrEnum):
    """How one part of a box stands for mltop."""

    OK = "ok"
    WARNING = "warning"
    """Works today; may not tomorrow, or not as meant."""
    FAULT = "fault"
    """Keeps mltop from doing what it was told."""
    UNKNOWN = "unknown"
    """Could not be looked at in time, or not by this user."""


class Symptom(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    id: str
    """`cron.daemon`, `wrapper.path`, …"""
    state: Health
    summary: str
    remedy: str | None = None
    where: str | None = None
    """The file, unit or job that it is about."""


class Habit(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the checklist of a kept box."""

    id: str
    is_done: bool
    summary: str
    remedy: str | None = None
    """How, where it is not done."""
