"""Slower facts about a GPU for the second and later lines of its row."""

from __future__ import annotations

from collections.abc import Iterable

from mltop.model.snapshot import Gpu, GpuProcess, Status
from mltop.ui.format import UNKNOWN, celsius, percent, plain, size


def _joined(parts: Iterable[str], separator: str = " ") -> str:
    return separator.join(filter(None, parts))


def _pick(texts: tuple[str, ...], number: int) -> str:
    """The text of line `number`, which counts from 1."""
    return texts[number - 1] if number <= len(texts) else ""


def _clock(mhz: int | None) -> str:
    return "" if mhz is None else f"{mhz}MHz"


def _bus(gpu: Gpu) -> str:
    return "" if gpu.memory_utilization_percent is None else f"bus {percent(gpu.memory_utilization_percent)}"


def under_utilization(gpu: Gpu, number: int) -> str:
    """SM clock; performance state and fan."""
    fan = "" if gpu.fan_percent is None else f"fan {gpu.fan_percent}%"
    return _pick((_clock(gpu.clock_sm_mhz), _joined((gpu.performance_state or "", fan))), number)


def under_memory(gpu: Gpu, number: int) -> str:
    """The memory's temperature and how busy its bus is; its clock."""
    hot = "" if gpu.temperature_memory_c is None else celsius(gpu.temperature_memory_c)
    return _pick((_joined((hot, _bus(gpu))), _clock(gpu.clock_memory_mhz)), number)


def under_power(gpu: Gpu, number: int) -> str:
    """Power in percent of its limit."""
    if number != 1 or gpu.power_w is None or not gpu.power_limit_w:
        return ""
    return percent(100.0 * gpu.power_w / gpu.power_limit_w)


def under_state(gpu: Gpu, number: int) -> str:
    """Who holds the GPU; its links; its clocks."""
    pcie = f"gen{gpu.pcie_generation} x{gpu.pcie_width}" if gpu.pcie_generation and gpu.pcie_width else ""
    links = f"links {gpu.nvlinks_active}/{gpu.nvlinks_total}" if gpu.nvlinks_total else ""
    clocks = _joined((gpu.performance_state or "", _clock(gpu.clock_sm_mhz), _bus(gpu)))
    return _pick((holders(gpu.processes), _joined((pcie, links), ", "), clocks, plain(gpu.pci_bus_id or "")), number)


def holders(processes: tuple[GpuProcess, ...]) -> str:
    """Who holds the GPU: users, most memory first."""
    held: dict[str, int] = {}
    for process in processes:
        user = plain(process.user or ("other container" if process.status is Status.ABSENT else UNKNOWN))
        held[user] = held.get(user, 0) + (process.gpu_memory_bytes or 0)
    users = sorted(held, key=lambda user: -held[user])
    return ", ".join(f"{user} {size(held[user])}" if held[user] else user for user in users)
