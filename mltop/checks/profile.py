"""Profiles: whose limits hold, what is asked for or left out, and what the exit code says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from mltop.checks.judgement import Judgement
from mltop.checks.service.unit import Expectation
from mltop.config.limit import Limit, Range
from mltop.config.limits import TABLE, Limits
from mltop.model.finding import Level
from mltop.model.verdict import EXIT_CODES, State

_CHECKPOINT = 70 * 10**9 * 16
"""Bytes of one checkpoint of a 70B model: Adam in mixed precision keeps 16 a parameter (ZeRO, arXiv 1910.02054)."""


class Blocking(msgspec.Struct, frozen=True):
    """What is a WARNING elsewhere and CRITICAL in a profile."""

    check: str
    words: str
    """What of it, for a reader."""
    reason: str | None = None
    """`None`: whatever its reason."""
    xids: frozenset[int] = frozenset()
    """Of `gpu.xid`: these codes only."""

    def holds(self, one: Judgement) -> bool:
        """Whether a judgement is of this kind."""
        if one.check != self.check or (self.reason is not None and one.reason != self.reason):
            return False
        return not self.xids or (one.data or {}).get("xid") in self.xids


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. The config's own limits go over a profile's."""

    words: str
    """What it is for."""
    limits: Mapping[str, Limit] = {}
    units: Expectation = "usual"
    """How docker and ssh are expected."""
    off: tuple[str, ...] = ()
    """Checks that say nothing there; `--only` has them all the same."""
    blocking: tuple[Blocking, ...] = ()
    needs_facilities: bool = False
    """What cannot be looked at for want of a facility or a permission is UNKNOWN, as if `--only` had named it."""
    unknown_as: State = State.UNKNOWN
    exit_code: Callable[[State], int] = EXIT_CODES.__getitem__


def _limit(
    check: str, warn: float | None = None, crit: float | None = None, free: tuple[int, int] | None = None
) -> Limit:
    """A limit in the check's own direction, with no way back: a run of its own remembers nothing."""
    direction = TABLE[check].direction
    ends = [None if number is None else Range.from_number(number, direction) for number in (warn, crit)]
    warn_free, crit_free = free or (None, None)
    return Limit(warn=ends[0], crit=ends[1], unless_free=warn_free, unless_free_crit=crit_free)


_SEED = Profile(
    words="the limits and the exit rule of the old script: 1 for CRITICAL, else 0",
    limits={
        "cpu.load": _limit("cpu.load", 80),
        "mem.available": _limit("mem.available", 10),
        "disk.space": _limit("disk.space", 85),
        "gpu.mem": _limit("gpu.mem", 95),
        "gpu.temp": _limit("gpu.temp", 85),
    },
    units="must",
    exit_code=lambda state: 1 if state is State.CRITICAL else 0,
)
_GATE = Profile(
    words="before a job: what is not known blocks it, and so does what a reset between two jobs would mend",
    # GCM, Azure's checks and gpud keep such a node from work; at a prolog the GPU is idle, so it can be reset
    blocking=(
        Blocking("gpu.row_remap", "a row remap that is pending", reason="pending"),
        Blocking("gpu.retired_pages", "page retirement that is pending", reason="pending"),
        # the driver itself asks that peer-to-peer traffic be drained: DCGM warns, NVML's enum names it
        Blocking("gpu.recovery_action", "what the driver asks to be drained", reason="recovery"),
        # NVIDIA's Xid catalogue: both end with a reset of the GPU
        Blocking("gpu.xid", "Xids 63 and 94", xids=frozenset({63, 94})),
    ),
    needs_facilities=True,
    unknown_as=State.CRITICAL,
)
_INFERENCE = Profile(
    words="a box that serves models: what makes answers late counts sooner",
    limits={
        # the USE method: more than one runnable a CPU is saturation, and a request that waits is late
        "cpu.load": _limit("cpu.load", 100),
        # our judgement: processes wait for a CPU one second in five
        "cpu.psi": _limit("cpu.psi", 20),
        # our judgement: what was swapped out answers seconds late
        "mem.swap": _limit("mem.swap", 25, 75),
        # our judgement: a health page that takes a second is no sign of health
        "api": _limit("api", 1),
    },
    # a server that waits for requests holds its memory by design
    off=("gpu.idle_waste",),
)
_TRAINING = Profile(
    words="a box that trains: busy CPUs are meant, checkpoints and data loaders need room",
    limits={
        # data loaders are there to keep every CPU busy, and those that wait for a disk count in the load too
        "cpu.load": Limit(),
        "cpu.psi": _limit("cpu.psi", 90),
        # our judgement, twice the usual: data is read all the time
        "io.psi": _limit("io.psi", 40, 80),
        # our judgement; PyTorch's workers die of a bus error when it is full: pytorch#5040
        "disk.shm": _limit("disk.shm", 60, 80),
        # room for two more checkpoints, or for one
        "disk.space": _limit("disk.space", 85, 95, (2 * _CHECKPOINT, _CHECKPOINT)),
    },
)
_DESKTOP = Profile(
    words="a workstation with a screen: its habits are no faults",
    limits={
        # a build with one job a CPU, beside everything else
        "cpu.load": _limit("cpu.load", 400),
        # our judgement: what is free counts on a disk of its size
        "disk.space": _limit("disk.space", 90, 97, (100 << 30, 20 << 30)),
        # systemd-oomd acts at 90 % (oomd.conf(5), SwapUsedLimit)
        "mem.swap": _limit("mem.swap", 90, 98),
    },
    # its screen keeps the driver loaded, a game that is paused holds its memory, its cable comes and goes
    off=("gpu.persistence", "gpu.idle_waste", "net.link"),
)
PROFILES: Mapping[str, Profile] = {
    "default": Profile(words="any box"),
    "seed": _SEED,
    "gate": _GATE,
    "inference": _INFERENCE,
    "training": _TRAINING,
    "desktop": _DESKTOP,
}


def named(name: str) -> Profile:
    """The profile of a name; raises ValueError that says which there are and which is meant."""
    if name in PROFILES:
        return PROFILES[name]
    from difflib import get_close_matches  # only needed where something is wrong

    close = get_close_matches(name, PROFILES, 1, 0.5)
    guess = f"; did you mean {close[0]}?" if close else ""
    raise ValueError(f"no profile is called {name!r}: {', '.join(PROFILES)}{guess}")


def limits_of(profile: Profile, limits: Limits) -> Limits:
    """A profile's limits, with the config's over them."""
    return msgspec.structs.replace(limits, configured={**profile.limits, **limits.configured})


def raised(profile: Profile, judgements: Iterable[Judgement]) -> Iterator[Judgement]:
    """The judgements, with what blocks in this profile CRITICAL."""
    for one in judgements:
        if one.level is Level.WARNING and any(blocking.holds(one) for blocking in profile.blocking):
            yield msgspec.structs.replace(one, level=Level.CRITICAL)
        else:
            yield one


def changes(profile: Profile, check: str) -> str | None:
    """What a profile changes of one check, beside its limits, in words; `None` where it changes nothing."""
    words = ["off"] if check in profile.off else []
    words += [f"{blocking.words}: CRITICAL" for blocking in profile.blocking if blocking.check == check]
    if check == "svc.unit" and profile.units == "must":
        words.append("docker and ssh must be there")
    return ", ".join(words) or None
