"""The one funnel to NVML: every call is noted before it is made, every refusal is a typed "why not"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mltop.model.gpu_facts import INFOROM_CORRUPTED, NEEDS_RESET
from mltop.model.snapshot import Status
from mltop.system.text import clean

if TYPE_CHECKING:
    from mltop.sampling.gpu.binding import Answered, Binding, Field
    from mltop.sampling.gpu.nvidia_binding import NvidiaBinding

Note = Callable[[int, str], None]
"""Told of each call before it is made: the GPU's index (-1: none) and the function."""

# nvmlReturn_t of nvml.h
SUCCESS = 0
INVALID_ARGUMENT = 2
NOT_FOUND = 6
INSUFFICIENT_SIZE = 7
LIBRARY_NOT_FOUND = 12
FUNCTION_NOT_FOUND = 13
ARGUMENT_VERSION_MISMATCH = 25

_WHY_NOT: dict[int, tuple[Status, str]] = {
    2: (Status.UNSUPPORTED, "not supported"),  # invalid argument: this card has no such thing
    3: (Status.UNSUPPORTED, "not supported"),
    4: (Status.NO_PERMISSION, "no permission"),
    6: (Status.UNSUPPORTED, "not found"),
    10: (Status.TIMEOUT, "the driver gave up waiting for the GPU"),
    13: (Status.UNSUPPORTED, "not in this driver version"),
    14: (Status.ERROR, INFOROM_CORRUPTED),
    15: (Status.LOST, "the driver lost the GPU"),
    16: (Status.ERROR, NEEDS_RESET),
    21: (Status.UNSUPPORTED, "no data"),
    22: (Status.UNSUPPORTED, "not supported"),  # of a vGPU, as the next one of a clock
    24: (Status.UNSUPPORTED, "not supported"),
    26: (Status.UNSUPPORTED, "not in this driver version"),  # deprecated
    25: (Status.UNSUPPORTED, "not in this driver version"),
    28: (Status.LOST, "the driver no longer has the GPU"),
}
_DRIVER_GONE = frozenset({1, 9, 18})
"""Uninitialized, driver not loaded, driver and library mismatch: no GPU can be asked until NVML is started anew."""


class Missing(Exception):  # noqa: N818 - an answer as good as a number
    """Why there is no value."""

    def __init__(self, code: int, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.status = status
        self.reason = reason


class GpuLost(Missing):
    """The driver lost this GPU."""


class DriverGone(Missing):
    """The driver cannot be asked at all any more."""


class Library:
    """NVML, started. `open` raises `Missing` with NVML's code where that cannot be done."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._binding: Binding | NvidiaBinding | None = None

    def open(self, *, is_brief: bool) -> None:
        """Load the library and start it; `is_brief`: for one look, which starts in a fraction of the time."""
        self._note(-1, "loading libnvidia-ml.so.1")
        if self._binding is None:
            try:
                self._binding = _brief() if is_brief else _whole()
            except OSError as error:
                raise Missing(LIBRARY_NOT_FOUND, Status.ERROR, clean(str(error), 200)) from None
        self.ask(-1, "nvmlInit")

    def close(self) -> None:
        """End NVML, so that the next `open` sees the driver afresh."""
        try:
            self.ask(-1, "nvmlShutdown")
        except Missing:
            return  # it was not started, or is gone: all the same

    def ask(self, gpu: int, function: str, *arguments: object) -> Any:
        """Call one of `binding.FUNCTIONS`; raise `Missing` for whatever keeps it from answering. Text comes clean."""
        self._note(gpu, function)
        return self._value(None if self._binding is None else self._binding.call(function, arguments))

    def fields(self, gpu: int, handle: object, wanted: Sequence[tuple[int, int]]) -> Sequence[Field]:
        """Field values of ids and scopes, in one call; each has a `code` of its own."""
        self._note(gpu, "nvmlDeviceGetFieldValues")
        values: Sequence[Field] = self._value(None if self._binding is None else self._binding.fields(handle, wanted))
        return values

    def ask_symbol(self, gpu: int, symbol: str, *arguments: object) -> int:
        """Call a function of the library whose answer is a list in the caller's own buffer; return its code."""
        self._note(gpu, symbol)
        call = None if self._binding is None else self._binding.symbol(symbol)
        if call is None:
            raise self.why_not(FUNCTION_NOT_FOUND)
        return int(call(*arguments))

    def why_not(self, code: int) -> Missing:
        """The typed reason for an NVML return code."""
        if code in _DRIVER_GONE and self._is_gone():
            return DriverGone(code, Status.ERROR, self._words(code))
        status, reason = _WHY_NOT.get(code) or (Status.ERROR, self._words(code))
        return (GpuLost if status is Status.LOST else Missing)(code, status, reason)

    def _is_gone(self) -> bool:
        """Whether other calls say so too: one that says that the driver is gone may be the only one."""
        self._note(-1, "nvmlDeviceGetCount")
        answered = None if self._binding is None else self._binding.call("nvmlDeviceGetCount", ())
        return answered is None or answered[0] in _DRIVER_GONE

    def _value(self, answered: Answered | None) -> Any:
        code, value = (FUNCTION_NOT_FOUND, None) if answered is None else answered
        if code != SUCCESS:
            raise self.why_not(code)
        return clean(value) if isinstance(value, bytes) else value

    def _words(self, code: int) -> str:
        return clean(f"NVML error {code}" if self._binding is None else self._binding.words(code)).lower()


def _brief() -> Binding:
    from mltop.sampling.gpu.binding import Binding

    return Binding()


def _whole() -> NvidiaBinding:
    from mltop.sampling.gpu.nvidia_binding import NvidiaBinding

    return NvidiaBinding()
