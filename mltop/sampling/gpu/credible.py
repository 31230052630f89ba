"""What is credible of a driver's answers; the rest becomes "not known", with a reason (M16)."""

from __future__ import annotations

NOT_AVAILABLE = 2**64 - 1
"""NVML_VALUE_NOT_AVAILABLE, as it comes in an unsigned long long: 'N/A', no number."""
MOST_BYTES = 2**60
"""No card has an exbibyte."""
MOST_GPUS = 1024
"""No box has as many; MIG instances of one card included."""
_BLANK, _BLANK_64 = range(0x7FFFFFF0, 0x80000000), range(0x7FFFFFFFFFFFFFF0, 0x8000000000000000)
"""DCGM's ways to say "not there" (dcgm_structs.h, DCGM_INT32_BLANK and DCGM_INT64_BLANK, and those after them)."""
_PID_MAX = 2**22
"""PID_MAX_LIMIT of the kernel (include/linux/threads.h): no pid is as high."""


class Doubts:
    """Collects what was not credible in one fact."""

    def __init__(self) -> None:
        self._words: list[str] = []

    def number(self, what: str, value: float, low: float, high: float) -> bool:
        """Whether `value` lies between `low` and `high` and is no sentinel; notes it where that is not so."""
        if low <= value <= high and (value < _BLANK.start or not (value in _BLANK or value in _BLANK_64)):
            return True
        self._words.append(f"{what} out of range ({value})")
        return False

    def say(self, words: str) -> None:
        """Note something else."""
        self._words.append(words)

    def take(self) -> str | None:
        """All that was noted, in a line, and begin anew."""
        words, self._words = self._words, []
        return "; ".join(words) or None


def is_pid(pid: int) -> bool:
    """Whether `pid` can be one of a process: 0 and 4294967295 come from mixed-up structures of drivers 530 and 535."""
    return 0 < pid < _PID_MAX
