from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from mltop.model.snapshot import Snapshot, Status
from mltop.sampling.host.host import Host, HostReadings, Selection
from mltop.sampling.reader import Reader
from mltop.sampling.root import Roots

if TYPE_CHECKING:
    from conftest import FakeBox

WaitFor = Callable[..., None]


def snapshot(host: Host, readings: HostReadings) -> Snapshot:
    return Snapshot(
        host=host.name,
        cpu=readings.cpu,
        memory=readings.memory,
        disks=readings.disks,
        network=readings.network,
        processes=readings.processes,
    )


def test_an_empty_box_has_reasons_and_no_exception(box: FakeBox, reader: Reader) -> None:
    host = Host(box.roots, reader)
    readings = host.read(time.monotonic(), Selection(), {1: (0,)})
    assert readings.cpu.status is Status.UNSUPPORTED
    assert readings.memory.status is Status.UNSUPPORTED
    assert (readings.processes.total, readings.processes.top) == (0, ())
    assert (host.name, host.boot_id, host.uptime_s()) == (os.uname().nodename, None, None)
    wire = msgspec.json.encode(snapshot(host, readings))
    assert msgspec.json.decode(wire, type=Snapshot) == snapshot(host, readings)


def test_facts_of_the_box(box: FakeBox, reader: Reader) -> None:
    box.proc("sys/kernel/hostname", "gpu-07\n")
    box.proc("sys/kernel/random/boot_id", "5f0c\n")
    box.proc("uptime", "12.5 20.0\n")
    host = Host(box.roots, reader)
    assert (host.name, host.boot_id, host.uptime_s()) == ("gpu-07", "5f0c", 12.5)


def test_elsewhere_the_driver_s_pids_are_nobody_s(box: FakeBox, reader: Reader) -> None:
    """D16: outside the first pid namespace, a number alone names nothing."""
    box.process(5, "local")
    (box.roots.proc / "self/ns").mkdir(parents=True)
    (box.roots.proc / "self/ns/pid").symlink_to("pid:[4026532999]")
    host = Host(box.roots, reader)
    [process] = host.read(0.0, Selection(), {5: (0,)}).processes.top
    assert (process.gpus, host.describe(5), host.container(5)) == ((), None, None)


def test_the_real_box_is_whole_within_two_readings(reader: Reader, wait_for: WaitFor) -> None:
    host = Host(Roots(), reader)
    host.read(time.monotonic(), Selection(), {})
    wait_for(reader, reader.is_idle)
    readings = host.read(time.monotonic(), Selection(), {})
    assert readings.cpu.status is Status.OK
    assert readings.cpu.count == os.sysconf("SC_NPROCESSORS_ONLN")
    assert readings.memory.status is Status.OK
    assert readings.memory.used_bytes is not None
    assert readings.disks[0].mount == "/"
    assert readings.disks[0].used_percent is not None
    for _ in range(50):  # a box of many processes is read within a budget of time, a part at a reading
        if (me := host.describe(os.getpid())) is not None:
            break
        host.read(time.monotonic(), Selection(), {})
    assert me is not None
    assert me.rss_bytes
    assert me.running_s is not None
    assert me.running_s >= 0
    assert readings.processes.total
    assert len(reader.pids()) == 1
    msgspec.json.decode(msgspec.json.encode(snapshot(host, readings)), type=Snapshot)
