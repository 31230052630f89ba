"""GPUs whose calls did not come back, or in which a probe died: left alone for a while, then asked after all others."""

from __future__ import annotations

import math

import msgspec

from mltop.model.snapshot import Status
from mltop.sampling.gpu.patience import Patience
from mltop.sampling.gpu.progress import Call

_PAUSE = 4
"""Times what a suspect is waited for: so long the others, which wait with it, are read in peace after it."""


class Hang(msgspec.Struct):
    """A call that did not come back, or in which the probe died."""

    call: Call
    verb: str
    status: Status
    pause_s: float
    """How long its GPU is left alone after the probe is gone."""
    grace_s: float
    """How long it is waited for the next time."""
    ask_again_at: float = math.inf

    def reason(self, now: float) -> str:
        """What happened and what is next."""
        left = self.ask_again_at - now
        again = f"; asked again in {math.ceil(left)} s" if 0 < left < math.inf else ""
        return f"{self.verb} ({self.call}){again}"


class Suspects:
    """One hang a GPU, and one (of "GPU" -1) for what is of none."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._hangs: dict[int, Hang] = {}

    def __contains__(self, gpu: int | None) -> bool:
        return gpu in self._hangs

    @property
    def gpus(self) -> tuple[int, ...]:
        """Their indices."""
        return tuple(sorted(gpu for gpu in self._hangs if gpu >= 0))

    def of(self, gpu: int | None) -> Hang | None:
        """What hung in this GPU."""
        return None if gpu is None else self._hangs.get(gpu)

    def grace_s(self, gpu: int) -> float:
        """How long a call of it is left alone, where no other GPU waits to be read for the first time."""
        hang = self._hangs.get(gpu)
        return self._patience.grace_s if hang is None else hang.grace_s

    def note(self, call: Call, verb: str, status: Status, waited_s: float = math.inf) -> Hang:
        """Leave its GPU alone for a while; longer each time, but not where it was waited for briefly."""
        grace_s = self.grace_s(call.gpu)
        was_short = waited_s < grace_s
        self._hangs.pop(call.gpu, None)  # the latest one comes last
        self._hangs[call.gpu] = hang = Hang(
            call=call,
            verb=verb,
            status=status,
            pause_s=waited_s if was_short else _PAUSE * grace_s * (1 + len(self.gpus)),
            grace_s=grace_s if was_short else min(self._patience.grace_max_s, 2 * grace_s),
        )
        return hang

    def turns(self, now: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Which GPUs to skip and which to ask after all others: one at a time, the one that has waited longest."""
        due = [hang for gpu, hang in self._hangs.items() if gpu >= 0 and now >= hang.ask_again_at]
        last = (min(due, key=lambda hang: hang.ask_again_at).call.gpu,) if due else ()
        return tuple(gpu for gpu in self.gpus if gpu not in last), last

    def settle(self, skipped: tuple[int, ...]) -> None:
        """All others were asked and came back."""
        self._hangs = {gpu: hang for gpu, hang in self._hangs.items() if gpu in skipped}

    def told(self, now: float) -> tuple[Status, str] | None:
        """Of the driver: a hang before a crash, the latest first, and which other GPUs are in trouble."""
        if not self._hangs:
            return None
        first = max(self._hangs.values(), key=lambda hang: hang.status is Status.TIMEOUT)
        others = [str(gpu) for gpu in self.gpus if gpu != first.call.gpu]
        also = f"; likewise GPU {', '.join(others)}" if others else ""
        return first.status, f"{first.reason(now)}{also}"
