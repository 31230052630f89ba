"""What shape a GPU is in: memory errors, links, modes."""

from __future__ import annotations

from ctypes import byref, c_uint

from mltop.sampling.gpu.asker import Asker, Values
from mltop.sampling.gpu.nvml import INSUFFICIENT_SIZE, SUCCESS, DriverGone, GpuLost, Missing

# nvml.h
_CORRECTED, _UNCORRECTED = 0, 1
_VOLATILE, _AGGREGATE = 0, 1
_MULTIPLE_SINGLE_BIT, _DOUBLE_BIT = 0, 1
_PCIE_TRANSMIT, _PCIE_RECEIVE = 0, 1
_MOST_KB_PER_S = 1_000_000_000
"""1 TB/s: eight times PCIe 6.0 x16."""
_LINKS_MAX = 36
_MOST_ROWS = 1_000_000
"""Far more than any card has spare rows for."""
_LINK_TURNS = 6
_FIELD_LINK_COUNT, _FIELD_LINK_STATE = 91, 165
"""A round over all NVLinks takes this many turns."""


class Condition:
    """Facts that seldom move."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._links: list[bool | None] | None = None
        self._next_link = 0

    @property
    def links_count(self) -> int:
        """How many NVLinks it is known to have."""
        return len(self._links or ())

    def ecc(self) -> Values:
        """Counts since the driver was loaded (volatile) and since the card was made (aggregate)."""
        function = "nvmlDeviceGetTotalEccErrors"
        return self._asker.parts(
            ecc_uncorrected_volatile=lambda: self._asker.within("ECC", 0, 2**62, function, _UNCORRECTED, _VOLATILE),
            ecc_uncorrected_aggregate=lambda: self._asker.within("ECC", 0, 2**62, function, _UNCORRECTED, _AGGREGATE),
            ecc_corrected_volatile=lambda: self._asker.within("ECC", 0, 2**62, function, _CORRECTED, _VOLATILE),
        )

    def remap(self) -> Values:
        """Row remapping: pending until the next reset, or failed."""
        _, uncorrectable, pending, failed = self._asker.ask("nvmlDeviceGetRemappedRows")
        is_told = self._asker.doubts.number("remapped rows", uncorrectable, 0, _MOST_ROWS)
        return {
            "remap_pending": self._asker.flag("remap pending", pending),
            "remap_failed": self._asker.flag("remap failed", failed),
            "remap_uncorrectable": uncorrectable if is_told else None,
        }

    def retired(self) -> Values:
        """Pages retired for either cause; cards before Ampere."""
        double_bit, single_bit = self._retired_for(_DOUBLE_BIT), self._retired_for(_MULTIPLE_SINGLE_BIT)
        return {
            "retired_pages": None if double_bit is None or single_bit is None else single_bit + double_bit,
            "retired_double_bit": double_bit,
        }

    def _retired_for(self, cause: int) -> int | None:
        count = c_uint(0)
        code = self._asker.library.ask_symbol(
            self._asker.index, "nvmlDeviceGetRetiredPages", self._asker.handle, c_uint(cause), byref(count), None
        )
        if code not in (SUCCESS, INSUFFICIENT_SIZE):
            raise self._asker.library.why_not(code)
        return count.value if self._asker.doubts.number("retired pages", count.value, 0, _MOST_ROWS) else None

    def pcie_link(self) -> Values:
        """As negotiated now."""
        return self._asker.parts(
            pcie_generation=lambda: self._asker.within("PCIe generation", 1, 16, "nvmlDeviceGetCurrPcieLinkGeneration"),
            pcie_width=lambda: self._asker.within("PCIe width", 1, 64, "nvmlDeviceGetCurrPcieLinkWidth"),
        )

    def pcie_max(self) -> Values:
        """What card and slot can do."""
        return self._asker.parts(
            pcie_generation_max=lambda: self._asker.within(
                "PCIe generation", 1, 16, "nvmlDeviceGetMaxPcieLinkGeneration"
            ),
            pcie_width_max=lambda: self._asker.within("PCIe width", 1, 64, "nvmlDeviceGetMaxPcieLinkWidth"),
        )

    def throughput(self) -> Values:
        """In bytes a second; 20 ms a call."""
        function = "nvmlDeviceGetPcieThroughput"  # in KB/s, measured over 20 ms in the call

        def rate(direction: int) -> float | None:
            kilobytes = self._asker.within("PCIe throughput in KB/s", 0, _MOST_KB_PER_S, function, direction)
            return None if kilobytes is None else kilobytes * 1000.0

        return self._asker.parts(
            pcie_receive_bytes_per_s=lambda: rate(_PCIE_RECEIVE),
            pcie_transmit_bytes_per_s=lambda: rate(_PCIE_TRANSMIT),
        )

    def nvlinks(self) -> Values:
        """Active links of all; after the first round some of them each time."""
        if self._links is None:
            self._links = self._all_links()
        else:
            for _ in range(-(-len(self._links) // _LINK_TURNS)):
                self._next_link = (self._next_link + 1) % len(self._links)
                self._links[self._next_link] = self._link(self._next_link)
        active = None if None in self._links else sum(bool(link) for link in self._links)
        return {"nvlinks_active": active, "nvlinks_total": len(self._links)}

    def _link(self, link: int) -> bool | None:
        return self._asker.flag(f"state of NVLink {link}", self._asker.ask("nvmlDeviceGetNvLinkState", link))

    def _all_links(self) -> list[bool | None]:
        """All in one call where the driver tells their number and their states as fields, else one after another."""
        links = [self._link(0)]
        count = min(sum(self._asker.scopes(_FIELD_LINK_COUNT, 1)), _LINKS_MAX)
        told = self._asker.scopes(_FIELD_LINK_STATE, count) if count else []
        if len(told) == count and told[:1] == [links[0]] and set(told) <= {0, 1}:  # or asleep
            return [bool(state) for state in told]
        try:
            for link in range(1, _LINKS_MAX):
                links.append(self._link(link))
        except (GpuLost, DriverGone):
            raise
        except Missing:
            return links
        return links

    def persistence(self) -> Values:
        """Persistence mode."""
        mode = self._asker.ask("nvmlDeviceGetPersistenceMode")
        return {"persistence_mode": self._asker.flag("persistence mode", mode)}
