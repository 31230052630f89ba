"""Whose turn it is: spreads the slow facts of a GPU over the refreshes, so that none is long (D6, M29)."""

from __future__ import annotations

from math import floor

from mltop.model.snapshot import Status
from mltop.sampling.gpu.answer import FAST, FOR_VERDICT, ONCE, SLOW_CADENCE_S, Answer

RARELY_S = 60.0
"""How often what a card does not support, or what cannot be had, is asked again."""
_EARLY_S = 0.25
"""A fact that falls due this soon is due now: ticks are never quite on time."""


class Rota:
    """The turns of one GPU. The first round asks everything; after it each fact keeps its own phase."""

    def __init__(self, phase: float) -> None:
        self._phase = phase
        """0 to 1, another for each GPU, so that they do not all have their long turn at once."""
        self._due: dict[str, float] = {}

    def fast(self, now: float) -> list[str]:
        """The fast facts to ask now."""
        return [fact for fact in FAST if self._is_due(fact, now)]

    def slow(self, now: float) -> list[str]:
        """The slow facts to ask now, the most overdue first: there may not be time for all."""
        due = [fact for fact in SLOW_CADENCE_S if self._is_due(fact, now)]
        return sorted(due, key=lambda fact: self._due.get(fact, 0.0))

    def for_verdict(self, now: float) -> list[str]:
        """What only a verdict wants and was not asked yet."""
        return [fact for fact in FOR_VERDICT if self._is_due(fact, now)]

    def done(self, fact: str, answer: Answer) -> None:
        """Note that `fact` was asked, and set its next turn."""
        cadence = ONCE if fact in FOR_VERDICT else SLOW_CADENCE_S.get(fact, 0.0)
        if answer.status is not Status.OK and (fact in SLOW_CADENCE_S or answer.status is Status.UNSUPPORTED):
            cadence = max(RARELY_S, cadence if cadence != ONCE else 0.0)
        self._due[fact] = self._next(fact, cadence, answer.at)

    def forget(self) -> None:
        """Ask everything again at the next turn: the card was away."""
        self._due.clear()

    def _is_due(self, fact: str, now: float) -> bool:
        return now + _EARLY_S >= self._due.get(fact, 0.0)

    def _next(self, fact: str, cadence: float, now: float) -> float:
        if cadence in (0.0, ONCE):
            return now + cadence
        before = self._due.get(fact)
        if before is None:
            place = list(SLOW_CADENCE_S).index(fact) if fact in SLOW_CADENCE_S else 0
            share = (place * 0.618 + self._phase) % 1.0  # golden section: any few neighbours are spread evenly
            return now + cadence * (1.0 - share)
        turns = floor((now + _EARLY_S - before) / cadence) + 1
        return before + cadence * max(1, turns)
