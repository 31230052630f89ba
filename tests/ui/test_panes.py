"""Single panes: words, levels, ages."""

from __future__ import annotations

from typing import Any

import pytest

from mltop.model.finding import Level
from mltop.model.snapshot import Cpu, Driver, Memory, Status
from mltop.ui.line import Role, text_of
from mltop.ui.panes import DRAW
from mltop.ui.panes.detail import gpu_detail
from mltop.ui.panes.footer import hints
from mltop.ui.panes.gpu import gpu_rows, row_at


def _text(view: Any, pane: str, width: int = 120, height: int = 1) -> str:
    return "\n".join(map(text_of, DRAW[pane](view, width, height)))


def test_header_says_which_box_and_how_it_is(build: Any) -> None:
    found = (build.finding("a", level=Level.CRITICAL), build.finding("b"), build.finding("c", level=Level.UNKNOWN))
    text = _text(build.view(build.snapshot(8), findings=found), "header")
    assert text.startswith(" gpu-07 · 8x H100 80GB HBM3 · driver 550.54.15 · up 12d · 14:02")
    assert text.rstrip().endswith("1 CRIT 1 WARN 1 UNKN")


def test_header_says_modes(build: Any) -> None:
    view = build.view(build.snapshot(0), paused=True, readonly=True)
    assert "PAUSED" in _text(view, "header")
    assert "read-only" in _text(view, "header")
    text = _text(build.view(build.snapshot(0), silent_s=6.0, remote="box"), "header", 140)
    assert "gpu-07 (box)" in text
    assert "sampler silent 6s" in text
    assert "local limits" in text
    view = build.view(build.snapshot(0), remote="box", trouble="ssh: no route to host")
    assert "gpu-07 (box) · ssh: no route to host" in _text(view, "header", 80)


def test_trouble_before_the_first_sample_is_said(build: Any) -> None:
    view = build.view(None, trouble="mltop is not installed there", remote="box")
    assert "box · mltop is not installed there" in _text(view, "header", 80)
    assert "mltop is not installed there" in build.screen(view, 40, 4)


def test_alerts_that_do_not_fit_are_counted(build: Any) -> None:
    found = tuple(build.finding("a", f"/m{i}", summary="x" * 30) for i in range(9))
    text = _text(build.view(build.snapshot(0), findings=found), "header", 120, 2)
    assert "more" in text.splitlines()[1]


@pytest.mark.parametrize(
    ("driver", "text"),
    [
        (Driver(status=Status.ABSENT), "no NVIDIA GPU on this box"),
        (Driver(status=Status.ERROR, reason="driver 550 and library 535 differ: reboot"), "library 535 differ"),
        (Driver(status=Status.NO_PERMISSION), "no permission"),
        (Driver(status=Status.OK), "no GPU listed by the driver"),
    ],
)
def test_no_gpus_is_one_line_with_the_reason(build: Any, driver: Driver, text: str) -> None:
    """M20."""
    view = build.view(build.snapshot(0, driver=driver))
    assert text in _text(view, "gpu")
    assert sum(place.height for place in _places(view) if place.pane == "gpu") == 1


def _places(view: Any) -> Any:
    from mltop.ui.layout import arrange

    return arrange(view, 80, 24)


def test_the_remedy_is_never_cut(build: Any) -> None:
    """M20: a long reason takes another line at 80 columns."""
    reason = "NVIDIA driver and library do not match (kernel module 550.54.15, library 550.90.07): reboot, or reload it"
    text = build.screen(build.view(build.snapshot(0, driver=Driver(status=Status.ERROR, reason=reason))), 80, 24)
    assert "550.90.07" in text
    assert "or reload it" in text


def test_a_refused_column_says_so(build: Any) -> None:
    """M6, M15."""
    gpu = build.gpu(0, mig_mode=True, memory_used_bytes=None, memory_total_bytes=None, utilization_percent=None)
    gpu = build.replace(gpu, reason="memory: no permission; utilization: not supported; fan: not supported")
    text = _text(build.view(build.snapshot((gpu,))), "gpu", 80, 2)
    assert "by instance no permission" in " ".join(text.split())
    assert "utilization" not in text
    assert "fan" not in text


def test_unified_is_said_before_all_else_that_is_well(build: Any) -> None:
    """M17; the PCIe numbers of such a device are placeholders."""
    gpu = build.gpu(0, memory_is_unified=True, pcie_width=1, pcie_generation=1, clock_event_reasons=("sw-power-cap",))
    text = _text(build.view(build.snapshot((gpu,))), "gpu", 80, 2)
    assert "unified, 69.9G held" in text
    assert "x1 of" not in text


