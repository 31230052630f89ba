"""The owner of the GPU probe: asks it, waits for nothing, and says what is wrong when it does not answer (M8-M10)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection

import msgspec

from mltop.model.gpu_facts import GpuFacts
from mltop.model.snapshot import Driver, Gpu, Status
from mltop.sampling.gpu.answer import (
    FAST,
    FOR_VERDICT,
    SLOW_CADENCE_S,
    Answer,
    DriverSaid,
    GpuSaid,
    ProbeFailed,
    Refresh,
    RefreshDone,
    Said,
    XidSaid,
    overdue_s,
)
from mltop.sampling.gpu.card import Trouble
from mltop.sampling.gpu.cards import Cards
from mltop.sampling.gpu.older_probe import stuck_probes
from mltop.sampling.gpu.patience import Patience
from mltop.sampling.gpu.probe_child import ProbeChild, how_it_ended
from mltop.sampling.gpu.progress import Call
from mltop.sampling.gpu.suspects import Hang, Suspects
from mltop.sampling.root import Roots

_LONG_SHARE = 0.5
_BURIAL_S = 0.02
"""How long a probe whose output has ended may take to be gone."""
_SECOND_LOOK_S = 0.3
"""Between the two looks at another probe in state D."""


class GpuReadings(msgspec.Struct, frozen=True):
    """What is known of the driver and its GPUs. A `GpuProcess` here has a pid, its memory and its SM share only."""

    driver: Driver
    gpus: tuple[Gpu, ...]


class GpuProbe:
    """Owns at most one probe, which is started by the first request. Single-threaded; no method blocks."""

    def __init__(
        self,
        roots: Roots,
        expected: int | None = None,
        patience: Patience | None = None,
        *,
        for_verdict: bool = False,
    ) -> None:
        self._roots = roots
        self._expected = expected
        self._patience = patience or Patience()
        self._cards = Cards(roots)
        self._child: ProbeChild | None = None
        self._said: DriverSaid | None = None
        self._heard_at: float | None = None
        self._number = 0
        self._asked: Refresh | None = None
        """The request under way."""
        self._asked_at = 0.0
        self._wants = False
        self._wants_pcie = False
        self._is_for_verdict = for_verdict
        self._requested_at: float | None = None
        self._gaps_s: deque[float] = deque(maxlen=4)
        self._interval_s = max(1.0, self._patience.silence_s) if self._patience.is_one_look else 1.0
        self._suspects = Suspects(self._patience)
        self._killed_for: Hang | None = None
        """What the probe that is about to end was killed for."""
        self._start_at = 0.0
        self._back_off_s = self._patience.back_off_s
        self._trouble: Trouble | None = None
        """Why there is no probe."""
        self._in_state_d: frozenset[int] = frozenset()
        self._last_words: str | None = None

    def filenos(self) -> list[int]:
        """What to select on."""
        return [] if self._child is None else self._child.filenos()

    def request(self, now: float, pcie: bool = False) -> None:
        """Ask for a refresh, unless one is under way; starts the probe if need be."""
        if self._requested_at is not None and not self._patience.is_one_look:
            self._gaps_s.append(now - self._requested_at)  # of several: a refresh by hand is no new cadence
            self._interval_s = max(1.0, *self._gaps_s)
        self._requested_at = now
        self._wants = self._wants or self._asked is None
        self._wants_pcie = pcie
        self._cards.look_at_bus(now)
        self.poll(now)

    def poll(self, now: float) -> None:
        """Take what is there; notice an end or a hang; start, ask or kill as is due."""
        if self._child is not None:
            self._receive(self._child, now)
            self._watch(self._child, now)
            self._bury(self._child, now)
        if self._child is None and self._wants and now >= self._start_at:
            self._start(now)
        if self._child is not None and self._wants and self._asked is None and not self._child.is_killed:
            self._ask(self._child, now)

    def is_fresh(self) -> bool:
        """Whether the last request has been answered whole."""
        return self._number > 0 and self._asked is None and not self._wants

    def gaps(self) -> dict[str, dict[str, Answer | None]]:
        """What is not told of each GPU, and why; `None` where it was not asked yet, for want of time."""
        return self._cards.gaps(self._facts())

    def is_whole(self) -> bool:
        """Whether no more is to be had by asking on: every fact of every GPU was asked, but of one that hangs."""
        if self._said is not None and self._said.status is not Status.OK:
            return True
        return self._is_told_but(self._suspects.gpus)

    def _is_told_but(self, gpus: Collection[int]) -> bool:
        gaps = self._cards.gaps(self._facts(), gpus).values()
        return all(gap is not None for of_one in gaps for gap in of_one.values())

    def _facts(self) -> tuple[str, ...]:
        return (*FAST, *SLOW_CADENCE_S, *(FOR_VERDICT if self._is_for_verdict else ()))

    def facts(self) -> dict[str, GpuFacts]:
        """What a verdict wants to know of each GPU beside its record, by its uuid or bus id."""
        return self._cards.facts()

    def close(self) -> None:
        """Kill the probe and let go of it; waits for nothing."""
        if self._child is not None:
            self._child.close()
            self._child = None
        self._wants = False

    def is_silent(self, now: float) -> bool:
        """Whether the driver is not answering right now."""
        return self._silence(now) is not None

    def is_waited_for(self, now: float) -> bool:
        """Whether an answer may come soon: not from a driver that is silent, nor while it is left alone."""
        return not self.is_silent(now) and (self._child is not None or self._start_at - now < 2 * _SECOND_LOOK_S)

    def wake_at(self, now: float) -> float | None:
        """When to poll though nothing is readable: a call is overdue, a probe has to go or to come. `None`: never."""
        if self._child is None:
            return max(now, self._start_at) if self._wants else None
        if self._child.is_at_end:
            return now + _BURIAL_S
        call = self._current()
        # of the call under way and of the next one: nobody says when it begins
        if call is None:
            return None
        waits = (self._patience.silence_s, self._patience.grace_s, self._for_others_s(), self._grace_of(call))
        return min((call.since + wait for wait in waits if call.since + wait > now), default=None)

    def _start(self, now: float) -> None:
        stuck = stuck_probes(self._roots)
        seen_twice, self._in_state_d = stuck & self._in_state_d, stuck
        if stuck and not seen_twice:
            self._start_at = now + _SECOND_LOOK_S
            return
        if stuck:
            self._wait(now, Status.TIMEOUT, f"an older probe (pid {min(seen_twice)}) is stuck in the driver")
            return
        try:
            self._child = ProbeChild(self._roots)
        except OSError as error:
            self._wait(now, Status.ERROR, f"cannot start the GPU probe: {error.strerror}")

    def _wait(self, now: float, status: Status, reason: str) -> None:
        self._trouble = Trouble(status, reason)
        self._start_at = now + self._back_off_s
        self._back_off_s = min(self._patience.back_off_max_s, 2 * self._back_off_s)

    def _ask(self, child: ProbeChild, now: float) -> None:
        self._number += 1
        skip, last = self._suspects.turns(now)
        self._asked = Refresh(
            number=self._number,
            pcie=self._wants_pcie,
            for_verdict=self._is_for_verdict,
            skip=skip,
            last=last,
        )
        self._asked_at = now
        self._wants = False
        child.send(self._asked)

    def _receive(self, child: ProbeChild, now: float) -> None:
        try:
            messages = child.receive()
        except msgspec.DecodeError:
            child.kill()
            return
        for said in messages:
            self._heard_at = now
            self._take(said)

    def _take(self, said: Said) -> None:
        match said:
            case GpuSaid():
                self._cards.take(said)
            case ProbeFailed():
                self._last_words = said.reason
            case XidSaid():
                self._cards.take_xids(said)
            case DriverSaid():
                self._said = said
                self._trouble = None
                if said.gpu_count is not None:
                    self._cards.take_start(said.gpu_count)
            case RefreshDone() if self._asked is not None and said.number == self._asked.number:
                self._finish(self._asked)

    def _finish(self, asked: Refresh) -> None:
        """A whole answer: what hung is forgotten if it was asked and came back."""
        self._asked = None
        self._trouble = None
        if self._said is not None and self._said.gpu_count is not None:
            self._cards.end_of_refresh(asked.skip)
        if self._child is not None and not self._child.is_killed:
            self._suspects.settle(asked.skip)
            self._back_off_s = self._patience.back_off_s

    def _current(self) -> Call | None:
        """What is waited for."""
        if self._child is None or self._asked is None or self._child.is_at_end:
            return None
        since = max(self._asked_at, self._heard_at or 0.0)
        return self._child.current() or Call(since=since, gpu=-1, function="waiting for the probe")

    def _silence(self, now: float, share: float = 1.0) -> Call | None:
        """The call that is overdue now, if one is, or that has taken such a share of its time."""
        call = self._current()
        return call if call is not None and now - call.since >= share * self._patience.silence_s else None

    def _watch(self, child: ProbeChild, now: float) -> None:
        """Kill a probe whose call is stuck for longer than it is left alone."""
        call = None if child.is_killed else self._current()
        if call is not None and now - call.since >= (grace_s := self._grace_of(call)):
            verb = f"driver did not answer for {now - call.since:.0f} s"
            self._killed_for = self._suspect(call, verb, Status.TIMEOUT, grace_s)
            child.kill()

    def _grace_of(self, call: Call) -> float:
        """For how long a call is left alone: not for long while it keeps GPUs waiting that were never read."""
        grace_s = self._suspects.grace_s(call.gpu)
        if call.gpu < 0:
            return max(self._patience.start_grace_s, grace_s)
        if call.gpu not in self._suspects and self._keeps_waiting(call.gpu):
            return self._for_others_s()
        return math.inf if self._patience.is_one_look else grace_s

    def _for_others_s(self) -> float:
        return self._patience.grace_for_others_s(len(self._suspects.gpus))

    def _keeps_waiting(self, gpu: int) -> bool:
        """Whether there is a GPU, but this one and those that hung before, that was never read; for one look, whole."""
        but = (*self._suspects.gpus, gpu)
        return self._cards.is_any_unread(but) or (self._patience.is_one_look and not self._is_told_but(but))

    def _suspect(self, call: Call, verb: str, status: Status, waited_s: float = math.inf) -> Hang:
        """Leave its GPU alone for a while."""
        if call.gpu >= 0:
            self._cards.expect(call.gpu)
        return self._suspects.note(call, verb, status, waited_s)

    def _bury(self, child: ProbeChild, now: float) -> None:
        """Take note of an end. A killed probe that cannot end keeps its place: no second one goes in after it."""
        status = child.reap()
        if status is None:
            return
        hang, call = self._killed_for, child.current()
        how = f"the GPU probe failed: {self._last_words or how_it_ended(status)}" if hang is None else hang.verb
        if hang is None and call is not None:
            hang = self._suspect(call, how, Status.ERROR)
        self._killed_for = self._last_words = None
        child.close()
        self._child = None
        self._wants = self._wants or self._asked is not None
        self._asked = None
        trouble = Trouble(Status.ERROR if hang is None else hang.status, how if call is None else f"{how} ({call})")
        if hang is not None and hang.call.gpu >= 0:
            self._trouble, self._start_at = trouble, now  # the others need not wait: it is left alone
        else:
            self._wait(now, trouble.status, trouble.reason)
        if hang is not None:
            hang.ask_again_at = self._start_at + hang.pause_s

    def read(self, now: float, *, is_last: bool = False) -> GpuReadings:
        """What is known at `now`; `is_last`: nobody waits any longer, so what was silent for long is silent."""
        silence = self._silence(now, _LONG_SHARE if is_last else 1.0)
        driver = self._driver(now, silence)
        unlisted: Trouble | None = None
        if self._said is None:
            unlisted = Trouble(driver.status, driver.reason or "not read yet")
        elif self._said.status is Status.OK and not self._is_counted(self._said):
            unlisted = Trouble(driver.status if driver.status is not Status.OK else Status.STALE, "not read yet")
        elif self._said.status is Status.OK and self._cards.unlisted():
            unlisted = Trouble(Status.LOST, "on the PCI bus, not in the driver")
        gpus = self._cards.read(
            now, self._interval_s, lambda index: self._gpu_trouble(index, now, driver, silence), unlisted
        )
        return GpuReadings(driver, gpus)

    def _gpu_trouble(self, index: int | None, now: float, driver: Driver, silence: Call | None) -> Trouble | None:
        """Why the GPU has no new values, if that is known: it hangs, or another one or the driver does."""
        if silence is not None and index == silence.gpu:
            return Trouble(driver.status, driver.reason or "no answer")
        if (hang := self._suspects.of(index)) is not None:
            return Trouble(hang.status, hang.reason(self._counting(now)))
        if driver.status in (Status.TIMEOUT, Status.ERROR, Status.NO_PERMISSION):
            return Trouble(Status.STALE, driver.reason or "no answer")
        return None

    def _counting(self, now: float) -> float:
        """From when to count the time until it is asked again: one look is over by then."""
        return math.inf if self._patience.is_one_look else now

    def _driver(self, now: float, silence: Call | None) -> Driver:
        said = self._said
        status, reason = self._verdict(now, silence)
        return Driver(
            status=status,
            reason=reason,
            age_s=None if said is None or self._heard_at is None else max(0.0, now - self._heard_at),
            version=said.version if said else None,
            nvml_version=said.nvml_version if said else None,
            cuda_version=said.cuda_version if said else None,
            gpu_count=said.gpu_count if said else None,
            pci_count=self._cards.pci_count,
            expected_count=self._expected,
        )

    def _verdict(self, now: float, silence: Call | None) -> tuple[Status, str | None]:
        if silence is not None:
            return Status.TIMEOUT, f"driver not answering for {now - silence.since:.0f} s ({silence})"
        if self._child is None and self._trouble is not None:
            again = max(0, math.ceil(self._start_at - now))
            when = "" if self._patience.is_one_look else f"; next try in {again} s"
            return self._trouble.status, f"{self._trouble.reason}{when}"
        if (told := self._suspects.told(self._counting(now))) is not None:
            return told
        if self._said is None:
            return Status.STALE, "waiting for the driver's first answer"
        if self._said.status is Status.OK:
            stale = self._heard_at is not None and now - self._heard_at > overdue_s("", self._interval_s)
            return (Status.STALE, "no new values") if stale else (Status.OK, self._mismatch(self._said))
        return self._said.status, self._said.reason

    def _is_counted(self, said: DriverSaid) -> bool:
        """Whether every GPU that the driver counts was heard of: before, none can be said to be missing."""
        return self._cards.listed_count >= (said.gpu_count or 0)

    def _mismatch(self, said: DriverSaid) -> str | None:
        """Where the driver, the bus and the config do not count alike (M19)."""
        parts = []
        count = said.gpu_count or 0
        if self._expected is not None and count != self._expected:
            parts.append(f"{count} GPUs of {self._expected} expected")
        if self._is_counted(said) and (missing := self._cards.unlisted()):
            parts.append(f"on the PCI bus, not in the driver: {', '.join(missing)}")
        return "; ".join(parts) or None
