"""Judgements to the verdict of one run. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import msgspec

from mltop import __version__
from mltop.checks.case import judgement, skip
from mltop.checks.catalogue import CATALOGUE, ORDER
from mltop.checks.disk import SHARED_MEMORY
from mltop.checks.judgement import Judgement
from mltop.checks.profile import Profile
from mltop.checks.selection import Selection
from mltop.config.limits import TABLE
from mltop.model.finding import Level
from mltop.model.snapshot import Snapshot, Status
from mltop.model.verdict import Counts, Result, State, Verdict, badness, worst
from mltop.system.digest import sha256_hex

_STATES = {
    Level.OK: State.OK,
    Level.UNKNOWN: State.UNKNOWN,
    Level.WARNING: State.WARNING,
    Level.CRITICAL: State.CRITICAL,
}
_FACILITIES = frozenset({"facility", "permission"})
"""Why a check of what is here could not be made: no systemd, no time service, a kernel log that is refused."""
_OF_A_MOUNT = frozenset({"disk.space", "disk.inodes", "disk.eta", "disk.readonly", "disk.shm"})
_OF_A_GPU = frozenset(check.id for check in CATALOGUE if check.family == "gpu") - {
    "gpu.driver", "gpu.count", "gpu.responsive", "gpu.idle_waste",
}  # fmt: skip
_MUTED_BY = {
    "disk.mount_stuck": _OF_A_MOUNT,
    "disk.mount_missing": _OF_A_MOUNT,
    "gpu.count": _OF_A_GPU,
    "gpu.responsive": _OF_A_GPU,
}
"""What cannot be told of a target for a cause that is told instead."""
_NOT_OF_SHARED_MEMORY = {SHARED_MEMORY: frozenset({"disk.space", "disk.eta"})}
"""It has a check of its own, which is none of the other mounts'."""
_HINDERS = frozenset({"timeout", "lost"})
_MISSING = _FACILITIES | {"absent"}
"""Why a check that was asked for could not be made; a field that a card does not have is SKIP all the same."""


def results(
    judgements: Iterable[Judgement],
    selection: Selection,
    snapshot: Snapshot,
    *,
    unknown_as: State = State.UNKNOWN,
    needs_facilities: bool = False,
) -> tuple[Result, ...]:
    """A result for every check that was selected and each of its targets, the worst first.

    `needs_facilities`: a facility that is missing or refused is UNKNOWN though no check was asked for by name.
    """
    found = list(judgements)
    found.extend(_muted(found, selection))
    told = {one.check for one in found}
    untold = [check.id for check in CATALOGUE if check.id in selection.checks and check.id not in told]
    has_driver = not any(one.check == "gpu.driver" and one.level is None for one in found)
    found.extend(_untold(untold, snapshot, has_driver=has_driver))
    made = [
        _result(one, snapshot.host, _needed(one.check in selection.asked, needs_facilities), unknown_as)
        for one in found
        if one.check in selection.checks
    ]
    return tuple(sorted(made, key=lambda one: (-badness(one.state), ORDER[one.check])))


def verdict(
    made: tuple[Result, ...],
    selection: Selection,
    snapshot: Snapshot,
    *,
    profile_name: str,
    profile: Profile,
    duration_s: float,
) -> Verdict:
    """The whole document; where nothing ran it is UNKNOWN, whatever the profile."""
    state = worst(one.state for one in made)
    ran = any(one.state is not State.SKIP for one in made)
    return Verdict(
        version=__version__,
        host=snapshot.host,
        boot_id=snapshot.boot_id,
        time=snapshot.time,
        duration_s=round(duration_s, 3),
        profile=profile_name,
        state=state,
        exit_code=profile.exit_code(state) if ran else 3,
        complete=True,
        counts=Counts.of(made),
        disabled=selection.disabled,
        results=made,
    )


def _muted(found: Collection[Judgement], selection: Selection) -> list[Judgement]:
    """Checks of a target that cannot be told, where the check that tells the cause was not selected."""
    told = {(one.check, one.target) for one in found}
    causes = [one for one in found if one.level and one.target and one.reason in _HINDERS and one.check in _MUTED_BY]
    return [
        judgement(
            check, Level.UNKNOWN, f"not read: {cause.summary}", target=cause.target, name=cause.target_name,
            reason=cause.reason,
        )
        for cause in causes
        if cause.check not in selection.checks
        for check in ORDER
        if check in _MUTED_BY[cause.check] and check in selection.checks and (check, cause.target) not in told
        and check not in _NOT_OF_SHARED_MEMORY.get(cause.target, {"disk.shm"})
    ]  # fmt: skip


def _untold(checks: Iterable[str], snapshot: Snapshot, *, has_driver: bool) -> Iterator[Judgement]:
    """Checks that found nothing to look at: no GPU, or a driver that does not let itself be read."""
    driver = snapshot.driver
    for check in checks:
        if not check.startswith("gpu."):
            yield skip(check, "nothing of this kind here")
        elif not has_driver or driver.gpu_count == 0:
            yield skip(check, "no GPU here")
        elif driver.status is Status.OK:
            yield skip(check, "no GPU left to look at", reason="lost")
        else:
            yield _unread(check, driver.reason or str(driver.status))


def _unread(check: str, reason: str) -> Judgement:
    return Judgement(check=check, target="", target_name="GPUs", level=Level.UNKNOWN, summary=reason, reason="driver")


def _needed(is_asked: bool, needs_facilities: bool) -> frozenset[str]:
    """The reasons for which a check must not be skipped."""
    return _MISSING if is_asked else _FACILITIES if needs_facilities else frozenset()


def _result(one: Judgement, host: str, needed: frozenset[str], unknown_as: State) -> Result:
    state = State.SKIP if one.level is None else _STATES[one.level]
    if state is State.SKIP and one.reason in needed:
        state = State.UNKNOWN
    if state is State.UNKNOWN:
        state = unknown_as
    row = TABLE.get(one.check)
    limit = one.limit
    return Result(
        check=one.check,
        target=one.target,
        target_name=one.target_name,
        state=state,
        reason=None if state is State.OK else one.reason,
        summary=one.summary,
        action=None if state in (State.OK, State.SKIP) else one.action,
        value=None if one.value is None else round(one.value, 3),
        unit=row.unit or None if row is not None and one.value is not None else None,
        warn=str(limit.warn) if limit is not None and limit.warn is not None else None,
        crit=str(limit.crit) if limit is not None and limit.crit is not None else None,
        duration_s=None if one.duration_s is None else round(one.duration_s, 4),
        data=one.data or {},
        fingerprint=sha256_hex(msgspec.json.encode([host, one.check, one.target]))[:16],
    )
