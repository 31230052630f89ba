"""What only a verdict asks of a GPU, once (D6)."""

from __future__ import annotations

from collections.abc import Callable

from mltop.model.snapshot import Status
from mltop.sampling.gpu.asker import Asker, Values
from mltop.sampling.gpu.nvml import Missing

# nvml.h
_CORRECTED, _VOLATILE = 0, 0
_DRAM, _SRAM = 2, 7
_MEMORY_MAX = 2
_POLICY_THERMAL = 1
_FIELD_RECOVERY_ACTION = 230
_EVENT_COUNTERS = {269: "sw-thermal", 270: "hw-thermal", 271: "hw-power-brake"}
_LINK_TOTALS = {38: "crc", 45: "crc", 52: "replay", 59: "recovery"}
_LINK_COUNTERS = {161: "replay", 162: "recovery", 163: "crc"}
_MOST_COUNTED = 2**62


class Scrutiny:
    """Facts by the names of `model.gpu_facts`; `links` tells how many NVLinks the card has, as far as that is known."""

    def __init__(self, asker: Asker, links: Callable[[], int]) -> None:
        self._asker = asker
        self._links = links

    def recovery(self) -> Values:
        """What the driver itself says is to be done. Drivers before 560 say nothing."""
        return {"recovery_action": self._asker.field("recovery action", _FIELD_RECOVERY_ACTION)}

    def vbios(self) -> Values:
        """The version of the card's firmware."""
        return {"vbios": self._asker.ask("nvmlDeviceGetVbiosVersion")}

    def power_default(self) -> Values:
        """In W."""
        function = "nvmlDeviceGetPowerManagementDefaultLimit"
        milliwatts = self._asker.within("default power limit in mW", 1, 10_000_000, function)
        return {"power_default_w": None if milliwatts is None else milliwatts / 1000}

    def memory_threshold(self) -> Values:
        """In C."""
        function = "nvmlDeviceGetTemperatureThreshold"
        return {"temperature_memory_max_c": self._asker.within("memory maximum", 1, 200, function, _MEMORY_MAX)}

    def ecc_mode(self) -> Values:
        """Now, and after the next reset."""
        now, pending = self._asker.ask("nvmlDeviceGetEccMode")
        mode = self._asker.flag("ECC mode", now)
        return {} if mode is None else {"ecc_mode": mode, "ecc_pending": self._asker.flag("pending ECC mode", pending)}

    def ecc_places(self) -> Values:
        """Corrected errors since the driver was loaded, by where they were."""

        def count(place: int) -> int | None:
            function = "nvmlDeviceGetMemoryErrorCounter"
            errors: int | None = self._asker.within("ECC", 0, _MOST_COUNTED, function, _CORRECTED, _VOLATILE, place)
            return errors

        return self._asker.parts(ecc_corrected_dram=lambda: count(_DRAM), ecc_corrected_sram=lambda: count(_SRAM))

    def sram(self) -> Values:
        """Drivers before 550 do not tell."""
        flag = self._asker.ask("nvmlDeviceGetSramEccErrorStatus").is_above_threshold
        return {"sram_above_threshold": self._asker.flag("SRAM threshold", flag)}

    def retired_pending(self) -> Values:
        """Cards before Ampere."""
        flag = self._asker.ask("nvmlDeviceGetRetiredPagesPendingStatus")
        return {"retired_pending": self._asker.flag("pages pending", flag)}

    def pcie_replay(self) -> Values:
        """Since the driver was loaded."""
        return {"pcie_replays": self._asker.within("PCIe replays", 0, 2**32 - 2, "nvmlDeviceGetPcieReplayCounter")}

    def fabric(self) -> Values:
        """How far the card is registered with the NVSwitch fabric."""
        fabric = self._asker.ask("nvmlDeviceGetGpuFabricInfo")
        if fabric.state == 0:
            raise Missing(0, Status.UNSUPPORTED, "not supported")
        is_told = self._asker.doubts.number("fabric state", fabric.state, 1, 3)
        if not is_told:
            return {}
        return {"fabric_state": fabric.state, "fabric_status": fabric.status, "fabric_health": fabric.health}

    def slowed_down(self) -> Values:
        """For how long heat and the power supply have slowed the card down, since the driver was loaded."""
        found = self._asker.parts(thermal=self._thermal_ns, counted=lambda: self._asker.sums(_EVENT_COUNTERS))
        counted: dict[str, int] = found["counted"] or {}
        if found["thermal"] is not None:
            counted["thermal"] = found["thermal"]
        return {"slowed_down_s": {name: ns / 1e9 for name, ns in counted.items()} or None}

    def _thermal_ns(self) -> int | None:
        ns = self._asker.ask("nvmlDeviceGetViolationStatus", _POLICY_THERMAL).violation_ns
        return ns if self._asker.doubts.number("thermal violation", ns, 0, _MOST_COUNTED) else None

    def nvlink_errors(self) -> Values:
        """Errors of all links together since the driver was loaded: the total, or the sum of what each link tells."""
        links = self._links()
        if not links:
            raise Missing(0, Status.UNSUPPORTED, "no NVLink")
        try:
            found = self._asker.sums(_LINK_TOTALS)
        except Missing as missing:
            if missing.status is not Status.UNSUPPORTED:
                raise
            found = self._asker.sums(_LINK_COUNTERS, links)
        return {"nvlink_errors": found or None}
