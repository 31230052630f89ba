from __future__ import annotations

from typing import Any

import msgspec

from mltop.checks.event import changes
from mltop.checks.judge import judge
from mltop.model.event import Event
from mltop.model.finding import Level
from mltop.model.snapshot import Disk, Driver, Snapshot, Status

LOST = {"status": Status.LOST, "xid_last": 79, "xid_last_age_s": 2.0}
HUNG = Driver(status=Status.TIMEOUT, reason="driver not answering for 4 s", gpu_count=8)
FULL = (Disk(mount="/", used_percent=50.0), Disk(mount="/data", used_percent=99.0, available_bytes=0))

WELL = (FULL[0], Disk(mount="/data", used_percent=70.0, available_bytes=0))


def between(previous: Snapshot, current: Snapshot) -> list[tuple[str, str, str, Level]]:
    events = changes(previous, current, judge(previous), judge(current))
    assert all(event.time == current.time for event in events)
    return [(event.item, event.from_, event.to, event.level) for event in events]


def test_nothing_changed_is_no_event(make: Any) -> None:
    assert changes(None, make()) == []
    assert between(make(), make()) == []
    assert between(make(gpus={3: LOST}), make(gpus={3: LOST})) == []


def test_a_gpu_lost_and_back(make: Any) -> None:
    lost = "lost, Xid 79 fallen off the bus"
    assert between(make(), make(gpus={3: LOST})) == [
        ("GPU 3", "no Xid", "Xid 79 fallen off the bus", Level.CRITICAL),
        ("GPU 3", "ok", lost, Level.CRITICAL),
    ]
    assert between(make(gpus={3: LOST}), make(gpus={3: {"xid_last": 79, "xid_last_age_s": 9.0}})) == [
        ("GPU 3", lost, "ok", Level.OK)
    ]


def test_a_driver_that_hangs_and_answers_again(make: Any) -> None:
    stale = {index: {"status": Status.TIMEOUT} for index in range(8)}
    hung = make(gpus=stale, driver=HUNG)
    assert between(make(), hung) == [("driver", "ok", "driver not answering for 4 s", Level.CRITICAL)]
    assert between(hung, make()) == [("driver", "driver not answering for 4 s", "ok", Level.OK)]


def test_a_hot_gpu_of_a_hung_driver_did_not_cool_down(make: Any) -> None:
    hot = make(gpus={1: {"temperature_c": 86}})
    hung = make(gpus={1: {"temperature_c": 86, "status": Status.TIMEOUT}}, driver=HUNG)
    assert [event[0] for event in between(hot, hung)] == ["driver"]
    assert ("GPU 1", "not known", "86 C, 1 C below its slowdown", Level.CRITICAL) in between(hung, hot)


def test_a_limit_crossed_both_ways(make: Any) -> None:
    warm = make(disks=(FULL[0], Disk(mount="/data", used_percent=90.0, available_bytes=0)))
    assert between(make(disks=WELL), make(disks=FULL))[0][:2] == ("/data", "ok")
    assert between(make(disks=FULL), warm)[0][1:] == (
        "99 % used, 0.0 GiB free",
        "90 % used, 0.0 GiB free",
        Level.WARNING,
    )
    assert between(make(disks=FULL), make(disks=WELL))[0][1:] == ("99 % used, 0.0 GiB free", "ok", Level.OK)


def test_a_mount_that_is_stuck_comes_back_appears_and_goes(make: Any) -> None:
    stuck = make(disks=(FULL[0], Disk(mount="/data", status=Status.TIMEOUT, reason="no answer for 3 s")))
    there = make(disks=(FULL[0], Disk(mount="/data", used_percent=1.0)))
    gone = make(disks=FULL[:1])
    assert between(there, stuck) == [("/data", "ok", "no answer for 3 s", Level.WARNING)]
    assert between(stuck, there) == [("/data", "no answer for 3 s", "ok", Level.OK)]
    assert between(there, gone) == [("/data", "mounted", "not mounted", Level.WARNING)]
    assert between(gone, there) == [("/data", "not mounted", "mounted", Level.OK)]
    assert between(make(disks=()), there) == []


def test_a_full_mount_that_gets_stuck_did_not_get_empty(make: Any) -> None:
    stuck = make(disks=(FULL[0], Disk(mount="/data", status=Status.TIMEOUT, reason="no answer for 3 s")))
    assert all(to != "ok" for _, _, to, _ in between(make(disks=FULL), stuck))


def test_gpus_that_go_and_come(make: Any) -> None:
    assert between(make(8), make(7)) == [
        ("GPUs", "8", "7", Level.WARNING),
        ("GPU 7", "there", "gone (GPU-7)", Level.CRITICAL),
    ]
    assert between(make(7), make(8)) == [
        ("GPUs", "7", "8", Level.OK),
        ("GPU 7", "not there", "there (GPU-7)", Level.OK),
    ]


def test_a_card_whose_uuid_becomes_known_is_the_same_card(make: Any) -> None:
    full = make(1)
    bare = msgspec.structs.replace(full, gpus=(msgspec.structs.replace(full.gpus[0], uuid=None),))
    assert between(bare, full) == []
    assert between(full, bare) == []


def test_an_xid_again_and_one_that_only_gets_older(make: Any) -> None:
    first = {"xid_last": 31, "xid_last_age_s": 2.0}
    assert between(make(), make(gpus={0: first})) == [("GPU 0", "no Xid", "Xid 31 memory page fault", Level.OK)]
    older = make(gpus={0: {"xid_last": 31, "xid_last_age_s": 60.0}})
    assert between(make(gpus={0: first}), older) == []
    assert len(between(older, make(gpus={0: first}))) == 1


def test_a_reboot(make: Any) -> None:
    events = between(make(gpus={3: LOST}), make(boot_id="b2"))
    assert events[0] == ("gpu-07", "up", "rebooted", Level.WARNING)


def test_an_event_is_written_with_from_and_to() -> None:
    event = Event(time="t", item="i", from_="a", to="b", level=Level.OK)
    assert msgspec.to_builtins(event) == {"time": "t", "item": "i", "from": "a", "to": "b", "level": 0}
