"""NVML by NVIDIA's own binding, `pynvml`, for whoever lives long: the dashboard, a stream.

It defines all that NVML has and follows its versions; its import takes a quarter of the CPU time that a verdict has,
which therefore takes `binding`. Both answer alike.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from mltop.sampling.gpu.binding import FUNCTION_NOT_FOUND, LIBRARY, Answered, Binding, Field, Margin, PciInfo


class NvidiaBinding:
    """The loaded library. Raises OSError where there is none."""

    def __init__(self) -> None:
        ctypes.CDLL(LIBRARY)  # a box without it need not pay for the import
        import pynvml

        self._nvml: Any = pynvml
        self._refused: type[Exception] = pynvml.NVMLError
        self._older: Binding | None = None

    def symbol(self, name: str) -> Any:
        """The library's function of this name, `None` where it has none."""
        try:
            return self._nvml._nvmlGetFunctionPointer(name)
        except self._refused:
            return None

    def call(self, function: str, arguments: tuple[object, ...]) -> Answered | None:
        """Call a function of `binding.FUNCTIONS`; `None` where this library has no symbol for it."""
        if function == "nvmlDeviceGetMemoryInfo_v2":
            return self._made(function, "nvmlDeviceGetMemoryInfo", (*arguments, self._nvml.nvmlMemory_v2))
        answered = self._made(function, function, arguments)
        if answered is None or answered[0] == FUNCTION_NOT_FOUND:
            return self._ask_older(function, arguments)
        return answered

    def _ask_older(self, function: str, arguments: tuple[object, ...]) -> Answered | None:
        """Ask by the symbols of earlier drivers: pynvml knows the newest only."""
        if self._older is None:
            self._older = Binding()
        return self._older.call(function, arguments)

    def fields(self, handle: object, wanted: Sequence[tuple[int, int]]) -> Answered | None:
        """Field values of ids and their scopes, as `Field`."""
        answered = self._made("", "nvmlDeviceGetFieldValues", (handle, list(wanted)))
        if answered is None or answered[1] is None:
            return answered
        return answered[0], [Field.from_buffer_copy(value) for value in answered[1]]

    def words(self, code: int) -> str:
        """What the library calls an error."""
        try:
            return str(self._nvml.nvmlErrorString(code))
        except self._refused:
            return f"NVML error {code}"

    def _made(self, function: str, name: str, arguments: tuple[object, ...]) -> Answered | None:
        call = getattr(self._nvml, name, None)
        if call is None:
            return None
        try:
            value = call(*arguments)
        except self._refused as refusal:
            return int(getattr(refusal, "value", 999)), None
        except UnicodeDecodeError as error:  # pynvml decodes before one can look
            return 0, bytes(error.object)
        return 0, _SHAPES.get(function, _plain)(value)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()
    return tuple(value) if isinstance(value, list) else value


_SHAPES: dict[str, Callable[[Any], Any]] = {
    "nvmlDeviceGetPciInfo": PciInfo.from_buffer_copy,
    "nvmlDeviceGetMarginTemperature": lambda value: value if hasattr(value, "margin_c") else Margin(margin_c=value),
}
"""Where `binding` names the parts of an answer otherwise."""
