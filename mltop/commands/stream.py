"""`mltop --stream`: snapshots as JSON lines on standard output."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType
from typing import NoReturn

from mltop.commands.setting import settings_of
from mltop.sampling.root import Roots
from mltop.sampling.sampler import Sampler
from mltop.sampling.stream import Stream


def run(options: argparse.Namespace) -> int:
    """Write until `--count` lines are out or the reader is gone: 0; standard output cannot be written: 1."""
    settings = settings_of(options)
    if options.host:
        from mltop.commands.remote import stream

        return stream(options, settings)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    sampler = Sampler(Roots.from_environment(), expected_gpus=settings.expect.gpus)
    try:
        control = 0 if options.control else None
        Stream(sampler, 1, options.interval or settings.ui.interval, control).run(options.count)
    except OSError as error:
        sys.stderr.write(f"mltop: standard output: {error.strerror}\n")
        return 1
    finally:
        sampler.close()
    return 0


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
