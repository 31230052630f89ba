"""`gpu.xid` counts: each report once, over runs and boots, whatever the log still holds."""

from __future__ import annotations

from typing import Any

import pytest

from mltop.checks.judge import Memory, judgements
from mltop.config.limits import Limits
from mltop.model.host_facts import HostFacts, KernelEvent, KernelEvents
from mltop.model.snapshot import Status
from mltop.model.surroundings import Surroundings

BUS = "0000:1b:00.0"


def event(code: int, at_s: float, bus: str = BUS) -> KernelEvent:
    return KernelEvent(kind="xid", subject=bus, at_s=at_s, age_s=1000.0 - at_s, text="NVRM: Xid", code=code)


class Watch:
    """Runs of one box, each of which knows what the last one kept."""

    def __init__(self, make: Any) -> None:
        self.make = make
        self.memory = Memory()

    def totals(self, *events: KernelEvent, log: KernelEvents | None = None, **changes: Any) -> dict[str, Any]:
        """What a run tells of GPU 0, by the check that tells it."""
        host = HostFacts(kernel_log=log or KernelEvents(age_s=0.0, events=events))
        snapshot = self.make(**changes)
        found = judgements(snapshot, Limits(), self.memory, Surroundings(host=host, driver_s=0.1), ("gpu",))
        told = [one for one in found if one.target == "GPU-0" and one.check in ("gpu.xid", "gpu.count")]
        return {one.check: (one.data or {}).get("totals") for one in told}


@pytest.fixture
def watch(make: Any) -> Watch:
    return Watch(make)


def test_each_is_counted_once(watch: Watch) -> None:
    first, second = event(79, 10.0), event(79, 20.0)
    assert watch.totals(first) == {"gpu.xid": {"79": 1}}
    assert watch.totals(first) == {"gpu.xid": {"79": 1}}
    assert watch.totals(first, second, event(31, 20.5), event(48, 30.0, "0000:ff:00.0")) == {
        "gpu.xid": {"31": 1, "79": 2}
    }
    assert watch.totals() == {"gpu.xid": {"31": 1, "79": 2}}


def test_another_boot_begins_its_clock_anew_and_keeps_the_totals(watch: Watch) -> None:
    watch.totals(event(79, 900.0))
    assert watch.totals(event(79, 5.0), boot_id="b2", uptime_s=50.0) == {"gpu.xid": {"79": 2}}


def test_a_log_that_is_refused_adds_nothing_and_forgets_nothing(watch: Watch) -> None:
    watch.totals(event(79, 10.0))
    refused = KernelEvents(status=Status.NO_PERMISSION, reason="run as root")
    assert watch.totals(log=refused) == {"gpu.xid": None}
    assert watch.totals() == {"gpu.xid": {"79": 1}}


def test_a_lost_gpu_has_its_totals_too(watch: Watch) -> None:
    lost = {"status": Status.LOST, "xid_last": 79, "xid_last_age_s": 1.0}
    assert watch.totals(event(79, 999.0), gpus={0: lost}) == {"gpu.count": {"79": 1}}


def test_a_flood_of_codes_and_cards_is_bounded(watch: Watch) -> None:
    watch.totals(*(event(code, 1.0 + code / 1000, f"0000:{code % 300:04x}:00.0") for code in range(5000)))
    kept = watch.memory.kept.xids
    assert len(kept) <= 256
    assert max(len(codes) for codes in kept.values()) <= 64


def test_without_a_memory_nothing_is_counted(make: Any) -> None:
    here = Surroundings(host=HostFacts(kernel_log=KernelEvents(events=(event(79, 1.0),))), driver_s=0.1)
    told = [one for one in judgements(make(), Limits(), None, here, ("gpu",)) if one.check == "gpu.xid"]
    assert all("totals" not in (one.data or {}) for one in told)
    assert len(told) == 8
