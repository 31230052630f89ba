"""`gpu.xid`: what the driver reported of a GPU in the kernel log, and how often since mltop first looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mltop.checks.case import Case, judgement, skip
from mltop.checks.fact import facts, unread
from mltop.checks.judgement import Judgement
from mltop.checks.xid import RECENT_S, xid
from mltop.model.finding import Level
from mltop.model.host_facts import KernelEvent
from mltop.model.identity import gpu_identity, gpu_label
from mltop.model.snapshot import Gpu, Status

_MOST_CARDS = 256
_MOST_CODES = 64
"""Of one card, so many codes are counted."""


def count_xids(case: Case) -> None:
    """Add what came since the last run to the totals, which outlive a boot; a log that is refused adds nothing."""
    log = facts(case).kernel_log
    if case.memory is None or log is None:
        return
    kept = case.memory.kept
    fresh = [one for one in log.events if one.kind == "xid" and one.code is not None and one.at_s > kept.xids_at]
    for one in fresh:
        codes = kept.xids.setdefault(one.subject, {}) if len(kept.xids) < _MOST_CARDS else kept.xids.get(one.subject)
        if codes is not None and one.code is not None and (one.code in codes or len(codes) < _MOST_CODES):
            codes[one.code] = codes.get(one.code, 0) + 1
    kept.xids_at = max([kept.xids_at, *(one.at_s for one in fresh)])


def xid_totals(case: Case, gpu: Gpu) -> dict[str, Any]:
    """How often each Xid came since mltop first looked, by its code, for a judgement's data."""
    codes: Mapping[int, int] = {} if case.memory is None else case.memory.kept.xids.get(gpu.pci_bus_id or "", {})
    return {"totals": {str(code): count for code, count in sorted(codes.items())}} if codes else {}


def judge_xid(case: Case, gpu: Gpu) -> Judgement:
    """The worst of a day, where the whole log is known; else the last one."""
    target, name = gpu_identity(gpu), gpu_label(gpu)
    log, totals = facts(case).kernel_log, xid_totals(case, gpu)
    if log is not None:
        if log.status is not Status.OK and gpu.xid_last is None:
            return unread("gpu.xid", log, target=target, name=name)
        events = [one for one in log.events if one.kind == "xid" and one.subject == gpu.pci_bus_id]
        if events:
            return _worst(events, totals, target, name)
    if gpu.xid_last is not None and gpu.xid_last_age_s is not None and gpu.xid_last_age_s <= RECENT_S:
        known = xid(gpu.xid_last)
        summary = f"Xid {gpu.xid_last} {known.words}"
        data = {"xid": gpu.xid_last, "age_s": gpu.xid_last_age_s, **totals}
        return judgement(
            "gpu.xid", known.level, summary, known.action, target=target, name=name, reason="xid", data=data
        )
    if case.surroundings is not None and case.surroundings.kernel_log is not None:
        return skip("gpu.xid", case.surroundings.kernel_log, target=target, name=name, reason="permission")
    return judgement("gpu.xid", Level.OK, "no Xid within a day", target=target, name=name, data=totals)


def _worst(events: Sequence[KernelEvent], totals: Mapping[str, Any], target: str, name: str) -> Judgement:
    """A later harmless one does not hide it."""
    worst = max(events, key=lambda one: (xid(one.code or 0).level, one.at_s))
    known = xid(worst.code or 0)
    times = sum(one.code == worst.code for one in events)
    summary = f"Xid {worst.code} {known.words}" + (f", {times} times" if times > 1 else "")
    data = {
        "xid": worst.code,
        "age_s": round(worst.age_s, 1),
        "count": times,
        "codes": sorted({one.code or 0 for one in events}),
        **totals,
    }
    return judgement("gpu.xid", known.level, summary, known.action, target=target, name=name, reason="xid", data=data)