def test_a_gpu_without_a_name_is_counted_as_unknown(build: Any) -> None:
    snapshot = build.snapshot((build.gpu(0), build.replace(build.lost(1), name=None)))
    assert "1x H100 80GB HBM3 + 1 unknown" in _text(build.view(snapshot), "header")


def test_a_missing_card_is_named(build: Any) -> None:
    """M19."""
    driver = Driver(status=Status.OK, version="1", gpu_count=8, pci_count=9, reason="0000:9b:00.0 is missing")
    assert "0000:9b:00.0 is missing" in build.screen(build.view(build.snapshot(8, driver=driver)), 80, 24)


def test_silence_of_the_sampler_makes_all_stale(build: Any) -> None:
    """M13: every value is dimmed and has its age."""
    view = build.view(build.snapshot(8), silent_s=30.0)
    assert "stale 30s" in _text(view, "cpu")
    assert "stale 30s" in _text(view, "memory")
    assert "stale 30s" in _text(view, "disk")
    assert "stale 30s" in _text(view, "network", 120)
    assert _text(view, "gpu", 80, 9).count("stale 30s") == 8
    assert "stale, 30s old" in _text(view, "process", 80, 9)
    roles = {role for line in DRAW["gpu"](view, 80, 9)[1:] for _, role in line}
    assert not roles & {Role.GPU, Role.MEMORY, Role.OK}


def test_a_short_silence_is_not_stale(build: Any) -> None:
    assert "stale" not in build.screen(build.view(build.snapshot(8), silent_s=3.0), 80, 24)


def test_values_from_before_a_fault_say_how_old_they_are(build: Any) -> None:
    faults = [build.gpu(0, status=Status.ERROR, reason="the GPU probe failed", age_s=age) for age in (5.0, 18.0)]
    fresh, old = (_text(build.view(build.snapshot((gpu,))), "gpu", 120, 9) for gpu in faults)
    assert "stale" not in fresh
    assert "stale 18s" in old


def test_unknown_is_never_zero(build: Any) -> None:
    """M15."""
    reading = {"status": Status.NO_PERMISSION, "reason": "not permitted"}
    view = build.view(build.snapshot(0, cpu=Cpu(**reading), memory=Memory(**reading), disks=(), network=()))
    assert "not permitted" in _text(view, "cpu")
    assert "not permitted" in _text(view, "memory")
    assert "0" not in _text(view, "cpu")


def test_levels_come_from_the_findings_alone(build: Any) -> None:
    hot = build.gpu(0, temperature_c=99)
    calm = build.view(build.snapshot((hot,)))
    told = build.view(build.snapshot((hot,)), findings=(build.finding("gpu.temp", hot.uuid, Level.CRITICAL),))
    roles = [
        {role for line in DRAW["gpu"](view, 80, 2) for text, role in line if "99C" in text} for view in (calm, told)
    ]
    assert roles == [{Role.TEXT}, {Role.CRITICAL}]
    by_bus = build.finding("gpu.temp", hot.pci_bus_id, Level.WARNING)
    assert "HOT" in _text(build.view(build.snapshot((hot,)), findings=(by_bus,)), "gpu", 80, 2)


def test_disks_say_what_is_odd(build: Any) -> None:
    """M25."""
    disks = (
        build.disk("/", 100, 40, inodes_used_percent=93.0),
        build.disk("/ro", 100, 40, is_readonly=True),
        build.disk("/backup", 100, 40, pinned_by=("models-backup ok 02:00",)),
    )
    found = (build.finding("disk.readonly", "/ro"),)
    view = build.view(build.snapshot(0, disks=disks), findings=found)
    text = _text(view, "disk", 120, 5)
    assert "inodes 93%" in text
    assert "read-only" in text
    assert "models-backup ok 02:00" in text


def test_a_mount_that_fills_says_when(build: Any) -> None:
    history = build.history(build.snapshot(0), 1)
    for minute in range(60):
        history.record({"disk:/data": 80.0 + minute / 6, "disk:/": 50.0}, 1.8e9 + minute * 60.0, 20.0)
    disks = (build.disk("/", 100, 50), build.disk("/data", 100, 90))
    view = build.view(build.snapshot(0, disks=disks), history=history)
    assert "full in 59m" in _text(view, "disk", 80, 1) or "full in 1h" in _text(view, "disk", 80, 1)
    assert _text(view, "disk", 120, 4).count("full in") == 1


