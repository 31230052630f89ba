"""Drives a `GpuProbe` as a sampler would, in a process of its own: prints its readings, one JSON line a tick.

The library of the fake driver has to be in LD_LIBRARY_PATH before the process starts. Ends when its input ends.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time

import msgspec

from mltop.sampling.gpu.owner import GpuProbe
from mltop.sampling.gpu.patience import Patience
from mltop.sampling.root import Roots


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--interval", type=float, default=0.1)
    parser.add_argument("--expected", type=int)
    parser.add_argument("--pcie", action="store_true")
    parser.add_argument("--patience", type=msgspec.json.Decoder(Patience).decode, default=Patience())
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    probe = GpuProbe(Roots.from_environment(), options.expected, options.patience)
    encoder = msgspec.json.Encoder()
    tick = time.monotonic()
    while True:
        probe.request(time.monotonic(), options.pcie)
        tick = max(tick + options.interval, time.monotonic() + 0.001)  # the end of its input is seen on a busy box too
        while (left := tick - time.monotonic()) > 0:
            readable, _, _ = select.select([0, *probe.filenos()], [], [], left)
            if 0 in readable and not os.read(0, 1):
                probe.close()
                return
            probe.poll(time.monotonic())
        now = time.monotonic()
        readings = _plain(probe, now)
        os.write(1, encoder.encode({"fresh": probe.is_fresh(), "took": time.monotonic() - now, **readings}))
        os.write(1, b"\n")


def _plain(probe: GpuProbe, now: float) -> dict[str, object]:
    readings = probe.read(now)
    return {"driver": readings.driver, "gpus": readings.gpus, "modules": "mltop.sampling.gpu.binding" in sys.modules}


if __name__ == "__main__":
    main()
