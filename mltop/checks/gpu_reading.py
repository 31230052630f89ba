"""What the checks of a GPU share: what was asked of it for a verdict, and what sort of card it is."""

from __future__ import annotations

import re

import msgspec

from mltop.checks.case import Case
from mltop.checks.judgement import Judgement
from mltop.model.gpu_facts import GpuFacts
from mltop.model.identity import gpu_identity
from mltop.model.snapshot import Gpu

_BUSY_STATES = ("P0", "P1", "P2")
_MOBILE = r"(?i)Laptop|Max-Q|Mobile"


def facts_of(case: Case, gpu: Gpu) -> GpuFacts | None:
    """What it was asked for beside the snapshot; `None` where nobody asked: another box, or the dashboard."""
    if case.surroundings is None:
        return None
    return case.surroundings.gpus.get(gpu_identity(gpu), GpuFacts())


def unsupported(case: Case, check: str, gpu: Gpu, what: str) -> Judgement:
    """What this card does not tell; where the card did not answer, `gpu.responsive` tells why."""
    return msgspec.structs.replace(case.unread(check, gpu, what), is_quiet=True)


def is_busy(gpu: Gpu) -> bool:
    """Whether it works: an idle card slows its clocks and its link down."""
    return bool(gpu.utilization_percent) and (gpu.performance_state or "P0") in _BUSY_STATES


def is_server_card(gpu: Gpu, facts: GpuFacts | None) -> bool:
    """With ECC, on or off, and without a fan of its own: no desktop hangs on it."""
    has_ecc = gpu.ecc_uncorrected_volatile is not None or (facts is not None and facts.ecc_mode is not None)
    return has_ecc and gpu.fan_percent is None and re.search(_MOBILE, gpu.name or "") is None
