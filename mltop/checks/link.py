"""`net.link`: ports that lose their link, or frames; one that is down is a fault only where it is expected."""

from __future__ import annotations

from collections.abc import Iterator

from mltop.checks.case import Case, judgement, skip
from mltop.checks.fact import DAY_S, unread
from mltop.checks.judgement import Judgement
from mltop.model.finding import Level
from mltop.model.host_facts import Link, Links
from mltop.model.snapshot import Status

HOUR_S = 3600.0
LEAST_PACKETS = 1000
"""A share of fewer says nothing."""
_NO_MANAGER = frozenset({"INIT", "ARMED"})
"""An InfiniBand port with a cable and without a subnet manager (InfiniBand architecture, port states)."""
_CABLE = "check its cable and the other end"


def links(case: Case, found: Links) -> Iterator[Judgement]:
    """Each port that is up, lost or expected."""
    expected = {*case.limits.links, *case.limits.rates}
    is_known = found.status is Status.OK or (found.status is Status.UNSUPPORTED and expected)
    if not is_known:
        yield unread("net.link", found, name="network")
        return
    for link in found.links:
        yield _link(case, link, is_expected=link.name in expected)
    for name in sorted(expected - {link.name for link in found.links}):
        yield judgement("net.link", Level.CRITICAL, "no such port", _CABLE, target=name, reason="absent")


def _link(case: Case, link: Link, *, is_expected: bool) -> Judgement:
    faults = sorted(_faults(case, link), key=lambda one: -one[0])
    if link.is_up is None and link.is_enabled:
        return judgement("net.link", Level.UNKNOWN, "its state makes no sense", target=link.name, reason="error")
    if not link.is_up:
        if is_expected:
            faults.insert(0, (Level.CRITICAL, f"down ({link.state or 'no link'})"))
        elif link.state in _NO_MANAGER:
            faults.insert(0, (Level.WARNING, f"{link.state}: no subnet manager has set it up"))
        elif not faults:
            words = "down" if link.is_enabled else "switched off"
            return skip("net.link", f"{words}, and not expected (expect.links)", target=link.name)
    elif (slow := _too_slow(link, case.limits.rates.get(link.name))) is not None:
        faults = sorted([*faults, slow], key=lambda one: -one[0])
    data = {"losses": link.losses, "errors": link.errors, "rate_mbit": link.rate_mbit}
    if faults:
        summary = ", ".join(words for _, words in faults)
        return judgement("net.link", faults[0][0], summary, _CABLE, target=link.name, reason="link", data=data)
    rate = f", {link.rate_mbit / 1000:g} Gbit/s" if link.rate_mbit else ""
    return judgement("net.link", Level.OK, f"up{rate}", target=link.name, data=data)


def _too_slow(link: Link, expected_gbit: float | None) -> tuple[Level, str] | None:
    """A port that came up with fewer lanes or a lower speed than the config expects, as with a bad cable (gpud)."""
    if expected_gbit is None:
        return None
    if link.rate_mbit is None:
        return Level.UNKNOWN, f"its rate is not told, {expected_gbit:g} Gbit/s expected (expect.link_gbit)"
    if link.rate_mbit >= expected_gbit * 1000:
        return None
    return Level.WARNING, f"{link.rate_mbit / 1000:g} Gbit/s, {expected_gbit:g} expected"


def _faults(case: Case, link: Link) -> Iterator[tuple[Level, str]]:
    """By the growth of its counters: links lost within a day, and the share of bad frames within an hour."""
    if link.losses is not None:
        growth = case.growth("net.link", link.name, link.losses, name="losses", over_s=DAY_S)
        lost = 0.0 if growth is None else growth.amount * DAY_S / max(DAY_S, growth.seconds)
        level = case.level("net.link", f"{link.name} losses", lost, row="net.link.losses")
        if level is not Level.OK:
            yield level, f"lost its link {lost:.0f} times within a day"
    if link.errors is not None and link.packets is not None:
        errors = case.growth("net.link", link.name, link.errors, name="errors", over_s=HOUR_S)
        packets = case.growth("net.link", link.name, link.packets, name="packets", over_s=HOUR_S)
        if errors is None or packets is None or errors.amount + packets.amount < LEAST_PACKETS:
            return
        percent = 100.0 * errors.amount / (errors.amount + packets.amount)
        level = case.level("net.link", f"{link.name} errors", percent, row="net.link")
        if level is not Level.OK:
            yield level, f"{percent:.1f} % of its packets have errors"
