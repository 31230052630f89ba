"""The process lists of one GPU, each in one call with a buffer that is kept (D6)."""

from __future__ import annotations

import ctypes
from typing import Any

from mltop.model.snapshot import Status
from mltop.sampling.gpu.credible import MOST_BYTES, NOT_AVAILABLE, Doubts, is_pid
from mltop.sampling.gpu.nvml import (
    ARGUMENT_VERSION_MISMATCH,
    FUNCTION_NOT_FOUND,
    INSUFFICIENT_SIZE,
    NOT_FOUND,
    SUCCESS,
    Library,
    Missing,
)

Listed = dict[int, int | None]
"""pid to bytes of GPU memory, `None` where the driver does not tell."""


class _ProcessV1(ctypes.Structure):
    """nvmlProcessInfo_v1_t: drivers before 470."""

    _fields_ = (("pid", ctypes.c_uint), ("memory", ctypes.c_ulonglong))


class _ProcessV2(ctypes.Structure):
    """nvmlProcessInfo_t of the `_v2` and `_v3` functions."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("memory", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


class _Share(ctypes.Structure):
    """nvmlProcessUtilizationSample_t."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("time", ctypes.c_ulonglong),
        ("sm", ctypes.c_uint),
        ("memory", ctypes.c_uint),
        ("encoder", ctypes.c_uint),
        ("decoder", ctypes.c_uint),
    )


_VERSIONS: tuple[tuple[str, type[ctypes.Structure]], ...] = (("_v3", _ProcessV2), ("_v2", _ProcessV2), ("", _ProcessV1))
_OLDER = (FUNCTION_NOT_FOUND, ARGUMENT_VERSION_MISMATCH)
_ROOM = 64
_ROOM_MAX = 1 << 16


class ProcessLists:
    """Asks which processes hold a GPU, and what share of its SMs each had."""

    def __init__(self, library: Library, index: int, handle: object, doubts: Doubts) -> None:
        self._library = library
        self._index = index
        self._handle = handle
        self._doubts = doubts
        self._version = 0
        self._room = _ROOM
        self._buffers: dict[type[ctypes.Structure], ctypes.Array[ctypes.Structure]] = {}
        self._count = ctypes.c_uint()
        self._seen_us = 0
        self.children: list[object] = []
        """Handles of MIG instances, asked where their parent refuses."""

    def listed(self, kind: str) -> Listed:
        """The processes of a `kind` (`Compute`, `Graphics`, `MPSCompute`)."""
        try:
            return self._listed_by(kind, self._handle)
        except Missing as missing:
            if not self.children or missing.status not in (Status.NO_PERMISSION, Status.UNSUPPORTED):
                raise
        total: Listed = {}
        for child in self.children:
            for pid, memory in self._listed_by(kind, child).items():
                _add(total, pid, memory)
        return total

    def _listed_by(self, kind: str, handle: object) -> Listed:
        while True:
            suffix, shape = _VERSIONS[self._version]
            try:
                return self._read(f"nvmlDeviceGet{kind}RunningProcesses{suffix}", shape, handle)
            except Missing as missing:
                if missing.code not in _OLDER or self._version + 1 == len(_VERSIONS) or kind == "MPSCompute":
                    raise
            self._version += 1

    def _read(self, symbol: str, shape: type[ctypes.Structure], handle: object) -> Listed:
        buffer = self._fill(symbol, shape, handle)
        found: Listed = {}
        for entry in buffer[: self._count.value]:
            if not is_pid(entry.pid):
                self._doubts.say(f"a process with the pid {entry.pid}")
                continue
            memory = entry.memory if entry.memory <= MOST_BYTES else None
            if memory is None and entry.memory != NOT_AVAILABLE:
                self._doubts.say(f"memory of process {entry.pid} out of range ({entry.memory})")
            _add(found, entry.pid, memory)
        return found

    def _fill(self, symbol: str, shape: type[ctypes.Structure], handle: object, *more: object) -> Any:
        """Call once, and again with more room only where it was too little; the array, `_count` of it filled."""
        while True:
            buffer = self._buffers.get(shape)
            if buffer is None or len(buffer) < self._room:
                buffer = self._buffers[shape] = (shape * self._room)()
            self._count.value = len(buffer)
            arguments = (buffer, ctypes.byref(self._count))
            ordered = arguments if shape is _Share else arguments[::-1]
            code = self._library.ask_symbol(self._index, symbol, handle, *ordered, *more)
            if code == SUCCESS:
                return buffer
            if code != INSUFFICIENT_SIZE or self._room >= _ROOM_MAX:
                raise self._library.why_not(code)
            self._room = min(_ROOM_MAX, 2 * max(self._room, self._count.value))

    def sm_percent(self) -> dict[int, float]:
        """Mean share of the SMs by pid since the last call; a pid without samples is not in it."""
        try:
            buffer = self._fill(
                "nvmlDeviceGetProcessUtilization", _Share, self._handle, ctypes.c_ulonglong(self._seen_us)
            )
        except Missing as missing:
            if missing.code == NOT_FOUND:
                return {}
            raise
        sums: dict[int, list[int]] = {}
        for sample in buffer[: self._count.value]:
            self._seen_us = max(self._seen_us, sample.time)
            if is_pid(sample.pid) and sample.sm <= 100:
                sums.setdefault(sample.pid, []).append(sample.sm)
        return {pid: sum(shares) / len(shares) for pid, shares in sums.items()}


def _add(total: Listed, pid: int, memory: int | None) -> None:
    """Sum over the instances of a card that a process holds; one unknown part makes the sum unknown."""
    before = total.get(pid, 0)
    total[pid] = None if memory is None or before is None else before + memory
