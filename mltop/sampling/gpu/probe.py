"""The GPU probe: the child that asks NVML, and that may hang there for ever while everybody else goes on."""

from __future__ import annotations

import gc
import math
import os
import time
from collections.abc import Iterable, Iterator

import msgspec

from mltop.model.snapshot import Status
from mltop.sampling.gpu.answer import Answer, DriverSaid, GpuSaid, ProbeFailed, Refresh, RefreshDone, Said, XidSaid
from mltop.sampling.gpu.credible import MOST_GPUS
from mltop.sampling.gpu.device import Device
from mltop.sampling.gpu.driver import absent, why_not_started
from mltop.sampling.gpu.nvml import INVALID_ARGUMENT, DriverGone, GpuLost, Library, Missing
from mltop.sampling.gpu.pci import cards_for_nvml
from mltop.sampling.gpu.progress import Progress
from mltop.sampling.host.kernel_log import KernelLog
from mltop.sampling.root import Roots
from mltop.system.descriptor import write_all
from mltop.system.process import set_name
from mltop.system.text import clean

COMM = "mltop-probe"
_UNKNOWN = 999  # NVML_ERROR_UNKNOWN
RETRY_S, RETRY_MAX_S = 5.0, 60.0
"""Back-off of a driver that does not start."""
_LOOKUP_S = 5.0
"""How often a lost GPU is looked for."""
_RECOUNT_S = 30.0
_SLOW_BUDGET_S = 1.0
"""What the slow facts of all GPUs may take in one refresh, lest the fast ones of a slow driver go stale meanwhile."""
_NO_HANDLE = Missing(INVALID_ARGUMENT, Status.ERROR, "the driver counts it, and has no such GPU")
_AT_FIRST = ("identity", "mig_mode", "mig_layout")
"""Facts that the others need: who it is, and which children to ask where it refuses."""


def serve(read_fd: int, write_fd: int, progress: Progress, roots: Roots) -> None:
    """Answer requests until their end; never returns while the driver holds it."""
    set_name(COMM)
    progress.note(-1, "starting")
    probe = Probe(write_fd, progress, roots)
    gc.freeze()
    progress.idle()
    try:
        for request in _requests(read_fd):
            probe.refresh(request)
    except Exception as error:
        probe.say(ProbeFailed(reason=clean(f"{type(error).__name__}: {error}")))
        raise


def _requests(fd: int) -> Iterator[Refresh]:
    decoder = msgspec.json.Decoder(Refresh)
    pending = b""
    while chunk := os.read(fd, 4096):
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield decoder.decode(line)


class _Card:
    """One index of NVML."""

    def __init__(self, index: int) -> None:
        from mltop.sampling.gpu.rota import Rota

        self.index = index
        self.rota = Rota(phase=index * 0.37 % 1.0)
        self.device: Device | None = None
        self.slow_at = 0.0
        """When it last had a turn of slow facts."""
        self.look_at = 0.0
        """When to look for it again, where there is no handle."""

    def is_due(self, now: float) -> bool:
        """Whether it is to be looked for now."""
        return self.device is None and now >= self.look_at


