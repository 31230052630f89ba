"""Profiles: whose limits hold, and what the exit code says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from mltop.checks.service.unit import Expectation
from mltop.config.limit import Limit, Range
from mltop.config.limits import Limits
from mltop.model.verdict import EXIT_CODES, State


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. The config's own limits go over a profile's."""

    limits: Mapping[str, Limit] = {}
    units: Expectation = "usual"
    """How docker and ssh are expected."""
    exit_code: Callable[[State], int] = EXIT_CODES.__getitem__


def _warning(number: float, *, below: bool = False) -> Limit:
    return Limit(warn=Range.from_number(number, "low" if below else "high"))


PROFILES: Mapping[str, Profile] = {
    "default": Profile(),
    # the limits and the exit rule of the shell script that mltop replaces: a WARNING exits 0
    "seed": Profile(
        limits={
            "cpu.load": _warning(80),
            "mem.available": _warning(10, below=True),
            "disk.space": _warning(85),
            "gpu.mem": _warning(95),
            "gpu.temp": _warning(85),
        },
        units="must",
        exit_code=lambda state: 1 if state is State.CRITICAL else 0,
    ),
}


def limits_of(profile: Profile, limits: Limits) -> Limits:
    """A profile's limits, with the config's over them."""
    return msgspec.structs.replace(limits, configured={**profile.limits, **limits.configured})
