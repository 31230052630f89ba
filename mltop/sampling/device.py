"""One GPU, asked for one fact at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mltop.model.snapshot import Status
from mltop.sampling.answer import Answer
from mltop.sampling.credible import Doubts
from mltop.sampling.mig import MigDevices
from mltop.sampling.nvml import (
    ARGUMENT_VERSION_MISMATCH,
    FUNCTION_NOT_FOUND,
    INSUFFICIENT_SIZE,
    SUCCESS,
    DriverGone,
    GpuLost,
    Library,
    Missing,
)
from mltop.sampling.nvml_process import ProcessLists
from mltop.sampling.pci import bus_id
from mltop.sampling.root import Roots
from mltop.system.text import clean

Values = dict[str, Any]

# nvml.h
_TEMPERATURE_GPU = 0
_THRESHOLD_SHUTDOWN, _THRESHOLD_SLOWDOWN = 0, 1
_CLOCK_SM, _CLOCK_MEMORY = 1, 2
_CORRECTED, _UNCORRECTED = 0, 1
_VOLATILE, _AGGREGATE = 0, 1
_MULTIPLE_SINGLE_BIT, _DOUBLE_BIT = 0, 1
_PCIE_TRANSMIT, _PCIE_RECEIVE = 0, 1
_FIELD_MEMORY_TEMPERATURE = 82
_MEMORY_V2 = 0x02000028
_BUS_FPCI = 3
_EVENT_REASONS = (
    (0x001, "gpu-idle"),
    (0x002, "app-clocks"),
    (0x004, "sw-power-cap"),
    (0x008, "hw-slowdown"),
    (0x010, "sync-boost"),
    (0x020, "sw-thermal-slowdown"),
    (0x040, "hw-thermal-slowdown"),
    (0x080, "hw-power-brake"),
    (0x100, "display-clocks"),
)
_LINKS_MAX = 36
_LINK_TURNS = 6
"""A round over all NVLinks takes this many turns."""
_INTEGRATED = re.compile(r"\b(GB10|Orin|Xavier|Thor|Tegra|Jetson|nvgpu|N1X?)\b", re.IGNORECASE)


class Device:
    """Facts of one GPU; `GpuLost` and `DriverGone` pass through, all else that is missing is an answer."""

    def __init__(self, library: Library, roots: Roots, index: int, handle: object) -> None:
        self._library = library
        self._roots = roots
        self._index = index
        self._handle = handle
        self._doubts = Doubts()
        self._name = ""
        self._temperature: int | None = None
        self._has_slowdown = False
        self._is_mig: bool | None = False
        self._links: list[bool] | None = None
        self._next_link = 0
        self._processes = ProcessLists(library, index, handle, self._doubts)
        self._migs = MigDevices(library, index, handle, self._doubts)

    def read(self, fact: str, now: float) -> Answer:
        """Ask for one fact; `now` becomes its time."""
        try:
            values = _READERS[fact](self)
        except (GpuLost, DriverGone):
            self._doubts.take()
            raise
        except Missing as missing:
            self._doubts.take()
            return Answer(at=now, status=missing.status, reason=missing.reason)
        return Answer(at=now, values=values, reason=self._doubts.take())

    def _ask(self, function: str, *arguments: object) -> Any:
        return self._library.ask(self._index, function, self._handle, *arguments)

    def _parts(self, **calls: Callable[[], Any]) -> Values:
        """Each part that is there; raises the first `Missing` where none is."""
        values: Values = {}
        first: Missing | None = None
        for key, call in calls.items():
            try:
                values[key] = call()
            except (GpuLost, DriverGone):
                raise
            except Missing as missing:
                values[key] = None
                first = first or missing
        if first is not None and all(value is None for value in values.values()):
            raise first
        return values

    def _within(self, what: str, low: float, high: float, function: str, *arguments: object) -> Any:
        """The answer, or `None` where it is not credible."""
        value = self._ask(function, *arguments)
        return value if self._doubts.number(what, value, low, high) else None

    def _identity(self) -> Values:
        values = self._parts(
            uuid=lambda: clean(self._ask("nvmlDeviceGetUUID")),
            name=lambda: clean(self._ask("nvmlDeviceGetName")),
            pci_bus_id=lambda: bus_id(clean(self._ask("nvmlDeviceGetPciInfo").busId)),
        )
        self._name = values["name"] or ""
        return values

    def _temperature_now(self) -> Values:
        value = self._within("temperature", 0, 200, "nvmlDeviceGetTemperature", _TEMPERATURE_GPU)
        self._temperature = value
        return {"temperature_c": value}

    def _memory(self) -> Values:
        try:
            memory = self._ask("nvmlDeviceGetMemoryInfo", _MEMORY_V2)
            reserved = memory.reserved
        except Missing as missing:
            if missing.code not in (FUNCTION_NOT_FOUND, ARGUMENT_VERSION_MISMATCH):
                return self._memory_unified(missing)
            memory = self._ask("nvmlDeviceGetMemoryInfo")
            reserved = None
            self._doubts.say("memory used includes the reserved part (old driver)")
        if memory.total == 0:
            return self._memory_unified(Missing(0, Status.UNSUPPORTED, "not supported"))
        total = memory.total if self._doubts.number("memory total", memory.total, 0, 2**60) else None
        used = memory.used
        if total is not None and used > total:
            self._doubts.say("memory used above total")
            used = None
        if reserved is not None and (total is None or reserved > total):
            reserved = None
        return {
            "memory_total_bytes": total,
            "memory_used_bytes": None if total is None else used,
            "memory_reserved_bytes": reserved,
            "memory_is_unified": False,
        }

    def _memory_unified(self, missing: Missing) -> Values:
        """The host's memory for an integrated device that shares it (M17); on any other card an error is an error."""
        if missing.status is not Status.UNSUPPORTED or not self._is_integrated():
            raise missing
        host = _meminfo(self._roots)
        total, available = host.get("MemTotal"), host.get("MemAvailable")
        return {
            "memory_total_bytes": total,
            "memory_used_bytes": None if total is None or available is None else max(0, total - available),
            "memory_reserved_bytes": None,
            "memory_is_unified": True,
        }

    def _is_integrated(self) -> bool:
        if _INTEGRATED.search(self._name):
            return True
        try:
            return bool(self._ask("nvmlDeviceGetBusType") == _BUS_FPCI)
        except (GpuLost, DriverGone):
            raise
        except Missing:
            return False

    def _utilization(self) -> Values:
        rates = self._ask("nvmlDeviceGetUtilizationRates")
        return {
            "utilization_percent": rates.gpu if self._doubts.number("utilization", rates.gpu, 0, 100) else None,
            "memory_utilization_percent": rates.memory
            if self._doubts.number("memory utilization", rates.memory, 0, 100)
            else None,
        }

    def _power(self) -> Values:
        milliwatts = self._within("power in mW", 0, 10_000_000, "nvmlDeviceGetPowerUsage")
        return {"power_w": None if milliwatts is None else milliwatts / 1000}

    def _power_limit(self) -> Values:
        milliwatts = self._within("power limit in mW", 1, 10_000_000, "nvmlDeviceGetEnforcedPowerLimit")
        return {"power_limit_w": None if milliwatts is None else milliwatts / 1000}

    def _compute(self) -> Values:
        return {"compute": self._processes.listed("Compute")}

    def _graphics(self) -> Values:
        return {"graphics": self._processes.listed("Graphics")}

    def _mps(self) -> Values:
        return {"mps": self._processes.listed("MPSCompute")}

    def _shares(self) -> Values:
        return {"shares": self._processes.sm_percent()}

    def _thresholds(self) -> Values:
        function = "nvmlDeviceGetTemperatureThreshold"
        values = self._parts(
            temperature_slowdown_c=lambda: self._within("slowdown", 1, 200, function, _THRESHOLD_SLOWDOWN),
            temperature_shutdown_c=lambda: self._within("shutdown", 1, 200, function, _THRESHOLD_SHUTDOWN),
        )
        self._has_slowdown = values["temperature_slowdown_c"] is not None
        return values

    def _margin(self) -> Values:
        """Newer cards tell how far it is to the limit, not the limit; a margin of 0 or less is unreliable (M21)."""
        if self._has_slowdown or self._temperature is None:
            return {}
        margin = self._ask("nvmlDeviceGetMarginTemperature")
        return {"temperature_slowdown_c": self._temperature + margin} if 0 < margin <= 150 else {}

    def _memory_temperature(self) -> Values:
        field = self._ask("nvmlDeviceGetFieldValues", [_FIELD_MEMORY_TEMPERATURE])[0]
        if field.nvmlReturn != SUCCESS:
            raise self._library.why_not(field.nvmlReturn)
        value = field.value.uiVal
        if value == 0:
            raise Missing(0, Status.UNSUPPORTED, "no data")
        return {"temperature_memory_c": value if self._doubts.number("memory temperature", value, 1, 200) else None}

    def _clocks(self) -> Values:
        function = "nvmlDeviceGetClockInfo"
        return self._parts(
            clock_sm_mhz=lambda: self._within("SM clock", 0, 50_000, function, _CLOCK_SM),
            clock_memory_mhz=lambda: self._within("memory clock", 0, 50_000, function, _CLOCK_MEMORY),
        )

    def _event_reasons(self) -> Values:
        try:
            bits = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        except Missing as missing:
            if missing.code != FUNCTION_NOT_FOUND:
                raise
            bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        return {"clock_event_reasons": tuple(name for bit, name in _EVENT_REASONS if bits & bit)}

    def _performance(self) -> Values:
        state = self._ask("nvmlDeviceGetPerformanceState")
        return {"performance_state": f"P{state}" if 0 <= state <= 15 else None}

    def _fan(self) -> Values:
        return {"fan_percent": self._within("fan", 0, 200, "nvmlDeviceGetFanSpeed")}

    def _ecc(self) -> Values:
        function = "nvmlDeviceGetTotalEccErrors"
        return self._parts(
            ecc_uncorrected_volatile=lambda: self._within("ECC", 0, 2**62, function, _UNCORRECTED, _VOLATILE),
            ecc_uncorrected_aggregate=lambda: self._within("ECC", 0, 2**62, function, _UNCORRECTED, _AGGREGATE),
            ecc_corrected_volatile=lambda: self._within("ECC", 0, 2**62, function, _CORRECTED, _VOLATILE),
        )

    def _remap(self) -> Values:
        _, _, pending, failed = self._ask("nvmlDeviceGetRemappedRows")
        return {"remap_pending": bool(pending), "remap_failed": bool(failed)}

    def _retired(self) -> Values:
        return {"retired_pages": self._retired_for(_MULTIPLE_SINGLE_BIT) + self._retired_for(_DOUBLE_BIT)}

    def _retired_for(self, cause: int) -> int:
        from ctypes import byref, c_uint

        count = c_uint(0)
        code = self._library.ask_symbol(
            self._index, "nvmlDeviceGetRetiredPages", self._handle, c_uint(cause), byref(count), None
        )
        if code not in (SUCCESS, INSUFFICIENT_SIZE):
            raise self._library.why_not(code)
        return count.value

    def _pcie_link(self) -> Values:
        return self._parts(
            pcie_generation=lambda: self._within("PCIe generation", 1, 16, "nvmlDeviceGetCurrPcieLinkGeneration"),
            pcie_width=lambda: self._within("PCIe width", 1, 64, "nvmlDeviceGetCurrPcieLinkWidth"),
        )

    def _pcie_max(self) -> Values:
        return self._parts(
            pcie_generation_max=lambda: self._within("PCIe generation", 1, 16, "nvmlDeviceGetMaxPcieLinkGeneration"),
            pcie_width_max=lambda: self._within("PCIe width", 1, 64, "nvmlDeviceGetMaxPcieLinkWidth"),
        )

    def _throughput(self) -> Values:
        function = "nvmlDeviceGetPcieThroughput"  # in KB/s, measured over 20 ms in the call
        return self._parts(
            pcie_receive_bytes_per_s=lambda: self._ask(function, _PCIE_RECEIVE) * 1000.0,
            pcie_transmit_bytes_per_s=lambda: self._ask(function, _PCIE_TRANSMIT) * 1000.0,
        )

    def _nvlinks(self) -> Values:
        if self._links is None:
            self._links = self._all_links()
        else:
            for _ in range(-(-len(self._links) // _LINK_TURNS)):
                self._next_link = (self._next_link + 1) % len(self._links)
                self._links[self._next_link] = bool(self._ask("nvmlDeviceGetNvLinkState", self._next_link))
        return {"nvlinks_active": sum(self._links), "nvlinks_total": len(self._links)}

    def _all_links(self) -> list[bool]:
        links: list[bool] = []
        try:
            for link in range(_LINKS_MAX):
                links.append(bool(self._ask("nvmlDeviceGetNvLinkState", link)))
        except (GpuLost, DriverGone):
            raise
        except Missing:
            if not links:
                raise
        return links

    def _persistence(self) -> Values:
        return {"persistence_mode": bool(self._ask("nvmlDeviceGetPersistenceMode"))}

    def _mig_mode(self) -> Values:
        try:
            self._is_mig = bool(self._ask("nvmlDeviceGetMigMode")[0])
        except Missing as missing:
            # a parent that may not be asked may still have children that may (M6)
            self._is_mig = None if missing.status is Status.NO_PERMISSION else False
            raise
        return {"mig_mode": self._is_mig}

    def _mig_layout(self) -> Values:
        if self._is_mig is False:
            self._migs.forget()
        else:
            self._migs.look()
        self._processes.children = self._migs.handles()
        return {}

    def _mig(self) -> Values:
        return {"mig": self._migs.read() if self._migs.handles() else ()}


_READERS: dict[str, Callable[[Device], Values]] = {
    "identity": Device._identity,
    "temperature": Device._temperature_now,
    "memory": Device._memory,
    "utilization": Device._utilization,
    "power": Device._power,
    "compute": Device._compute,
    "thresholds": Device._thresholds,
    "pcie_max": Device._pcie_max,
    "mig_mode": Device._mig_mode,
    "mig_layout": Device._mig_layout,
    "mig": Device._mig,
    "clocks": Device._clocks,
    "event_reasons": Device._event_reasons,
    "performance": Device._performance,
    "graphics": Device._graphics,
    "shares": Device._shares,
    "memory_temperature": Device._memory_temperature,
    "fan": Device._fan,
    "nvlinks": Device._nvlinks,
    "mps": Device._mps,
    "power_limit": Device._power_limit,
    "margin": Device._margin,
    "ecc": Device._ecc,
    "remap": Device._remap,
    "retired": Device._retired,
    "pcie_link": Device._pcie_link,
    "persistence": Device._persistence,
    "throughput": Device._throughput,
}


def _meminfo(roots: Roots) -> dict[str, int]:
    """`/proc/meminfo` in bytes; empty where it cannot be read."""
    try:
        text = (roots.proc / "meminfo").read_text()
    except OSError:
        return {}
    return {key: int(number) * 1024 for key, number in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
