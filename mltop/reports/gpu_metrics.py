"""The GPUs of a snapshot as Prometheus's series, in base units: ratios, bytes, watts, hertz, degrees Celsius."""

from __future__ import annotations

from collections import Counter

from mltop.model.identity import gpu_identity
from mltop.model.snapshot import Gpu, Snapshot, Status
from mltop.model.surroundings import Surroundings
from mltop.model.verdict import Verdict
from mltop.reports.exposition import Exposition

_OLD = frozenset({Status.STALE, Status.TIMEOUT, Status.LOST, Status.ERROR})
"""A group's last values, which are not of now: a series that is absent says so, one that stands still does not."""
_MHZ = 1e6


def add_gpus(snapshot: Snapshot, surroundings: Surroundings | None, now_s: float | None, made: Exposition) -> None:
    """Add what is known of each GPU; of one that is lost or silent, that it is there."""
    driver = snapshot.driver
    is_ok = driver.status is Status.OK
    made.add("mltop_gpus", "GPUs that the driver counts.", driver.gpu_count if is_ok else None)
    made.add("mltop_pci_gpus", "NVIDIA GPUs on the PCI bus.", driver.pci_count if is_ok else None)
    for gpu in snapshot.gpus:
        who = _who(gpu)
        about = {"name": gpu.name, "driver": driver.version, "pci_bus_id": gpu.pci_bus_id}
        made.add("mltop_gpu_info", "A GPU, by its uuid and its index.", 1, {**who, **about})
        up = 1 if gpu.status is Status.OK else 0
        made.add("mltop_gpu_up", "Whether a GPU answers.", up, who)
        if gpu.status not in _OLD:
            _load(gpu, who, made)
            _errors(gpu, who, made)
            _slowdowns(gpu, surroundings, who, made)
    _xids(snapshot, surroundings, now_s, made)


def _who(gpu: Gpu) -> dict[str, str]:
    return {"uuid": gpu_identity(gpu), "gpu": "" if gpu.index is None else str(gpu.index)}


def _load(gpu: Gpu, who: dict[str, str], made: Exposition) -> None:
    for name, words, value in (
        ("utilization_ratio", "Time at work, 0 to 1.", _scaled(gpu.utilization_percent, 0.01)),
        ("memory_utilization_ratio", "Time at its memory, 0 to 1.", _scaled(gpu.memory_utilization_percent, 0.01)),
        ("memory_used_bytes", "Memory used, without the reserved part.", gpu.memory_used_bytes),
        ("memory_total_bytes", "Memory.", gpu.memory_total_bytes),
        ("temperature_celsius", "Temperature.", gpu.temperature_c),
        ("memory_temperature_celsius", "Temperature of the memory.", gpu.temperature_memory_c),
        ("slowdown_temperature_celsius", "From here on the GPU slows itself down.", gpu.temperature_slowdown_c),
        ("power_watts", "Power drawn.", gpu.power_w),
        ("power_limit_watts", "Power that may be drawn.", gpu.power_limit_w),
        ("sm_clock_hertz", "Clock of the multiprocessors.", _scaled(gpu.clock_sm_mhz, _MHZ)),
        ("memory_clock_hertz", "Clock of the memory.", _scaled(gpu.clock_memory_mhz, _MHZ)),
        ("fan_speed_ratio", "Fan speed, 0 to 1.", _scaled(gpu.fan_percent, 0.01)),
        ("processes", "Processes on a GPU.", len(gpu.processes) if gpu.processes_status is Status.OK else None),
    ):
        made.add(f"mltop_gpu_{name}", words, value, who)


def _errors(gpu: Gpu, who: dict[str, str], made: Exposition) -> None:
    words = "Memory errors since the driver was loaded."
    for kind, count in (("corrected", gpu.ecc_corrected_volatile), ("uncorrected", gpu.ecc_uncorrected_volatile)):
        made.add("mltop_gpu_ecc_errors_total", words, count, {**who, "type": kind}, "counter")
    for name, words, value in (
        ("row_remap_pending", "1 where a row remap waits for a reset.", gpu.remap_pending),
        ("row_remap_failed", "1 where a row remap failed.", gpu.remap_failed),
        ("retired_pages", "Retired memory pages.", gpu.retired_pages),
        ("nvlinks_active", "NVLinks that are up.", gpu.nvlinks_active),
        ("pcie_generation", "PCIe generation now.", gpu.pcie_generation),
        ("pcie_width_lanes", "PCIe lanes now.", gpu.pcie_width),
    ):
        made.add(f"mltop_gpu_{name}", words, None if value is None else int(value), who)


def _slowdowns(gpu: Gpu, surroundings: Surroundings | None, who: dict[str, str], made: Exposition) -> None:
    facts = None if surroundings is None else surroundings.gpus.get(gpu_identity(gpu))
    if facts is None:
        return
    words = "Time slowed down since the driver was loaded."
    for reason in ("thermal", "hw-power-brake"):  # the others are parts of the first
        seconds = (facts.slowed_down_s or {}).get(reason)
        made.add("mltop_gpu_throttle_seconds_total", words, seconds, {**who, "reason": reason}, "counter")
    made.add(
        "mltop_gpu_pcie_replays_total",
        "PCIe replays since the driver was loaded.",
        facts.pcie_replays,
        who,
        "counter",
    )


def _xids(snapshot: Snapshot, surroundings: Surroundings | None, now_s: float | None, made: Exposition) -> None:
    """When each Xid came last, and how often within a day: a window is no counter, so it is not called one."""
    uuids = {gpu.pci_bus_id: gpu_identity(gpu) for gpu in snapshot.gpus}
    found = {
        (gpu_identity(gpu), gpu.xid_last): gpu.xid_last_age_s
        for gpu in snapshot.gpus
        if gpu.xid_last is not None and gpu.xid_last_age_s is not None
    }
    counts: Counter[tuple[str, int]] = Counter()
    host = None if surroundings is None else surroundings.host
    events = host.kernel_log.events if host is not None and host.kernel_log is not None else ()
    for event in events:
        if event.kind == "xid" and event.code is not None:
            key = uuids.get(event.subject, event.subject), event.code
            counts[key] += 1
            found[key] = min(event.age_s, found.get(key, event.age_s))
    for (uuid, code), age_s in found.items():
        labels = {"uuid": uuid, "xid": str(code)}
        at = None if now_s is None else round(now_s - age_s, 3)
        made.add("mltop_xid_last_timestamp_seconds", "When an Xid came last, in seconds since the epoch.", at, labels)
    for (uuid, code), count in counts.items():
        made.add(
            "mltop_xid_errors_last_day", "How often an Xid came within a day.", count, {"uuid": uuid, "xid": str(code)}
        )


def add_xids(verdict: Verdict, made: Exposition) -> None:
    """Add how often each Xid came since mltop first looked, also of a GPU that is lost."""
    words = "How often an Xid came since mltop first looked."
    for one in verdict.results:
        if one.check in ("gpu.xid", "gpu.count"):
            for code, count in (one.data.get("totals") or {}).items():
                made.add("mltop_xid_errors_total", words, count, {"uuid": one.target, "xid": code}, "counter")


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else round(value * factor, 6)
