from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltop.model.host_facts import Stall
from mltop.model.snapshot import Status
from mltop.sampling.host.cpu import CpuReading, Usage, parse_model, parse_times, usage_between
from mltop.sampling.host.pressure import parse
from mltop.sampling.host.sensor import temperature_c
from mltop.sampling.reader import Reader

if TYPE_CHECKING:
    from conftest import FakeBox

WaitFor = Callable[..., None]


def stat(*cores: tuple[int, int, int], absent: tuple[int, ...] = ()) -> bytes:
    """/proc/stat of cores with (busy, idle, iowait) ticks."""
    lines = ["cpu  {} 0 0 {} {} 0 0 0 0 0".format(*map(sum, zip(*cores, strict=True)))]
    lines += [f"cpu{n} {b} 0 0 {i} {w} 0 0 0 0 0" for n, (b, i, w) in enumerate(cores) if n not in absent]
    return "\n".join([*lines, "intr 1 2 3", "btime 1700000000", ""]).encode()


def test_use_is_a_delta_and_none_at_first(box: FakeBox, reader: Reader) -> None:
    cpu = CpuReading(box.roots, reader)
    box.proc("stat", stat((100, 100, 0), (0, 200, 0)))
    box.proc("loadavg", "1.50 2.25 3.00 2/300 999\n")
    first = cpu.read(0.0)
    assert (first.usage_percent, first.per_core_percent, first.iowait_percent) == (None, (), None)
    assert (first.count, first.load, first.age_s) == (2, (1.5, 2.25, 3.0), 0.0)
    box.proc("stat", stat((200, 100, 0), (0, 250, 50)))
    second = cpu.read(2.0)
    assert second.usage_percent == 50.0
    assert second.iowait_percent == 25.0
    assert second.per_core_percent == (100.0, 0.0)
    assert cpu.read(2.0).usage_percent == 50.0  # no time has passed: the last share holds
    assert (second.temperature_c, second.throttled, second.psi_some_avg10) == (None, None, None)


def test_cores_come_and_go() -> None:
    before = parse_times(stat((0, 0, 0), (0, 0, 0), (0, 0, 0), absent=(2,)))
    after = parse_times(stat((10, 0, 0), (0, 10, 0), (5, 5, 0), absent=(1,)))
    assert usage_between(before, after, Usage()).per_core_percent == (100.0,)
    assert usage_between({}, after, Usage()) == Usage()


def test_counters_that_run_backwards_are_no_time() -> None:
    usage = usage_between({"": (10, 0, 0, 100, 50)}, {"": (20, 0, 0, 110, 40)}, Usage())
    assert (usage.usage_percent, usage.iowait_percent) == (50.0, 0.0)


@given(st.lists(st.tuples(*[st.integers(0, 1 << 64)] * 8), min_size=2, max_size=2))
def test_percent_are_percent(times: list[tuple[int, ...]]) -> None:
    usage = usage_between({"": times[0]}, {"": times[1]}, Usage())
    for percent in (usage.usage_percent, usage.iowait_percent):
        assert percent is None or 0.0 <= percent <= 100.0


@pytest.mark.parametrize("content", [b"", b"intr 1\n", b"cpu  a b c d\n", b"cpu  1\n", b"\xff\x00"])
def test_garbage_is_a_state_and_a_reason(box: FakeBox, reader: Reader, content: bytes) -> None:
    box.proc("stat", content)
    cpu = CpuReading(box.roots, reader).read(0.0)
    assert (cpu.status, cpu.reason) == (Status.ERROR, "cannot make sense of /proc/stat")


def test_a_missing_source_is_a_state_and_a_reason(box: FakeBox, reader: Reader) -> None:
    cpu = CpuReading(box.roots, reader).read(0.0)
    assert (cpu.status, cpu.reason, cpu.age_s) == (Status.UNSUPPORTED, "/proc/stat is not there", None)


