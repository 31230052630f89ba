"""NVIDIA display functions on the PCI bus, as sysfs lists them: what the box has, whatever the driver says (M19)."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from mltop.sampling.root import Roots

NVIDIA_VENDOR = 0x10DE
_DISPLAY_CLASSES = frozenset({0x0300, 0x0302})
"""VGA and 3D controllers: base class and subclass of the `class` file, without the programming interface."""
_OTHER_DRIVERS = frozenset({"vfio-pci", "nouveau", "pci-stub", "nova_core"})
"""Bound to one of these a card belongs to a virtual machine or to a driver without NVML: no error (D13)."""
_BUS_ID = r"(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([0-9a-fA-F]{2})(?:\.([0-7]))?"

_INITIAL_PID_NAMESPACE = "pid:[4026531836]"
"""PROC_PID_INIT_INO of the kernel (include/linux/proc_ns.h)."""


class PciCard(msgspec.Struct, frozen=True):
    """One NVIDIA display function."""

    bus_id: str
    """As sysfs names it: `0000:1b:00.0`."""
    driver: str | None
    """The kernel driver it is bound to."""

    @property
    def is_for_nvml(self) -> bool:
        """Whether NVML has to know it; not so for one that was given to another driver."""
        return self.driver not in _OTHER_DRIVERS


def bus_id(text: str) -> str | None:
    """The sysfs form `0000:1b:00.0` of a bus id of NVML (`00000000:1B:00.0`) or of the kernel log (`0000:1b:00`)."""
    match = re.fullmatch(_BUS_ID, text.strip())
    if match is None:
        return None
    domain, bus, device, function = match.groups()
    return f"{int(domain or '0', 16):04x}:{bus}:{device}.{function or 0}".lower()


def nvidia_cards(roots: Roots) -> tuple[PciCard, ...] | None:
    """All NVIDIA display functions in PCI order, or `None` where sysfs lists no PCI bus at all."""
    try:
        entries = sorted((roots.sys / "bus/pci/devices").iterdir())
    except OSError:
        return None
    return tuple(card for entry in entries if (card := _card(entry)) is not None)


def cards_for_nvml(roots: Roots) -> tuple[PciCard, ...]:
    """The cards that NVML has to know."""
    return tuple(card for card in nvidia_cards(roots) or () if card.is_for_nvml)


def is_container(roots: Roots) -> bool:
    """Whether this is another pid namespace than the kernel's first: what sysfs lists need not be given to it."""
    try:
        return str((roots.proc / "self/ns/pid").readlink()) != _INITIAL_PID_NAMESPACE
    except OSError:
        return False


def _card(entry: Path) -> PciCard | None:
    if _number(entry / "vendor") != NVIDIA_VENDOR or (_number(entry / "class") >> 8) not in _DISPLAY_CLASSES:
        return None
    if (entry / "physfn").exists():
        return None  # a virtual function: a slice of a card that is listed itself
    try:
        driver = (entry / "driver").readlink().name
    except OSError:
        driver = None
    return PciCard(bus_id=bus_id(entry.name) or entry.name, driver=driver)


def _number(path: Path) -> int:
    try:
        return int(path.read_text(), 16)
    except (OSError, ValueError):
        return 0
