"""How a GPU does right now: heat, memory, load, power, clocks, and its limits."""

from __future__ import annotations

import re
from typing import Any

from mltop.model.snapshot import Status
from mltop.sampling.gpu.asker import Asker, Values
from mltop.sampling.gpu.credible import MOST_BYTES
from mltop.sampling.gpu.nvml import Missing
from mltop.sampling.root import Roots

# nvml.h
_TEMPERATURE_GPU = 0
_THRESHOLD_SHUTDOWN, _THRESHOLD_SLOWDOWN = 0, 1
_CLOCK_SM, _CLOCK_MEMORY = 1, 2
_FIELD_MEMORY_TEMPERATURE = 82
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
_EVENT_BITS = 2**32 - 1
"""Nine of the 64 bits have a meaning; one of the upper half is set where all are."""
_INTEGRATED = r"(?i)\b(GB10|Orin|Xavier|Thor|Tegra|Jetson|nvgpu|N1X?)\b"


class Vitals:
    """Facts that move; `name` is what the card calls itself, once it is known."""

    def __init__(self, asker: Asker, roots: Roots) -> None:
        self._asker = asker
        self._roots = roots
        self.name = ""
        self._temperature: int | None = None
        self._has_slowdown = False

    def temperature(self) -> Values:
        """Of the GPU itself, in C."""
        value = self._asker.within("temperature", 0, 200, "nvmlDeviceGetTemperature", _TEMPERATURE_GPU)
        self._temperature = value
        return {"temperature_c": value}

    def memory(self) -> Values:
        """Used has the meaning of nvidia-smi's `memory.used`: without the reserved part."""
        try:
            memory = self._memory_info()
        except Missing as missing:
            return self._memory_unified(missing)
        if memory.total == 0:
            return self._memory_unified(Missing(0, Status.UNSUPPORTED, "not supported"))
        reserved = getattr(memory, "reserved", None)
        total = memory.total if self._asker.doubts.number("memory total", memory.total, 0, MOST_BYTES) else None
        used = memory.used
        if total is not None and used > total:
            self._asker.doubts.say("memory used above total")
            used = None
        if reserved is not None and (total is None or reserved > total):
            reserved = None
        return {
            "memory_total_bytes": total,
            "memory_used_bytes": None if total is None else used,
            "memory_reserved_bytes": reserved,
            "memory_is_unified": False,
        }

    def _memory_info(self) -> Any:
        try:
            return self._asker.ask("nvmlDeviceGetMemoryInfo_v2")
        except Missing as missing:
            if missing.status is not Status.UNSUPPORTED:
                raise
        memory = self._asker.ask("nvmlDeviceGetMemoryInfo")
        self._asker.doubts.say("memory used includes the reserved part (old driver)")
        return memory

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
        if re.search(_INTEGRATED, self.name):
            return True
        return bool(self._asker.maybe("nvmlDeviceGetBusType") == _BUS_FPCI)

    def utilization(self) -> Values:
        """Of the SMs and of the memory interface, in percent of the last sample period."""
        rates = self._asker.ask("nvmlDeviceGetUtilizationRates")
        return {
            "utilization_percent": rates.gpu if self._asker.doubts.number("utilization", rates.gpu, 0, 100) else None,
            "memory_utilization_percent": rates.memory
            if self._asker.doubts.number("memory utilization", rates.memory, 0, 100)
            else None,
        }

    def power(self) -> Values:
        """Draw of the board, in W."""
        milliwatts = self._asker.within("power in mW", 0, 10_000_000, "nvmlDeviceGetPowerUsage")
        return {"power_w": None if milliwatts is None else milliwatts / 1000}

    def power_limit(self) -> Values:
        """The limit that is enforced, in W."""
        milliwatts = self._asker.within("power limit in mW", 1, 10_000_000, "nvmlDeviceGetEnforcedPowerLimit")
        return {"power_limit_w": None if milliwatts is None else milliwatts / 1000}

    def thresholds(self) -> Values:
        """The card's own limits, in C."""
        function = "nvmlDeviceGetTemperatureThreshold"
        values = self._asker.parts(
            temperature_slowdown_c=lambda: self._asker.within("slowdown", 1, 200, function, _THRESHOLD_SLOWDOWN),
            temperature_shutdown_c=lambda: self._asker.within("shutdown", 1, 200, function, _THRESHOLD_SHUTDOWN),
        )
        self._has_slowdown = values["temperature_slowdown_c"] is not None
        return values

    def margin(self) -> Values:
        """Newer cards tell how far it is to the limit, not the limit; a margin of 0 or less is unreliable (M21)."""
        if self._has_slowdown or self._temperature is None:
            return {}
        margin = self._asker.ask("nvmlDeviceGetMarginTemperature").margin_c
        return {"temperature_slowdown_c": self._temperature + margin} if 0 < margin <= 150 else {}

    def memory_temperature(self) -> Values:
        """Of the HBM, in C."""
        value = self._asker.field("memory temperature", _FIELD_MEMORY_TEMPERATURE)
        if value == 0:
            raise Missing(0, Status.UNSUPPORTED, "no data")
        is_told = value is not None and self._asker.doubts.number("memory temperature", value, 1, 200)
        return {"temperature_memory_c": value if is_told else None}

    def clocks(self) -> Values:
        """In MHz."""
        function = "nvmlDeviceGetClockInfo"
        return self._asker.parts(
            clock_sm_mhz=lambda: self._asker.within("SM clock", 0, 50_000, function, _CLOCK_SM),
            clock_memory_mhz=lambda: self._asker.within("memory clock", 0, 50_000, function, _CLOCK_MEMORY),
        )

    def event_reasons(self) -> Values:
        """Names of the active bits."""
        bits = self._asker.ask("nvmlDeviceGetCurrentClocksEventReasons")
        if not self._asker.doubts.number("clock event reasons", bits, 0, _EVENT_BITS):
            return {}
        return {"clock_event_reasons": tuple(name for bit, name in _EVENT_REASONS if bits & bit)}

    def performance(self) -> Values:
        """`P0` (full) to `P15`."""
        state = self._asker.ask("nvmlDeviceGetPerformanceState")
        return {"performance_state": f"P{state}" if 0 <= state <= 15 else None}

    def fan(self) -> Values:
        """In percent of the maximum; may exceed 100."""
        return {"fan_percent": self._asker.within("fan", 0, 200, "nvmlDeviceGetFanSpeed")}


def _meminfo(roots: Roots) -> dict[str, int]:
    """`/proc/meminfo` in bytes; empty where it cannot be read."""
    try:
        text = (roots.proc / "meminfo").read_text()
    except OSError:
        return {}
    return {key: int(number) * 1024 for key, number in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
