"""How long a driver may take."""

from __future__ import annotations

import math

import msgspec


class Patience(msgspec.Struct, frozen=True):
    """How long a driver may take, in seconds."""

    silence_s: float = 1.8
    """From here on it is "not answering": just under a tick of 2 s, so that M8's 3 s are kept."""
    grace_s: float = 10.0
    """How long a stuck call is left alone before the probe is killed; doubles each time for the same GPU."""
    grace_max_s: float = 60.0
    start_grace_s: float = 60.0
    """The same for the start of NVML, which takes long where persistence mode is off."""
    back_off_s: float = 5.0
    """The pause before the next probe; doubles each time."""
    back_off_max_s: float = 60.0
    is_one_look: bool = False
    """Whether nobody will be there any more when it is asked again."""

    def grace_for_others_s(self, hung: int) -> float:
        """How long a call of one GPU is left alone while others were never read, with so many that hung before.

        Who looks once gives each the same share of the time that is left. Who stays waits longer each time: a driver
        that is slow with every GPU is no row of hangs, and no probe is started on the heels of another.
        """
        if self.is_one_look:
            return self.grace_s * (1 - _STUCK_SHARE) ** hung
        return float(min(self.grace_s, self.silence_s * 2**hung))


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