class Probe:
    """Reads all GPUs of a box, one after another, and says each as soon as it is read."""

    def __init__(self, write_fd: int, progress: Progress, roots: Roots) -> None:
        self._fd = write_fd
        self._progress = progress
        self._roots = roots
        self._encoder = msgspec.json.Encoder()
        self._log = KernelLog()
        self._library = Library(progress.note)
        self._cards: list[_Card] | None = None
        """`None` while NVML is not started."""
        self._generation = 0
        self._shape: tuple[int, tuple[str, ...]] = (0, ())
        """NVML's count and the bus's cards when NVML was started."""
        self._recount_at = 0.0
        self._retry_at = 0.0
        self._retry_s = RETRY_S

    def refresh(self, request: Refresh) -> None:
        """Answer one request."""
        self._progress.note(-1, "reading the kernel log")
        xids = tuple(self._log.new_xids())
        if xids:
            self.say(XidSaid(xids=xids))
        try:
            if self._is_started(is_brief=request.for_verdict):
                self._read_all(request)
        except Missing as gone:
            self._cards = None
            self._fail(gone)
        self.say(RefreshDone(number=request.number))

    def _is_started(self, *, is_brief: bool) -> bool:
        """Whether NVML is started; starts it, or starts it anew where the box's cards changed."""
        now = time.monotonic()
        # an index that is looked for again may be another card's by now
        if self._cards is not None and (now >= self._recount_at or any(card.is_due(now) for card in self._cards)):
            self._recount_at = now + _RECOUNT_S
            if self._count() != self._shape or not self._cards:
                self._cards = None  # NVML counts once, when it is started
        if self._cards is None and now >= self._retry_at:
            self._start(is_brief=is_brief)
        return self._cards is not None

    def _start(self, *, is_brief: bool) -> None:
        self._library.close()  # what went wrong before is told by now, should this hang
        try:
            self._library.open(is_brief=is_brief)
            self._shape = self._count()
        except Missing as missing:
            self._fail(missing)
            return
        count = self._shape[0]
        self._cards = [_Card(index) for index in range(count)]
        self._generation += 1
        self._retry_s = RETRY_S
        self._recount_at = time.monotonic() + _RECOUNT_S
        status, reason = (Status.OK, None) if count or self._shape[1] else absent(self._roots)
        self.say(
            DriverSaid(
                status=status,
                reason=reason,
                version=self._system("nvmlSystemGetDriverVersion"),
                nvml_version=self._system("nvmlSystemGetNVMLVersion"),
                cuda_version=_cuda(self._system("nvmlSystemGetCudaDriverVersion")),
                gpu_count=count,
                generation=self._generation,
            )
        )

    def _fail(self, missing: Missing) -> None:
        status, reason = why_not_started(missing, self._library, self._roots)
        self._retry_at = time.monotonic() + self._retry_s
        self._retry_s = min(RETRY_MAX_S, 2 * self._retry_s)
        self.say(DriverSaid(status=status, reason=reason, generation=self._generation))

    def _count(self) -> tuple[int, tuple[str, ...]]:
        cards = tuple(card.bus_id for card in cards_for_nvml(self._roots))
        count = int(self._library.ask(-1, "nvmlDeviceGetCount"))
        if count > MOST_GPUS:
            raise Missing(_UNKNOWN, Status.ERROR, f"it counts {count} GPUs")
        return count, cards

    def _system(self, function: str) -> str | None:
        try:
            return str(self._library.ask(-1, function))
        except DriverGone:
            raise
        except Missing:
            return None

    def _read_all(self, request: Refresh) -> None:
        """All fast facts first, so that no GPU waits for another's slow ones; then the suspects, whole."""
        wanted = [card for card in self._cards or () if card.index not in request.skip]
        suspects = [card for card in wanted if card.index in request.last]
        self._read([card for card in wanted if card not in suspects], request)
        for card in suspects:
            self._read([card], request)

    def _read(self, cards: list[_Card], request: Refresh) -> None:
        for card in cards:
            if card.device is None and not self._find(card):
                continue
            self._ask(card, card.rota.fast(time.monotonic()), is_fast=True)
        deadline = time.monotonic() + _SLOW_BUDGET_S
        for card in sorted(cards, key=lambda card: card.slow_at):
            now = time.monotonic()
            slow = ["throughput"] if request.pcie else []
            if now < deadline:
                slow += card.rota.slow(now) + (card.rota.for_verdict(now) if request.for_verdict else [])
            if card.device is not None and slow:
                card.slow_at = now
                self._ask(card, slow, deadline)

    def _find(self, card: _Card) -> bool:
        """Look for a card that has no handle, not too often; whether it is there."""
        now = time.monotonic()
        if not card.is_due(now):
            return False
        card.look_at = now + _LOOKUP_S
        try:
            handle = self._library.ask(card.index, "nvmlDeviceGetHandleByIndex", card.index)
            card.device = Device(self._library, self._roots, card.index, handle)
            answers = {fact: card.device.read(fact, now) for fact in _AT_FIRST}
        except DriverGone:
            raise
        except Missing as missing:
            self._lose(card, missing if missing.status is not Status.UNSUPPORTED else _NO_HANDLE)
            return False
        for fact, answer in answers.items():
            card.rota.done(fact, answer)
        self.say(GpuSaid(index=card.index, answers=answers))
        return True

    def _ask(self, card: _Card, facts: Iterable[str], deadline: float = math.inf, *, is_fast: bool = False) -> None:
        """Ask for facts, at least one, until `deadline`; what is left is due still."""
        if card.device is None:
            return
        answers: dict[str, Answer] = {}
        try:
            for fact in facts:
                answers[fact] = answer = card.device.read(fact, time.monotonic())
                card.rota.done(fact, answer)
                if time.monotonic() >= deadline:
                    break
        except GpuLost as lost:
            self._lose(card, lost)
            return
        self.say(GpuSaid(index=card.index, answers=answers, is_fast=is_fast))

    def _lose(self, card: _Card, missing: Missing) -> None:
        card.device = None
        card.rota.forget()
        lost = Answer(at=time.monotonic(), status=missing.status, reason=missing.reason)
        self.say(GpuSaid(index=card.index, lost=lost))

    def say(self, said: Said) -> None:
        """Write one message."""
        self._progress.idle()  # a full pipe is the owner's doing, not the driver's
        write_all(self._fd, self._encoder.encode(said) + b"\n")


def _cuda(version: str | None) -> str | None:
    """`12.4` of 12040."""
    if version is None or not version.isdecimal():
        return None
    return f"{int(version) // 1000}.{int(version) % 1000 // 10}"
