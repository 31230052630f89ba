"""Why NVML cannot be started, in one line with the remedy (D13, M20)."""

from __future__ import annotations

import re
from pathlib import Path

from mltop.model.snapshot import Status
from mltop.sampling.gpu.nvml import FUNCTION_NOT_FOUND, LIBRARY_NOT_FOUND, Library, Missing
from mltop.sampling.gpu.pci import cards_for_nvml, nvidia_cards
from mltop.sampling.root import Roots
from mltop.system.text import clean

# nvmlReturn_t of nvml.h
_NO_PERMISSION = 4
_NOT_LOADED = 9
_MISMATCH = 18

_VERSION = r"\b(\d{3}\.\d+(?:\.\d+)*)\b"
_CONTROL_NODE = Path("/dev/nvidiactl")


def why_not_started(missing: Missing, library: Library, roots: Roots) -> tuple[Status, str | None]:
    """The status and reason for a start of NVML that failed."""
    if missing.code == _MISMATCH:
        return Status.ERROR, _mismatch(library, roots)
    kernel_has_it = kernel_version(roots) is not None
    if kernel_has_it and missing.code != LIBRARY_NOT_FOUND and not _CONTROL_NODE.exists():
        return Status.ERROR, "no NVIDIA device nodes in /dev: pass the GPUs into the container"
    if missing.code == _NO_PERMISSION:
        return Status.NO_PERMISSION, "no permission to use the NVIDIA driver: see who may open /dev/nvidiactl"
    if missing.code not in (LIBRARY_NOT_FOUND, _NOT_LOADED, FUNCTION_NOT_FOUND):
        status = Status.TIMEOUT if missing.status is Status.TIMEOUT else Status.ERROR
        return status, f"the NVIDIA driver does not start: {missing.reason}"
    if not kernel_has_it and not cards_for_nvml(roots):
        return absent(roots)
    if missing.code == LIBRARY_NOT_FOUND and "No such file" not in missing.reason:  # dlopen(3) says no more than that
        return Status.ERROR, f"NVIDIA driver library cannot be loaded ({missing.reason}): install the driver anew"
    if missing.code == FUNCTION_NOT_FOUND:
        return Status.ERROR, "libnvidia-ml.so.1 has no nvmlInit and is not the driver's: see LD_LIBRARY_PATH"
    if missing.code == LIBRARY_NOT_FOUND:
        return (
            Status.ERROR,
            "NVIDIA driver library libnvidia-ml.so.1 not found: install the driver, or pass it into the container",
        )
    return Status.ERROR, "NVIDIA driver not loaded: modprobe nvidia"


def absent(roots: Roots) -> tuple[Status, str | None]:
    """No NVIDIA device that is NVML's; a reason where there are cards of another driver."""
    others = [card for card in nvidia_cards(roots) or () if not card.is_for_nvml]
    drivers = ", ".join(sorted({str(card.driver) for card in others}))
    return Status.ABSENT, f"{len(others)} NVIDIA cards are bound to {drivers}" if others else None


def kernel_version(roots: Roots) -> str | None:
    """The version of the kernel module that is loaded; `None` where none is."""
    try:
        text = (roots.proc / "driver/nvidia/version").read_text(errors="replace")
    except OSError:
        return None
    match = re.search(_VERSION, text)
    return match[1] if match else clean(text.partition("\n")[0])


def library_version(library: Library) -> str | None:
    """The driver version that the library was made for: NVML's own (`12.550.54.14`) without its first number."""
    try:
        match = re.search(_VERSION, library.ask(-1, "nvmlSystemGetNVMLVersion"))
    except Missing:
        return None
    return match[1] if match else None


def _mismatch(library: Library, roots: Roots) -> str:
    kernel, user = kernel_version(roots), library_version(library)
    versions = f" (kernel module {kernel or 'unknown'}, library {user or 'unknown'})"
    return f"NVIDIA driver and library do not match{versions}: reboot, or reload the module"
