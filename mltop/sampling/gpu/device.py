"""One GPU, asked for one fact at a time."""

from __future__ import annotations

from mltop.model.snapshot import Status
from mltop.sampling.gpu.answer import Answer
from mltop.sampling.gpu.asker import Asker, Values
from mltop.sampling.gpu.condition import Condition
from mltop.sampling.gpu.credible import Doubts
from mltop.sampling.gpu.mig import MigDevices
from mltop.sampling.gpu.nvml import DriverGone, GpuLost, Library, Missing
from mltop.sampling.gpu.nvml_process import ProcessLists
from mltop.sampling.gpu.pci import bus_id
from mltop.sampling.gpu.scrutiny import Scrutiny
from mltop.sampling.gpu.vitals import Vitals
from mltop.sampling.root import Roots
from mltop.system.text import clean


class Device:
    """Facts of one GPU; a loss of it, or of the whole driver, passes through, all else that is missing is an answer."""

    def __init__(self, library: Library, roots: Roots, index: int, handle: object) -> None:
        self._doubts = Doubts()
        self._asker = Asker(library, index, handle, self._doubts)
        self._vitals = Vitals(self._asker, roots)
        self._is_mig: bool | None = False
        self._processes = ProcessLists(library, index, handle, self._doubts)
        self._migs = MigDevices(self._asker)
        vitals, condition, processes = self._vitals, Condition(self._asker), self._processes
        scrutiny = Scrutiny(self._asker, lambda: condition.links_count)
        self._readers = {
            "identity": self._identity,
            "temperature": vitals.temperature,
            "memory": vitals.memory,
            "utilization": vitals.utilization,
            "power": vitals.power,
            "compute": lambda: {"compute": processes.listed("Compute")},
            "thresholds": vitals.thresholds,
            "pcie_max": condition.pcie_max,
            "mig_mode": self._mig_mode,
            "mig_layout": self._mig_layout,
            "mig": lambda: {"mig": self._migs.read()},
            "clocks": vitals.clocks,
            "event_reasons": vitals.event_reasons,
            "performance": vitals.performance,
            "graphics": lambda: {"graphics": processes.listed("Graphics")},
            "shares": lambda: {"shares": processes.sm_percent()},
            "memory_temperature": vitals.memory_temperature,
            "fan": vitals.fan,
            "nvlinks": condition.nvlinks,
            "mps": lambda: {"mps": processes.listed("MPSCompute")},
            "power_limit": vitals.power_limit,
            "margin": vitals.margin,
            "ecc": condition.ecc,
            "remap": condition.remap,
            "retired": condition.retired,
            "pcie_link": condition.pcie_link,
            "persistence": condition.persistence,
            "throughput": condition.throughput,
            "recovery": scrutiny.recovery,
            "vbios": scrutiny.vbios,
            "power_default": scrutiny.power_default,
            "memory_threshold": scrutiny.memory_threshold,
            "ecc_mode": scrutiny.ecc_mode,
            "ecc_places": scrutiny.ecc_places,
            "sram": scrutiny.sram,
            "retired_pending": scrutiny.retired_pending,
            "pcie_replay": scrutiny.pcie_replay,
            "fabric": scrutiny.fabric,
            "slowed_down": scrutiny.slowed_down,
            "nvlink_errors": scrutiny.nvlink_errors,
        }

    def read(self, fact: str, now: float) -> Answer:
        """Ask for one fact; `now` becomes its time."""
        try:
            values = self._readers[fact]()
        except (GpuLost, DriverGone):
            self._doubts.take()
            raise
        except Missing as missing:
            self._doubts.take()
            return Answer(at=now, status=missing.status, reason=missing.reason)
        return Answer(at=now, values=values, reason=self._doubts.take())

    def _identity(self) -> Values:
        ask = self._asker.ask
        values = self._asker.parts(
            uuid=lambda: ask("nvmlDeviceGetUUID"),
            name=lambda: ask("nvmlDeviceGetName"),
            pci_bus_id=lambda: bus_id(clean(ask("nvmlDeviceGetPciInfo").bus_id)),
        )
        self._vitals.name = values["name"] or ""
        return values

    def _mig_mode(self) -> Values:
        try:
            mode = self._asker.ask("nvmlDeviceGetMigMode")[0]
        except Missing as missing:
            # a parent that may not be asked may still have children that may (M6)
            self._is_mig = None if missing.status is Status.NO_PERMISSION else False
            raise
        self._is_mig = self._asker.flag("MIG mode", mode)
        return {"mig_mode": self._is_mig}

    def _mig_layout(self) -> Values:
        if self._is_mig is False:
            self._migs.forget()
        else:
            self._migs.look()
        self._processes.children = self._migs.handles()
        return {}
