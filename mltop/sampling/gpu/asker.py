"""Asking one GPU: what is missing is told apart from what is not credible."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mltop.model.snapshot import Status
from mltop.sampling.gpu.credible import NOT_AVAILABLE, Doubts
from mltop.sampling.gpu.nvml import SUCCESS, DriverGone, GpuLost, Library, Missing

Values = dict[str, Any]
"""A fact's values, by the snapshot's keys."""
_NOT_TOLD = frozenset({Status.UNSUPPORTED, Status.NO_PERMISSION})
"""Why a part of a fact may be missing without that being a fault."""


class Asker:
    """One GPU's handle, and where to note doubts. Every question may raise `Missing`."""

    def __init__(self, library: Library, index: int, handle: object, doubts: Doubts) -> None:
        self.library = library
        self.index = index
        self.handle = handle
        self.doubts = doubts

    def ask(self, function: str, *arguments: object) -> Any:
        """Call a function of NVML for this GPU."""
        return self.library.ask(self.index, function, self.handle, *arguments)

    def field(self, what: str, field: int) -> int | None:
        """The number of a field of an unsigned type; `None` where it is "not available"."""
        (found,) = self.library.fields(self.index, self.handle, [(field, 0)])
        if found.code != SUCCESS:
            raise self.library.why_not(found.code)
        number = NOT_AVAILABLE if found.number is None else found.number
        return number if self.doubts.number(what, number, 0, NOT_AVAILABLE - 1) else None

    def sums(self, names: Mapping[int, str], scopes: int = 1) -> dict[str, int]:
        """Fields summed up by name, each over its first so many scopes, in one call: those that are there.

        Raises the first `Missing` where none is.
        """
        sums: dict[str, int] = {}
        first: Missing | None = None
        for found in self.library.fields(
            self.index, self.handle, [(field, n) for field in names for n in range(scopes)]
        ):
            if found.code != SUCCESS:
                missing = self.library.why_not(found.code)
                if isinstance(missing, GpuLost | DriverGone):
                    raise missing
                first = first or missing
            elif (number := found.number) is not None and self.doubts.number("counter", number, 0, NOT_AVAILABLE):
                name = names[found.field]
                sums[name] = sums.get(name, 0) + number
        if not sums and first is not None:
            raise first
        return sums

    def scopes(self, field: int, most: int) -> list[int]:
        """A field over its scopes from 0 on, in one call, up to the first that is not there; empty where none is."""
        numbers: list[int] = []
        try:
            found = self.library.fields(self.index, self.handle, [(field, scope) for scope in range(most)])
        except (GpuLost, DriverGone):
            raise
        except Missing:
            return numbers
        for one in found:
            if one.code != SUCCESS or one.number is None:
                break
            numbers.append(one.number)
        return numbers

    def within(self, what: str, low: float, high: float, function: str, *arguments: object) -> Any:
        """The answer, or `None` where it is not credible."""
        value = self.ask(function, *arguments)
        return value if self.doubts.number(what, value, low, high) else None

    def flag(self, what: str, value: int) -> bool | None:
        """A yes or no, as a 1 or 0; `None` where it is neither: all bits are set of what is not available."""
        return bool(value) if self.doubts.number(what, value, 0, 1) else None

    def maybe(self, function: str, *arguments: object) -> Any:
        """The answer, or `None` where this GPU has none."""
        try:
            return self.ask(function, *arguments)
        except (GpuLost, DriverGone):
            raise
        except Missing:
            return None

    def parts(self, **calls: Callable[[], Any]) -> Values:
        """Each part that is there; raises the first `Missing` where none is. One that failed is a doubt."""
        values: Values = {}
        first: Missing | None = None
        failed: dict[str, str] = {}
        for key, call in calls.items():
            try:
                values[key] = call()
            except (GpuLost, DriverGone):
                raise
            except Missing as missing:
                values[key] = None
                first = first or missing
                if missing.status not in _NOT_TOLD:
                    failed[missing.reason] = failed.get(missing.reason) or key.replace("_", " ")
        if first is not None and all(value is None for value in values.values()):
            raise first
        for reason, part in failed.items():
            self.doubts.say(f"{part}: {reason}")
        return values