def test_an_alert_names_its_thing_once(build: Any) -> None:
    from mltop.ui.panes.header import alert

    assert text_of(alert(build.finding("a", target_name="driver", summary="driver gone"))) == "WARN driver gone"
    told = alert(build.finding("a", target_name="GPU 3", summary="lost", action="reboot"))
    assert text_of(told) == "WARN GPU 3: lost · reboot"


def test_the_worst_mounts_have_the_places(build: Any) -> None:
    disks = tuple(build.disk(f"/m{i}", 100, 10 + i) for i in range(20))
    found = (build.finding("disk.space", "/m3", Level.CRITICAL),)
    view = build.view(build.snapshot(0, disks=disks), findings=found)
    text = _text(view, "disk", 80, 1)
    assert "/m3 " in text
    assert "+18" in text


def test_limits_of_a_cgroup_and_blocked_processes_show(build: Any) -> None:
    """M24."""
    memory = build.replace(build.snapshot(0).memory, limit_bytes=64 * build.G)
    snapshot = build.snapshot(0, memory=memory)
    snapshot = build.replace(snapshot, processes=build.replace(snapshot.processes, blocked=2))
    view = build.view(snapshot)
    assert "limit 64.0G" in _text(view, "memory")
    assert "2 blocked (D)" in _text(view, "cpu")


def test_footer_has_no_signal_without_hands(build: Any) -> None:
    """M33."""
    view = build.view(build.snapshot(0))
    assert "Signal" in _text(view, "footer")
    view.readonly = True
    assert "Signal" not in _text(view, "footer")
    for hint in hints(view, 120):
        assert _text(view, "footer")[hint.x :].startswith(f"{hint.key} {hint.label}")


@pytest.mark.parametrize(("count", "size"), [(8, (80, 9)), (8, (120, 27)), (16, (80, 9)), (40, (80, 14))])
def test_a_click_finds_the_gpu_that_is_drawn(build: Any, count: int, size: tuple[int, int]) -> None:
    view = build.view(build.snapshot(count))
    width, height = size
    lines = DRAW["gpu"](view, width, height)
    rows = gpu_rows(view)
    for y, line in enumerate(lines):
        found = row_at(view, y, width, height, 2)
        index = text_of(line).strip("│ ").split(" ")[0]
        if index.isdigit():
            assert found is not None
            assert str(rows[found].gpu.index) == index


def test_the_gpu_cursor_is_seen(build: Any) -> None:
    view = build.view(build.snapshot(8), focus="gpu", gpu_cursor=5)
    lines = DRAW["gpu"](view, 80, 9)
    assert [role for _, role in lines[6]][-1] is Role.CURSOR
    assert text_of(lines[6]).startswith("  5")


def test_detail_has_every_number_in_words(build: Any) -> None:
    """M7."""
    gpu = build.gpu(
        0, fan_percent=31, retired_pages=2, pcie_receive_bytes_per_s=1e9, pcie_transmit_bytes_per_s=2e9, xid_last=31,
        xid_last_age_s=700.0, idle_held_s=99.0, performance_state="P2",
    )  # fmt: skip
    view = build.view(build.snapshot((gpu,)))
    for width in (60, 120):
        text = "\n".join(map(text_of, gpu_detail(view, gpu.uuid, width, 400)))
        for words in (
            "58C", "66C", "92C", "95C", "99%", "49%", "70.0/79.6G", "600M", "100M", "684/700W", "1980 MHz", "2619 MHz",
            "P2", "31%", "gen5 of gen5", "x16 of x16", "in 954M/s", "out 1.9G/s", "18 of 18 up", "31, 11m ago",
            "GPU-00000000", "0000:1b:00.0", "python train.py", "Utilisation, 5m",
        ):  # fmt: skip
            assert words in text, words


def test_detail_of_a_gone_gpu_says_so(build: Any) -> None:
    assert "not listed" in text_of(gpu_detail(build.view(build.snapshot(0)), "GPU-1", 80, 5)[0])


def test_detail_knows_what_it_does_not_know(build: Any) -> None:
    text = "\n".join(map(text_of, gpu_detail(build.view(build.snapshot((build.lost(0),))), "GPU-00000000", 80, 400)))
    assert "LOST since 14:01" in text
    assert "Temperature           not known" in text
    assert " 0C" not in text
    assert " 0%" not in text


def test_unattributed_memory_shows_above_512_mib(build: Any) -> None:
    """M22."""
    for count, shown in ((512 << 20, False), (600 << 20, True)):
        view = build.view(build.snapshot((build.gpu(0, unattributed_bytes=count),)))
        assert ("unattributed" in _text(view, "gpu", 100, 2)) is shown
