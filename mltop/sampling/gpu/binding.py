"""NVML's functions that mltop calls, as C declares them (nvml.h): which symbols, and what they fill in.

For one look, as `--check` takes: NVIDIA's own binding (`nvidia_binding`) defines all that NVML has, and importing it
takes a quarter of the CPU time that a verdict has.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import c_char, c_int, c_longlong, c_ubyte, c_uint, c_ulonglong
from typing import Any

import msgspec

LIBRARY = "libnvidia-ml.so.1"
FUNCTION_NOT_FOUND = 13
"""nvmlReturn_t of a library that knows a symbol whose driver does not."""


class Handle(ctypes.c_void_p):
    """A GPU or a MIG device; stays what it is, for as a plain number it would be cut to an int on its way back."""


class PciInfo(ctypes.Structure):
    """nvmlPciInfo_t of `_v3`."""

    _fields_ = (
        ("bus_id_legacy", c_char * 16),
        ("numbers", c_uint * 5),
        ("bus_id", c_char * 32),
    )


class MemoryV1(ctypes.Structure):
    """nvmlMemory_t: here `used` holds the reserved part, too."""

    _fields_ = (("total", c_ulonglong), ("free", c_ulonglong), ("used", c_ulonglong))


class MemoryV2(ctypes.Structure):
    """nvmlMemory_v2_t."""

    _fields_ = (
        ("version", c_uint),
        ("total", c_ulonglong),
        ("reserved", c_ulonglong),
        ("free", c_ulonglong),
        ("used", c_ulonglong),
    )


class Utilization(ctypes.Structure):
    """nvmlUtilization_t, in percent."""

    _fields_ = (("gpu", c_uint), ("memory", c_uint))


class Margin(ctypes.Structure):
    """nvmlMarginTemperature_v1_t, in C."""

    _fields_ = (("version", c_uint), ("margin_c", c_int))


class Violation(ctypes.Structure):
    """nvmlViolationTime_t: the reference in microseconds, the violation in nanoseconds."""

    _fields_ = (("reference_us", c_ulonglong), ("violation_ns", c_ulonglong))


class Fabric(ctypes.Structure):
    """nvmlGpuFabricInfo_v2_t."""

    _fields_ = (
        ("version", c_uint),
        ("cluster", c_ubyte * 16),
        ("status", c_uint),
        ("clique", c_uint),
        ("state", c_ubyte),
        ("health", c_uint),
    )


class SramErrors(ctypes.Structure):
    """nvmlEccSramErrorStatus_v1_t."""

    _fields_ = (
        ("version", c_uint),
        ("counts", c_ulonglong * 11),
        ("is_above_threshold", c_uint),
    )


class Field(ctypes.Structure):
    """nvmlFieldValue_t; the union's first bytes are its number, whichever of the unsigned types it has."""

    _fields_ = (
        ("field", c_uint),
        ("scope", c_uint),
        ("timestamp_us", c_longlong),
        ("latency_us", c_longlong),
        ("type", c_uint),
        ("code", c_uint),
        ("value", c_ulonglong),
    )

    @property
    def number(self) -> int | None:
        """The value of a field of an unsigned type; `None` for NVML_VALUE_NOT_AVAILABLE, all bits of which are set."""
        most = 2**64 - 1 if self.type in _LONG_TYPES else 2**32 - 1
        number = int(self.value) & most
        return None if number == most else number


_LONG_TYPES = (2, 3)
"""nvmlValueType_t: unsigned long and unsigned long long; 1 is unsigned int."""
_VERSIONS: dict[type, int] = {MemoryV2: 2, Margin: 1, Fabric: 2, SramErrors: 1}


class Signature(msgspec.Struct, frozen=True):
    """What a function fills in, and the symbols it has had, newest first (none: its own name)."""

    fills: tuple[Any, ...]
    symbols: tuple[str, ...] = ()


_NUMBER = Signature((c_uint,))
_LONG = Signature((c_ulonglong,))
_PAIR = Signature((c_uint, c_uint))
_TEXT = Signature((c_char * 96,))

