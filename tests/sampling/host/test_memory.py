from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltop.model.snapshot import Status
from mltop.sampling.host.memory import MemoryReading, measured, parse

if TYPE_CHECKING:
    from conftest import FakeBox

MEMINFO = """MemTotal:       1000000 kB
MemFree:         300000 kB
MemAvailable:    600000 kB
Buffers:          10000 kB
Cached:          250000 kB
SReclaimable:     60000 kB
Shmem:            20000 kB
SwapTotal:         5000 kB
SwapFree:          4000 kB
HugePages_Total:      3
garbage
"""
KB = 1024
ARC = """13 1 0x01 123 33456 8041600231 1234567
name                            type data
size                            4    {size}
c_min                           4    {minimum}
c_max                           4    999999999
"""
V2_MOUNT = "31 23 0:28 {root} /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
V1_MOUNT = "35 31 0:32 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"


def test_used_is_without_the_cache_and_with_shared_memory(box: FakeBox) -> None:
    box.proc("meminfo", MEMINFO)
    box.proc("pressure/memory", "some avg10=2.00 avg60=0 avg300=0 total=0\nfull avg10=1.00 avg60=0 avg300=0 total=0\n")
    memory = MemoryReading(box.roots).read(0.0)
    assert memory.cached_bytes == 300_000 * KB
    assert memory.used_bytes == 400_000 * KB
    assert (memory.total_bytes, memory.available_bytes) == (1_000_000 * KB, 600_000 * KB)
    assert (memory.swap_total_bytes, memory.swap_used_bytes) == (5000 * KB, 1000 * KB)
    assert (memory.psi_some_avg10, memory.psi_full_avg10) == (2.0, 1.0)
    assert (memory.arc_bytes, memory.limit_bytes, memory.age_s) == (None, None, 0.0)


def test_the_zfs_cache_above_its_minimum_is_not_used(box: FakeBox) -> None:
    box.proc("meminfo", MEMINFO)
    box.proc("spl/kstat/zfs/arcstats", ARC.format(size=200_000 * KB, minimum=50_000 * KB))
    memory = MemoryReading(box.roots).read(0.0)
    assert memory.arc_bytes == 200_000 * KB
    assert memory.used_bytes == 250_000 * KB
    assert memory.available_bytes == 750_000 * KB


def test_what_is_set_aside_for_huge_pages() -> None:
    total = "MemTotal: 4000000 kB\n"
    usual = "HugePages_Total: 100\nHugepagesize: 2048 kB\n"
    assert measured(parse((total + usual).encode())).huge_pages_bytes == 204_800 * KB
    assert measured(parse((total + usual + "Hugetlb: 3350528 kB\n").encode())).huge_pages_bytes == 3_350_528 * KB
    assert measured(parse((total + "Hugetlb: 9999999 kB\n").encode())).huge_pages_bytes == 4_000_000 * KB
    assert measured(parse((total + "HugePages_Total: 0\nHugepagesize: 2048 kB\n").encode())).huge_pages_bytes == 0
    assert measured(parse(total.encode())).huge_pages_bytes is None


def test_what_meminfo_lacks_is_not_known() -> None:
    memory = measured(parse(b"MemTotal: 1000 kB\n"))
    assert (memory.used_bytes, memory.available_bytes, memory.swap_total_bytes, memory.cached_bytes) == (None,) * 4
    older = measured(parse(b"MemTotal: 1000 kB\nMemFree: 200 kB\nCached: 100 kB\n"))
    assert older.available_bytes == 300 * KB


@pytest.mark.parametrize("content", ["", "MemTotal: lots\n", "\x00\x00", "Cached: 5 kB\n"])
def test_garbage_is_a_state_and_a_reason(box: FakeBox, content: str) -> None:
    box.proc("meminfo", content)
    assert MemoryReading(box.roots).read(0.0).status is Status.ERROR


def test_a_missing_source_is_a_state_and_a_reason(box: FakeBox) -> None:
    memory = MemoryReading(box.roots).read(0.0)
    assert (memory.status, memory.reason, memory.total_bytes) == (
        Status.UNSUPPORTED,
        "/proc/meminfo is not there",
        None,
    )


@given(
    st.fixed_dictionaries(
        {"MemTotal": st.integers(1, 1 << 50)},
        optional=dict.fromkeys(
            ["MemFree", "MemAvailable", "Buffers", "Cached", "SReclaimable", "Shmem", "SwapTotal", "SwapFree"],
            st.integers(0, 1 << 51),
        ),
    ),
    st.integers(0, 1 << 51),
)
def test_nothing_is_negative_or_above_the_total(meminfo: dict[str, int], arc: int) -> None:
    memory = measured(meminfo, arc_bytes=arc)
    for value in (memory.used_bytes, memory.available_bytes, memory.cached_bytes):
        assert value is None or 0 <= value <= meminfo["MemTotal"]
    assert memory.swap_used_bytes is None or memory.swap_used_bytes >= 0


class TestLimit:
    def limit(self, box: FakeBox) -> int | None:
        box.proc("meminfo", MEMINFO)
        memory = MemoryReading(box.roots).read(0.0)
        assert memory.total_bytes == 1_000_000 * KB
        return memory.limit_bytes

    def test_v2_of_the_group_or_one_above(self, box: FakeBox) -> None:
        box.proc("self/cgroup", "0::/slurm/job_1/step\n")
        box.proc("self/mountinfo", V2_MOUNT.format(root="/"))
        box.sys("fs/cgroup/slurm/job_1/step/memory.max", "max\n")
        box.sys("fs/cgroup/slurm/job_1/memory.max", "500000\n")
        box.sys("fs/cgroup/slurm/memory.max", "900000\n")
        assert self.limit(box) == 500_000

    def test_v2_in_a_namespace(self, box: FakeBox) -> None:
        box.proc("self/cgroup", "0::/\n")
        box.proc("self/mountinfo", V2_MOUNT.format(root="/"))
        box.sys("fs/cgroup/memory.max", "700000\n")
        assert self.limit(box) == 700_000

    @pytest.mark.parametrize("group", ["/docker/abc", "/../other"])
    def test_v1_where_the_container_sees_the_host_s_path(self, box: FakeBox, group: str) -> None:
        box.proc("self/cgroup", f"9:cpu,cpuacct:/\n4:memory:{group}\n0::/\n")
        box.proc("self/mountinfo", V1_MOUNT.format(root="/docker/abc"))
        box.sys("fs/cgroup/memory/memory.limit_in_bytes", "600000\n")
        assert self.limit(box) == 600_000

    @pytest.mark.parametrize("content", ["9223372036854771712\n", "max\n", "", "-1\n", "1024000001\n", "x\n"])
    def test_no_limit_below_the_host_s(self, box: FakeBox, content: str) -> None:
        box.proc("self/cgroup", "4:memory:/\n")
        box.proc("self/mountinfo", V1_MOUNT.format(root="/"))
        box.sys("fs/cgroup/memory/memory.limit_in_bytes", content)
        assert self.limit(box) is None
