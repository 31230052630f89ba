"""The MIG instances of one GPU: asked by their own handles, also where their parent refuses (M6)."""

from __future__ import annotations

from typing import Any

from mltop.model.snapshot import Status
from mltop.sampling.gpu.asker import Asker
from mltop.sampling.gpu.credible import MOST_BYTES, MOST_GPUS
from mltop.sampling.gpu.nvml import DriverGone, GpuLost, Missing

_MOST = 7
"""Instances on any card so far; used where the card does not tell its maximum."""


class MigDevices:
    """Keeps the handles, uuids and profiles of a card's instances, and reads their memory."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._instances: dict[int, tuple[object, str | None, str | None]] = {}
        """By place: handle, uuid, profile."""

    def handles(self) -> list[object]:
        """The handles of the instances that were there at the last look."""
        return [handle for handle, _, _ in self._instances.values()]

    def forget(self) -> None:
        """The card is not in MIG mode."""
        self._instances.clear()

    def look(self) -> None:
        """See which instances there are; uuid and profile are asked of all, for a place may have been given anew."""
        most = self._asker.maybe("nvmlDeviceGetMaxMigDeviceCount")
        found = {}
        for place in range(_MOST if most is None or most > MOST_GPUS else most):
            handle = self._asker.maybe("nvmlDeviceGetMigDeviceHandleByIndex", place)
            if handle is not None:
                uuid = self._maybe("nvmlDeviceGetUUID", handle)
                before = self._instances.get(place)
                if before is not None and before[1] == uuid:
                    found[place] = (handle, uuid, before[2])
                else:
                    found[place] = (handle, uuid, self._profile(handle))
        self._instances = found

    def read(self) -> tuple[dict[str, Any], ...]:
        """Each instance's keys of the snapshot, without its age."""
        return tuple(
            {"uuid": uuid, "profile": profile, **self._memory(handle)}
            for handle, uuid, profile in self._instances.values()
        )

    def _profile(self, handle: object) -> str | None:
        """`1g.10gb`, of a name such as `NVIDIA A100-SXM4-80GB MIG 1g.10gb`."""
        name = self._maybe("nvmlDeviceGetName", handle)
        return name.partition("MIG ")[2] or None if name else None

    def _memory(self, handle: object) -> dict[str, Any]:
        try:
            memory = self._ask_memory(handle)
        except (GpuLost, DriverGone):
            raise
        except Missing as missing:
            return {"status": missing.status, "reason": missing.reason}
        if memory.total > MOST_BYTES:
            return {"status": Status.OK, "reason": f"memory total out of range ({memory.total})"}
        used = memory.used if memory.used <= memory.total else None
        return {
            "memory_total_bytes": memory.total,
            "memory_used_bytes": used,
            "status": Status.OK,
            "reason": None if used is not None else "memory used above total",
        }

    def _ask_memory(self, handle: object) -> Any:
        try:
            return self._asker.library.ask(self._asker.index, "nvmlDeviceGetMemoryInfo_v2", handle)
        except Missing as missing:
            if missing.status is not Status.UNSUPPORTED:
                raise
        return self._asker.library.ask(self._asker.index, "nvmlDeviceGetMemoryInfo", handle)

    def _maybe(self, function: str, *arguments: object) -> Any:
        try:
            return self._asker.library.ask(self._asker.index, function, *arguments)
        except (GpuLost, DriverGone):
            raise
        except Missing:
            return None
