"""Short names for what every part of the doctor says."""

from __future__ import annotations

import msgspec

from mltop.model.doctor import Habit, Health, Symptom


class Report(msgspec.Struct, frozen=True):
    """What one look at a box found."""

    symptoms: tuple[Symptom, ...] = ()
    habits: tuple[Habit, ...] = ()


def ok(id: str, summary: str, where: str | None = None) -> Symptom:
    """Nothing is wrong with it."""
    return Symptom(id=id, state=Health.OK, summary=summary, where=where)


def warning(id: str, summary: str, remedy: str, where: str | None = None) -> Symptom:
    """It works today."""
    return Symptom(id=id, state=Health.WARNING, summary=summary, remedy=remedy, where=where)


def fault(id: str, summary: str, remedy: str, where: str | None = None) -> Symptom:
    """It keeps mltop from its job."""
    return Symptom(id=id, state=Health.FAULT, summary=summary, remedy=remedy, where=where)


def unknown(id: str, summary: str, remedy: str, where: str | None = None) -> Symptom:
    """It could not be looked at."""
    return Symptom(id=id, state=Health.UNKNOWN, summary=summary, remedy=remedy, where=where)
