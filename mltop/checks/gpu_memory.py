"""A GPU's memory errors: what was corrected, what was not, and the rows and pages that were given up for it."""

from __future__ import annotations

from collections.abc import Iterator

from mltop.checks.case import Case, judgement
from mltop.checks.gpu_reading import is_server_card, unsupported
from mltop.checks.judgement import Judgement
from mltop.model.finding import Level
from mltop.model.gpu_facts import GpuFacts
from mltop.model.identity import gpu_identity
from mltop.model.snapshot import Gpu

_WEEK_S = 7 * 86400.0
"""More than so many double-bit pages count while one came within this time: DCGM's rule."""
_REPLACE = "have the GPU replaced"
_RESET = "reset the GPU when it is idle"


def memory_errors(case: Case, gpu: Gpu, facts: GpuFacts | None) -> Iterator[Judgement]:
    """All that is judged of a GPU's memory errors; the caller names the GPU."""
    yield _ecc_uncorrected(case, gpu, facts)
    yield _ecc_corrected(case, gpu, facts)
    yield _retired_pages(case, gpu, facts)
    yield _row_remap(case, gpu, facts)
    if facts is not None:
        yield _ecc_mode(case, gpu, facts)


def _ecc_uncorrected(case: Case, gpu: Gpu, facts: GpuFacts | None) -> Judgement:
    check = "gpu.ecc_uncorrected"
    limit = case.limits[check]
    fresh, ever = gpu.ecc_uncorrected_volatile, gpu.ecc_uncorrected_aggregate
    is_sram_bad = facts is not None and facts.sram_above_threshold
    data = {"volatile": fresh, "aggregate": ever, "sram_above_threshold": facts and facts.sram_above_threshold}
    if is_sram_bad:
        summary = "more uncorrected SRAM errors than its maker allows"
        return judgement(check, Level.CRITICAL, summary, _REPLACE, reason="sram", value=ever, data=data)
    if fresh is not None and limit.crit is not None and limit.crit.alerts(fresh):
        summary, action = f"{fresh} uncorrected ECC errors", "drain and reset the GPU"
        return judgement(check, Level.CRITICAL, summary, action, value=fresh, limit=limit, data=data)
    if ever is not None and limit.warn is not None and limit.warn.alerts(ever):
        summary = f"{ever} uncorrected ECC errors in its life"
        return judgement(check, Level.WARNING, summary, value=ever, limit=limit, data=data)
    if fresh is None and ever is None:
        return unsupported(case, check, gpu, "ECC")
    return judgement(check, Level.OK, "no uncorrected ECC errors", value=fresh, limit=limit, data=data)


def _ecc_corrected(case: Case, gpu: Gpu, facts: GpuFacts | None) -> Judgement:
    """By place where the card tells it: the SRAM is small, and may have far fewer."""
    check, target = "gpu.ecc_corrected", gpu_identity(gpu)
    dram, sram = (None, None) if facts is None else (facts.ecc_corrected_dram, facts.ecc_corrected_sram)
    corrected = gpu.ecc_corrected_volatile if dram is None else dram
    if sram is not None and (level := case.level(check, f"{target} SRAM", sram, row="gpu.ecc_corrected.sram")):
        summary, limit = f"{sram} corrected ECC errors in SRAM", case.limits["gpu.ecc_corrected.sram"]
        return judgement(check, level, summary, "watch it", reason="sram", value=sram, limit=limit)
    if corrected is None:
        return unsupported(case, check, gpu, "ECC")
    return case.measured(check, corrected, f"{corrected} corrected ECC errors", "watch it", target=target)


def _retired_pages(case: Case, gpu: Gpu, facts: GpuFacts | None) -> Judgement:
    """Cards before Ampere. Many double-bit pages count while they grow: what was given up long ago does no harm."""
    check, pages = "gpu.retired_pages", gpu.retired_pages
    if pages is None:
        return unsupported(case, check, gpu, "page retirement")
    limit, summary = case.limits[check], f"{pages} retired pages"
    double_bit = None if facts is None else facts.retired_double_bit
    data = {"double_bit": double_bit, "pending": facts and facts.retired_pending}
    if limit.crit is not None and limit.crit.alerts(pages):
        return judgement(check, Level.CRITICAL, summary, _REPLACE, value=pages, limit=limit, data=data)
    if double_bit is not None:
        growth = case.growth(check, gpu_identity(gpu), double_bit, over_s=_WEEK_S)
        if growth is not None and growth.amount > 0 and limit.warn is not None and limit.warn.alerts(double_bit):
            summary = f"{double_bit} pages retired for double-bit errors, {growth.amount:.0f} of them lately"
            return judgement(check, Level.WARNING, summary, _REPLACE, value=double_bit, limit=limit, data=data)
    if facts is not None and facts.retired_pending:
        summary = f"{summary}, retirement pending"
        return judgement(check, Level.WARNING, summary, _RESET, reason="pending", value=pages, data=data)
    return judgement(check, Level.OK, summary, value=pages, limit=limit, data=data)


def _row_remap(case: Case, gpu: Gpu, facts: GpuFacts | None) -> Judgement:
    check, limit = "gpu.row_remap", case.limits["gpu.row_remap"]
    if gpu.remap_failed:
        return judgement(check, Level.CRITICAL, "row remap failed", _REPLACE, reason="failed")
    if gpu.remap_pending:
        return judgement(check, Level.WARNING, "row remap pending", _RESET, reason="pending")
    if gpu.remap_failed is None or gpu.remap_pending is None:
        return unsupported(case, check, gpu, "row remapping")
    rows = None if facts is None else facts.remap_uncorrectable
    level = Level.OK if rows is None else limit.level(rows)
    if level:
        summary = f"{rows} rows remapped for uncorrectable errors"
        return judgement(check, level, summary, _REPLACE, value=rows, limit=limit)
    return judgement(check, Level.OK, "no row remap pending or failed", value=rows, limit=limit)


def _ecc_mode(case: Case, gpu: Gpu, facts: GpuFacts) -> Judgement:
    check = "gpu.ecc_mode"
    if facts.ecc_mode is None:
        return unsupported(case, check, gpu, "ECC mode")
    words = "on" if facts.ecc_mode else "off"
    data = {"current": facts.ecc_mode, "pending": facts.ecc_pending}
    if facts.ecc_pending is not None and facts.ecc_pending != facts.ecc_mode:
        summary = f"ECC {words}, {'on' if facts.ecc_pending else 'off'} after the next reset"
        return judgement(check, Level.WARNING, summary, _RESET, reason="pending", data=data)
    if not facts.ecc_mode and is_server_card(gpu, facts):
        action = "nvidia-smi --ecc-config=1, then reset the GPU"
        return judgement(check, Level.WARNING, "ECC off on a server card", action, reason="mode-off", data=data)
    return judgement(check, Level.OK, f"ECC {words}", data=data)
