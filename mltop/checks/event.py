"""What changed between two snapshots (M37): limits crossed both ways, and what came, went or restarted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mltop.checks.case import NOT_READ
from mltop.checks.xid import xid
from mltop.model.event import Event
from mltop.model.finding import Finding, Level
from mltop.model.identity import gpu_identity, gpu_label
from mltop.model.snapshot import Gpu, Reading, Snapshot, Status

WELL = "ok"
NOT_KNOWN = "not known"
_XID_SLACK_S = 5.0
"""Ages of one Xid, read twice, may differ by so much."""


def changes(
    previous: Snapshot | None,
    current: Snapshot,
    previous_findings: Sequence[Finding] = (),
    findings: Sequence[Finding] = (),
) -> list[Event]:
    """The events between two snapshots of one box, and what was judged of each; none without a previous one."""
    if previous is None:
        return []
    events = [*_boot(previous, current), *_gpus(previous, current), *_mounts(previous, current)]
    events.extend(_xids(previous, current))
    if _rebooted(previous, current):
        return events
    return events + list(_crossed(previous, current, previous_findings, findings))


def _rebooted(previous: Snapshot, current: Snapshot) -> bool:
    return None not in (previous.boot_id, current.boot_id) and previous.boot_id != current.boot_id


def _boot(previous: Snapshot, current: Snapshot) -> Iterator[Event]:
    if _rebooted(previous, current):
        yield _event(current, current.host or "host", "up", "rebooted", Level.WARNING)


def _crossed(previous: Snapshot, current: Snapshot, old: Sequence[Finding], new: Sequence[Finding]) -> Iterator[Event]:
    """Findings that came, changed their level or went. What can no longer be read did not get well."""
    before = {(one.check, one.target): one for one in old if one.check != "gpu.xid"}  # told by `_xids`
    after = {(one.check, one.target): one for one in new if one.check != "gpu.xid"}
    for key, one in after.items():
        past = before.get(key)
        if past is None:
            from_ = WELL if _is_read(previous, one) else NOT_KNOWN
            yield _event(current, one.target_name, from_, one.summary, one.level)
        elif past.level is not one.level:
            yield _event(current, one.target_name, past.summary, one.summary, one.level)
    for key, past in before.items():
        if key not in after and _is_read(current, past):
            yield _event(current, past.target_name, past.summary, WELL, Level.OK)


def _is_read(snapshot: Snapshot, one: Finding) -> bool:
    """Whether a snapshot can tell what a finding tells."""
    family = one.check.partition(".")[0]
    if family == "gpu":
        if one.target == "":
            return snapshot.driver.status not in NOT_READ
        groups: list[Reading] = [gpu for gpu in snapshot.gpus if one.target in (gpu.uuid, gpu_identity(gpu))]
        return snapshot.driver.status not in NOT_READ and any(group.status not in NOT_READ for group in groups)
    if family == "disk":
        return any(disk.mount == one.target and disk.status not in NOT_READ for disk in snapshot.disks)
    return (snapshot.cpu if family == "cpu" else snapshot.memory).status not in NOT_READ


def _gpus(previous: Snapshot, current: Snapshot) -> Iterator[Event]:
    """GPUs that are listed no longer, or newly; not while the driver cannot say."""
    if previous.driver.status in NOT_READ or current.driver.status in NOT_READ:
        return
    counts = previous.driver.gpu_count, current.driver.gpu_count
    if counts[0] is not None and counts[1] is not None and counts[0] != counts[1]:
        level = Level.WARNING if counts[1] < counts[0] else Level.OK
        yield _event(current, "GPUs", str(counts[0]), str(counts[1]), level)
    before, after = _names(previous.gpus), _names(current.gpus)
    for gpu in previous.gpus:
        if after.isdisjoint(_names([gpu])):
            yield _event(current, gpu_label(gpu), "there", f"gone ({gpu_identity(gpu)})", Level.CRITICAL)
    for gpu in current.gpus:
        if before.isdisjoint(_names([gpu])):
            yield _event(current, gpu_label(gpu), "not there", f"there ({gpu_identity(gpu)})", Level.OK)


def _names(gpus: Sequence[Gpu]) -> set[str]:
    """A card is known by its uuid or its bus id: which of them is known may change."""
    return {name for gpu in gpus for name in (gpu.uuid, gpu.pci_bus_id, gpu_identity(gpu)) if name}


def _xids(previous: Snapshot, current: Snapshot) -> Iterator[Event]:
    """A new Xid: another code, or the same one again (its age went down)."""
    known = {gpu_identity(gpu): gpu for gpu in previous.gpus}
    for gpu in current.gpus:
        past = known.get(gpu_identity(gpu))
        if gpu.xid_last is None or past is None:
            continue
        is_again = None not in (gpu.xid_last_age_s, past.xid_last_age_s) and (
            (gpu.xid_last_age_s or 0.0) + _XID_SLACK_S < (past.xid_last_age_s or 0.0)
        )
        if past.xid_last != gpu.xid_last or is_again:
            meaning = xid(gpu.xid_last)
            from_ = f"Xid {past.xid_last}" if past.xid_last is not None else "no Xid"
            yield _event(current, gpu_label(gpu), from_, f"Xid {gpu.xid_last} {meaning.words}", meaning.level)


def _mounts(previous: Snapshot, current: Snapshot) -> Iterator[Event]:
    before = {disk.mount for disk in previous.disks if disk.status is not Status.ABSENT}
    after = {disk.mount for disk in current.disks if disk.status is not Status.ABSENT}
    if not before or not after:
        return  # not read yet: `/` is always there
    for mount in sorted(before - after):
        yield _event(current, mount, "mounted", "not mounted", Level.WARNING)
    for mount in sorted(after - before):
        yield _event(current, mount, "not mounted", "mounted", Level.OK)


def _event(current: Snapshot, item: str, from_: str, to: str, level: Level) -> Event:
    return Event(time=current.time, item=item, from_=from_, to=to, level=level)
