"""Limits given on the command line: `-w ID=RANGE` and `-c ID=RANGE`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mltop.config.limit import Range
from mltop.config.limits import TABLE, Limits


def overridden(limits: Limits, warnings: Sequence[str], criticals: Sequence[str]) -> Limits:
    """The limits with these over them; raises ValueError that says which flag is wrong.

    A Nagios range, so a bare number alerts above it (D41). The way back (`clear`) of a limit given so is the limit.
    """
    configured = dict(limits.configured)
    for flag, edge, back, words in (("-w", "warn", "clear", warnings), ("-c", "crit", "clear_crit", criticals)):
        for word in words:
            check, equals, text = word.partition("=")
            if not equals or check not in TABLE:
                raise ValueError(f"{flag} {word}: expected ID=RANGE with the id of a check that has a limit (--list)")
            try:
                given = Range.parse(text)
            except ValueError:
                raise ValueError(f"{flag} {word}: expected a range such as 90, 10:, ~:5, 10:20 or @10:20") from None
            known = configured.get(check, TABLE[check].limit)
            changes = {edge: given, back: None, "unless_free" if edge == "warn" else "unless_free_crit": None}
            configured[check] = msgspec.structs.replace(known, **changes)
    return msgspec.structs.replace(limits, configured=configured)