FUNCTIONS: dict[str, Signature] = {
    "nvmlInit": Signature((), ("nvmlInit_v2", "nvmlInit")),
    "nvmlShutdown": Signature(()),
    "nvmlSystemGetDriverVersion": _TEXT,
    "nvmlSystemGetNVMLVersion": _TEXT,
    "nvmlSystemGetCudaDriverVersion": Signature((c_int,)),
    "nvmlDeviceGetCount": Signature((c_uint,), ("nvmlDeviceGetCount_v2", "nvmlDeviceGetCount")),
    "nvmlDeviceGetHandleByIndex": Signature((Handle,), ("nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex")),
    "nvmlDeviceGetUUID": _TEXT,
    "nvmlDeviceGetName": _TEXT,
    "nvmlDeviceGetVbiosVersion": Signature((c_char * 32,)),
    "nvmlDeviceGetPciInfo": Signature((PciInfo,), ("nvmlDeviceGetPciInfo_v3",)),
    "nvmlDeviceGetBusType": _NUMBER,
    "nvmlDeviceGetMemoryInfo": Signature((MemoryV1,)),
    "nvmlDeviceGetMemoryInfo_v2": Signature((MemoryV2,)),
    "nvmlDeviceGetUtilizationRates": Signature((Utilization,)),
    "nvmlDeviceGetTemperature": _NUMBER,
    "nvmlDeviceGetTemperatureThreshold": _NUMBER,
    "nvmlDeviceGetMarginTemperature": Signature((Margin,)),
    "nvmlDeviceGetPowerUsage": _NUMBER,
    "nvmlDeviceGetEnforcedPowerLimit": _NUMBER,
    "nvmlDeviceGetPowerManagementDefaultLimit": _NUMBER,
    "nvmlDeviceGetClockInfo": _NUMBER,
    "nvmlDeviceGetCurrentClocksEventReasons": Signature(
        (c_ulonglong,), ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
    ),
    "nvmlDeviceGetViolationStatus": Signature((Violation,)),
    "nvmlDeviceGetPerformanceState": _NUMBER,
    "nvmlDeviceGetFanSpeed": _NUMBER,
    "nvmlDeviceGetTotalEccErrors": _LONG,
    "nvmlDeviceGetMemoryErrorCounter": _LONG,
    "nvmlDeviceGetSramEccErrorStatus": Signature((SramErrors,)),
    "nvmlDeviceGetEccMode": _PAIR,
    "nvmlDeviceGetRemappedRows": Signature((c_uint, c_uint, c_uint, c_uint)),
    "nvmlDeviceGetRetiredPagesPendingStatus": _NUMBER,
    "nvmlDeviceGetCurrPcieLinkGeneration": _NUMBER,
    "nvmlDeviceGetCurrPcieLinkWidth": _NUMBER,
    "nvmlDeviceGetMaxPcieLinkGeneration": _NUMBER,
    "nvmlDeviceGetMaxPcieLinkWidth": _NUMBER,
    "nvmlDeviceGetPcieThroughput": _NUMBER,
    "nvmlDeviceGetPcieReplayCounter": _NUMBER,
    "nvmlDeviceGetNvLinkState": _NUMBER,
    "nvmlDeviceGetGpuFabricInfo": Signature((Fabric,), ("nvmlDeviceGetGpuFabricInfoV",)),
    "nvmlDeviceGetPersistenceMode": _NUMBER,
    "nvmlDeviceGetMigMode": _PAIR,
    "nvmlDeviceGetMaxMigDeviceCount": _NUMBER,
    "nvmlDeviceGetMigDeviceHandleByIndex": Signature((Handle,)),
}
"""By the name that the newest of its symbols goes by, or by that without its version."""


Answered = tuple[int, Any]
"""NVML's return code, and what was filled in: one value, a tuple of several, `None` where nothing was."""
_Call = Callable[[tuple[object, ...]], Answered]


class Binding:
    """The loaded library. Raises OSError where there is none."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(LIBRARY)
        self._found: dict[str, Any] = {}
        self._calls: dict[str, list[_Call]] = {}

    def symbol(self, name: str) -> Any:
        """The library's function of this name, `None` where it has none."""
        if name not in self._found:
            self._found[name] = getattr(self._library, name, None)
        return self._found[name]

    def call(self, function: str, arguments: tuple[object, ...]) -> Answered | None:
        """Call one of `FUNCTIONS`; `None` where this library has no symbol for it."""
        calls = self._calls.get(function)
        if calls is None:
            calls = self._calls[function] = self._prepared(function)
        answered: Answered | None = None
        for call in calls:
            answered = call(arguments)
            if answered[0] != FUNCTION_NOT_FOUND:
                break
        return answered

    def fields(self, handle: object, wanted: Sequence[tuple[int, int]]) -> Answered | None:
        """nvmlDeviceGetFieldValues of ids and their scopes, as an array of `Field`; `None` without the symbol."""
        array: Any = Field * len(wanted)
        values = array(*wanted)  # a pair fills the first two members
        call = self.symbol("nvmlDeviceGetFieldValues")
        return None if call is None else (call(handle, len(wanted), values), values)

    def words(self, code: int) -> str:
        """What the library calls an error."""
        call = self.symbol("nvmlErrorString")
        if call is None:
            return f"NVML error {code}"
        call.restype = ctypes.c_char_p
        return bytes(call(code) or b"").decode(errors="replace") or f"NVML error {code}"

    def _prepared(self, function: str) -> list[_Call]:
        signature = FUNCTIONS[function]
        symbols = [self.symbol(symbol) for symbol in signature.symbols or (function,)]
        one = signature.fills[0] if len(signature.fills) == 1 else None
        make = _number_call if one in (c_int, c_uint, c_ulonglong) else _call
        return [make(symbol, signature.fills) for symbol in symbols if symbol is not None]


def _number_call(symbol: Any, fills: tuple[Any, ...]) -> _Call:
    """Of the many that fill in one number, always at the same place."""
    number = fills[0]()
    place = ctypes.byref(number)

    def call(arguments: tuple[object, ...]) -> Answered:
        return symbol(*arguments, place), number.value

    return call


def _call(symbol: Any, fills: tuple[Any, ...]) -> _Call:
    def call(arguments: tuple[object, ...]) -> Answered:
        filled = [_empty(kind) for kind in fills]
        places: list[object] = []
        for fill in filled:
            places.append(ctypes.byref(fill))
            if isinstance(fill, ctypes.Array):  # a text: its room comes after it
                places.append(len(fill))
        code = symbol(*arguments, *places)
        values = [_plain(fill) for fill in filled]
        return code, values[0] if len(values) == 1 else tuple(values) or None

    return call


def _empty(kind: Any) -> Any:
    version = _VERSIONS.get(kind)
    return kind() if version is None else kind(version=ctypes.sizeof(kind) | version << 24)


def _plain(filled: Any) -> Any:
    return filled if isinstance(filled, ctypes.Structure | Handle) else filled.value
