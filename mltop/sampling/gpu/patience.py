"""How long a driver may take, and what is remembered of a call that took longer."""

from __future__ import annotations

import math

import msgspec

from mltop.model.snapshot import Status
from mltop.sampling.gpu.progress import Call


class Patience(msgspec.Struct, frozen=True):
    """How long a driver may take, in seconds."""

    silence_s: float = 1.8
    """From here on it is "not answering": just under a tick of 2 s, so that M8's 3 s are kept."""
    grace_s: float = 10.0
    """How long a stuck call is left alone before the probe is killed; doubles each time."""
    grace_max_s: float = 60.0
    start_grace_s: float = 60.0
    """The same for the start of NVML, which takes long where persistence mode is off."""
    back_off_s: float = 5.0
    """The pause before the next probe; doubles each time."""
    back_off_max_s: float = 60.0
    is_one_look: bool = False
    """Whether nobody will be there any more when it is asked again."""


_STUCK_SHARE = 0.4
"""Of the time for one look: a call of one GPU that takes longer is left, so that the others are read in the rest."""
_STEP_S = 0.1
"""The driver counts as silent so long before nobody waits for it any more."""


def one_look(limit_s: float, silence_s: float = math.inf) -> Patience:
    """The patience of who looks once and waits no longer than `limit_s`.

    After a crash or a hang in a call of one GPU the others are asked by another probe at once.
    """
    return Patience(
        silence_s=max(0.1, min(silence_s, limit_s - _STEP_S)),
        grace_s=_STUCK_SHARE * limit_s,
        start_grace_s=max(60.0, 2 * limit_s),
        back_off_s=_STEP_S / 2,
        is_one_look=True,
    )


class Hang(msgspec.Struct):
    """A call that did not come back, or in which the probe died."""

    call: Call
    verb: str
    status: Status
    pause_s: float
    """How long its GPU is left alone after the probe is gone."""
    ask_again_at: float = math.inf

    def reason(self, now: float) -> str:
        """What happened and what is next."""
        left = self.ask_again_at - now
        again = f"; asked again in {math.ceil(left)} s" if 0 < left < math.inf else ""
        return f"{self.verb} ({self.call}){again}"
