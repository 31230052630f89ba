"""Prometheus's text format, version 0.0.4: a family's HELP and TYPE once, then its samples; no timestamps, no NaN."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

Labels = Mapping[str, str | None]


class Exposition:
    """Gathers samples by family, in the order in which families were first named."""

    def __init__(self) -> None:
        self._families: dict[str, tuple[str, str, dict[str, float]]] = {}

    def add(
        self,
        name: str,
        words: str,
        value: float | None,
        labels: Labels | None = None,
        kind: Literal["gauge", "counter"] = "gauge",
    ) -> None:
        """One sample; what is not known, or is no number, is none. Of two of one name and labels the first counts."""
        if value is None or not math.isfinite(value):
            return
        samples = self._families.setdefault(name, (words, kind, {}))[2]
        samples.setdefault(_labelled(labels or {}), value)

    def lines(self) -> Iterator[str]:
        """All of it, a line at a time."""
        for name, (words, kind, samples) in self._families.items():
            yield f"# HELP {name} {words}"
            yield f"# TYPE {name} {kind}"
            for labels, value in samples.items():
                yield f"{name}{labels} {_number(value)}"


def _labelled(labels: Labels) -> str:
    text = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items() if value is not None)
    return f"{{{text}}}" if text else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    """Whole numbers with all their digits."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
