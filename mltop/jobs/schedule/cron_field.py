"""The five fields of a cron schedule, as Debian's cron reads them (crontab(5)); what misleads is refused."""

from __future__ import annotations

import re
from collections.abc import Collection

import msgspec

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_TERM = re.compile(r"(?P<all>\*)|(?P<first>\d+|[a-z]+)(?:-(?P<last>\d+|[a-z]+))?")


class ScheduleFault(ValueError):  # noqa: N818 - what is wrong, for a reader
    """A schedule that cannot be used; the text says why and, where there is one, what to write instead."""


class Field(msgspec.Struct, frozen=True):
    """One of the five."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    """Of the values from `low` on."""

    def values(self, text: str) -> frozenset[int]:
        """All values of a field's text; raises ScheduleFault."""
        found: set[int] = set()
        for term in text.lower().split(","):
            found.update(self._term(term, text))
        return frozenset(found)

    def _term(self, term: str, text: str) -> Collection[int]:
        span, slash, step_text = term.partition("/")
        if "~" in span:
            raise ScheduleFault(
                f'{self.name} "{text}": not every cron knows "~" (Debian\'s reads 0~30 as 0); use jitter'
            )
        match = _TERM.fullmatch(span)
        if match is None:
            raise ScheduleFault(f'{self.name} "{text}": "{term}" is not a value, a range or a step')
        step = self._step(step_text, text) if slash else 1
        if match["all"]:
            return range(self.low, self.high + 1, step)
        first = self._number(match["first"], text)
        if match["last"] is None:
            if slash:
                raise ScheduleFault(
                    f'{self.name} "{text}": cron reads {span}/{step} as {span} alone; write {span}-{self.high}/{step}'
                )
            return (first,)
        last = self._number(match["last"], text)
        if last < first:
            raise ScheduleFault(f'{self.name} "{text}": the range {span} runs backwards, so cron never runs it')
        return range(first, last + 1, step)

    def _number(self, word: str, text: str) -> int:
        if word.isdigit():
            number = int(word[:9])
            if not self.low <= number <= self.high:
                raise ScheduleFault(f'{self.name} "{text}": {word[:9]} is not in {self.low}-{self.high}')
            return number
        if word not in self.names:
            known = f"{self.names[0]} to {self.names[-1]}" if self.names else f"{self.low}-{self.high}"
            raise ScheduleFault(f'{self.name} "{text}": "{word}" is not in {known}')
        return self.names.index(word) + self.low

    def _step(self, word: str, text: str) -> int:
        if not word.isdigit() or int(word[:9]) == 0:
            raise ScheduleFault(f'{self.name} "{text}": a step is a whole number of 1 or more')
        return int(word[:9])


MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY = Field("day of the month", 1, 31)
MONTH = Field("month", 1, 12, _MONTHS)
WEEKDAY = Field("day of the week", 0, 7, _DAYS)
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)


def reads_as_cron(text: str) -> bool:
    """Whether this is meant as cron's: five fields or an `@` (D36)."""
    words = text.split()
    return text.lstrip().startswith("@") or (len(words) == 5 and ":" not in text and ".." not in text)


def squeezed(values: Collection[int], field: Field) -> str:
    """The shortest usual text for a set of values: `*`, `*/15`, `1-5`, `1,3`."""
    ordered = sorted(values)
    whole = list(range(field.low, field.high + 1))
    if field is WEEKDAY:
        ordered, whole = sorted({value % 7 for value in ordered}), list(range(7))
    if ordered == whole:
        return "*"
    if len(ordered) > 2 and field in (MINUTE, HOUR):
        step = ordered[1] - ordered[0]
        if step > 1 and ordered == whole[::step]:
            return f"*/{step}"
    return ",".join(_spans(ordered))


def _spans(ordered: list[int]) -> list[str]:
    """Runs of three and more as ranges."""
    parts: list[str] = []
    start = 0
    for place, value in enumerate(ordered):
        if place + 1 < len(ordered) and ordered[place + 1] == value + 1:
            continue
        run = ordered[start : place + 1]
        parts += [f"{run[0]}-{value}"] if len(run) > 2 else [str(one) for one in run]
        start = place + 1
    return parts
