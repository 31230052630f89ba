"""The one funnel to NVML, over `pynvml`: every call is noted before it is made, every refusal is a typed "why not".

Only the probe imports this at run time: `pynvml` is loaded when a `Library` is opened.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from mltop.model.snapshot import Status
from mltop.system.text import clean

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
    14: (Status.ERROR, "the card's InfoROM is corrupted"),
    15: (Status.LOST, "the driver lost the GPU"),
    16: (Status.ERROR, "needs a reset (nvidia-smi --gpu-reset)"),
    21: (Status.UNSUPPORTED, "no data"),
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
        self._nvml: Any = None
        self._error: type[Exception] = OSError

    def open(self) -> None:
        """Load the library and start it."""
        self._note(-1, "loading libnvidia-ml.so.1")
        try:
            ctypes.CDLL("libnvidia-ml.so.1")  # before pynvml: a box without it need not pay for that import
        except OSError:
            raise self.why_not(LIBRARY_NOT_FOUND) from None
        import pynvml

        self._nvml = pynvml
        self._error = pynvml.NVMLError
        self.ask(-1, "nvmlInit")

    def close(self) -> None:
        """End NVML, so that the next `open` sees the driver afresh."""
        try:
            self.ask(-1, "nvmlShutdown")
        except Missing:
            return  # it was not started, or is gone: all the same

    def ask(self, gpu: int, function: str, *arguments: object) -> Any:
        """Call `pynvml.<function>`; raise `Missing` for whatever keeps it from answering."""
        call = getattr(self._nvml, function, None)
        if call is None:
            raise self.why_not(FUNCTION_NOT_FOUND)
        self._note(gpu, function)
        try:
            return call(*arguments)
        except self._error as error:
            raise self.why_not(getattr(error, "value", 999)) from None
        except UnicodeDecodeError as error:
            return clean(error.object)  # a name that is no UTF-8: pynvml decodes before one can look

    def ask_symbol(self, gpu: int, symbol: str, *arguments: object) -> int:
        """Call a function of the library itself, where pynvml would call twice or allocate; return its code."""
        self._note(gpu, symbol)
        try:
            call = self._nvml._nvmlGetFunctionPointer(symbol)
        except self._error:
            raise self.why_not(FUNCTION_NOT_FOUND) from None
        return int(call(*arguments))

    def why_not(self, code: int) -> Missing:
        """The typed reason for an NVML return code."""
        if code in _DRIVER_GONE:
            return DriverGone(code, Status.ERROR, self._words(code))
        status, reason = _WHY_NOT.get(code) or (Status.ERROR, self._words(code))
        return (GpuLost if status is Status.LOST else Missing)(code, status, reason)

    def _words(self, code: int) -> str:
        known = getattr(self._error, "_errcode_to_string", {})
        return clean(str(known.get(code, f"NVML error {code}"))).lower()
