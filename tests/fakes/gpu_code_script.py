"""Asks many GPUs at a time, of which each fails one call with a code of its own; prints what is told of them.

The fake driver's library has to be in LD_LIBRARY_PATH before the process starts; MLTOP_FAKE_NVML names its scenario.
For each line of the input, a JSON list `[function, [code, ...]]`, one JSON line comes back: the driver, each GPU's
record, and each judgement of it that is not OK, as check and level. A function without a GPU fails for all of them.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path

import msgspec
from driver import replace_file

from mltop.checks.judge import judgements
from mltop.config.limits import Limits
from mltop.model.identity import gpu_identity
from mltop.model.snapshot import Snapshot, Status
from mltop.model.surroundings import Gap, Surroundings
from mltop.sampling.gpu.owner import GpuProbe
from mltop.sampling.gpu.patience import one_look
from mltop.sampling.root import Roots

_DEADLINE_S = 20.0


def main() -> None:
    scenario = Path(os.environ["MLTOP_FAKE_NVML"])
    for line in sys.stdin:
        function, codes = json.loads(line)
        is_of_box = function.startswith("nvmlSystem") or function in (
            "nvmlInit*",
            "nvmlShutdown",
            "nvmlDeviceGetCount*",
        )
        faults = [f"fault = {function} {'-' if is_of_box else at} {code}" for at, code in enumerate(codes) if code]
        replace_file(scenario, "\n".join([f"gpus = {len(codes)} h100", *faults, "[gpu *]", "process = 4711 9GiB", ""]))
        print(json.dumps(_told()), flush=True)


def _told() -> dict[str, object]:
    started = time.monotonic()
    probe = GpuProbe(Roots.from_environment(), None, one_look(_DEADLINE_S), for_verdict=True)
    probe.request(started)
    while (now := time.monotonic()) < started + _DEADLINE_S:
        if probe.is_fresh():
            if probe.is_whole():
                break
            probe.request(now)
        select.select(probe.filenos(), [], [], 0.05)
        probe.poll(time.monotonic())
    is_whole = probe.is_fresh() and probe.is_whole()
    readings = probe.read(time.monotonic())
    gaps = {
        name: {fact: Gap(gap.status, gap.reason or "") for fact, gap in found.items() if gap is not None}
        for name, found in probe.gaps().items()
    }
    here = Surroundings(driver_s=0.1, gaps=gaps, gpus=probe.facts())
    snapshot = Snapshot(host="box", driver=readings.driver, gpus=readings.gpus)
    names = {gpu_identity(gpu): gpu.index for gpu in readings.gpus}
    found = [
        (names.get(one.target, "driver" if not one.target else one.target), one.check, one.level and one.level.name)
        for one in judgements(snapshot, Limits(), None, here, ("gpu",))
        if one.level is None or one.level > 0
    ]
    probe.close()
    gpus = [msgspec.to_builtins(gpu) for gpu in readings.gpus]
    return {"whole": is_whole, "driver": readings.driver.status is Status.OK, "gpus": gpus, "found": found}


if __name__ == "__main__":
    main()