def test_sensors_come_by_the_reader_and_grow_old(box: FakeBox, reader: Reader, wait_for: WaitFor) -> None:
    box.proc("stat", stat((1, 1, 1)))
    box.proc(
        "pressure/cpu", "some avg10=1.25 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0 avg300=0 total=0\n"
    )
    box.proc("cpuinfo", "processor : 0\nmodel name\t: Fast   CPU @ 3\n")
    for core in (0, 1):
        box.sys(f"devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", f"{2000000 + core * 1000000}\n")
        box.sys(f"devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count", "5\n")
    box.sys("class/hwmon/hwmon0/name", "nvme\n")
    box.sys("class/hwmon/hwmon0/temp1_input", "30000\n")
    box.sys("class/hwmon/hwmon1/name", "coretemp\n")
    box.sys("class/hwmon/hwmon1/temp1_label", "Package id 0\n")
    box.sys("class/hwmon/hwmon1/temp1_input", "61500\n")
    cpu = CpuReading(box.roots, reader)
    now = time.monotonic()
    cpu.read(now)
    wait_for(reader, reader.is_idle)
    seen = cpu.read(now + 1)
    assert (seen.temperature_c, seen.frequency_mhz, seen.model) == (61.5, 2500.0, "Fast CPU @ 3")
    assert (seen.psi_some_avg10, seen.throttled) == (1.25, None)
    box.sys("devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "6\n")
    cpu.read(now + 11)
    wait_for(reader, reader.is_idle)
    assert cpu.read(now + 12).throttled is True
    old = cpu.read(now + 60)
    assert (old.temperature_c, old.throttled) == (None, None)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"class/hwmon/hwmon0/name": "k10temp", "class/hwmon/hwmon0/temp1_label": "Tctl",
          "class/hwmon/hwmon0/temp1_input": "80000", "class/hwmon/hwmon0/temp3_label": "Tdie",
          "class/hwmon/hwmon0/temp3_input": "53000"}, 53.0),
        ({"class/hwmon/hwmon0/name": "coretemp", "class/hwmon/hwmon0/temp1_label": "Package id 0",
          "class/hwmon/hwmon0/temp1_input": "50000", "class/hwmon/hwmon1/name": "coretemp",
          "class/hwmon/hwmon1/temp1_label": "Package id 1", "class/hwmon/hwmon1/temp1_input": "70000"}, 70.0),
        ({"class/hwmon/hwmon0/name": "coretemp", "class/hwmon/hwmon0/temp1_input": "-128000"}, None),
        ({"class/thermal/thermal_zone0/type": "acpitz", "class/thermal/thermal_zone0/temp": "16000",
          "class/thermal/thermal_zone1/type": "cpu-thermal", "class/thermal/thermal_zone1/temp": "44000"}, 44.0),
        ({"class/hwmon/hwmon0/name": "zenpower", "class/hwmon/hwmon0/temp1_input": "garbage"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_package_s_temperature(box: FakeBox, files: dict[str, str], expected: float | None) -> None:
    for path, content in files.items():
        box.sys(path, content + "\n")
    assert temperature_c(box.roots.sys) == expected


def test_arm_names_come_from_the_part() -> None:
    assert parse_model(b"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd4f\n") == "Neoverse-V2"
    assert parse_model(b"processor: 0\ncpu family : 6\nmodel : 143\n") == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            b"some avg10=0.50 avg60=1.00 avg300=0 total=1\nfull avg10=0.25 avg60=0 avg300=0 total=0\n",
            Stall(some_avg10=0.5, some_avg60=1.0, some_avg300=0.0, full_avg10=0.25, full_avg60=0.0, full_avg300=0.0),
        ),
        (b"some avg10=0.50 avg60=1.00\n", Stall(some_avg10=0.5, some_avg60=1.0)),
        (b"some avg10=x\nfull avg10=900\n", Stall()),
        (b"", Stall()),
    ],
)
def test_pressure(text: bytes, expected: Stall) -> None:
    assert parse(text) == expected
