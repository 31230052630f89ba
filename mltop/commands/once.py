"""`mltop --once`: one snapshot as text that fits 80 columns, or as one JSON object; 0 whatever the box's health."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

import msgspec

from mltop.commands.output import write
from mltop.commands.setting import settings_of
from mltop.config.settings import Settings
from mltop.model.snapshot import SCHEMA, Snapshot


def run(options: argparse.Namespace) -> int:
    """Print it: 0; standard output cannot be written, or `--host` cannot be reached: 1."""
    settings = Settings() if options.demo else settings_of(options)
    signal.signal(signal.SIGTERM, _end)
    taken: Snapshot | str
    if options.demo:
        from mltop.commands.demo.box import snapshot as demo

        taken = demo(time.time())
    elif options.host:
        from mltop.commands.remote import snapshot

        taken = snapshot(options, settings)
    else:
        taken = _here(settings)
    if isinstance(taken, str):
        return _refuse(options, taken)
    return write(_json(taken) if options.json else _text(taken, settings, options.host))


def _here(settings: Settings) -> Snapshot:
    from mltop.sampling.gpu.patience import Patience, one_look
    from mltop.sampling.root import Roots
    from mltop.sampling.sampler import DRIVER_PATIENCE_S, Sampler, once

    patience = one_look(DRIVER_PATIENCE_S, Patience().silence_s)
    sampler = Sampler(Roots.from_environment(), expected_gpus=settings.expect.gpus, patience=patience)
    try:
        return once(sampler)
    finally:
        sampler.close()


def _json(snapshot: Snapshot) -> str:
    return msgspec.json.encode(snapshot).decode() + "\n"


def _text(snapshot: Snapshot, settings: Settings, host: str | None) -> str:
    from mltop.checks.judge import judge
    from mltop.reports.once import text
    from mltop.system.text import clean

    remote = f"remote {clean(host, 40)} over ssh, judged by the limits here\n" if host else ""
    return text(snapshot, judge(snapshot, settings.limits)) + remote


def _refuse(options: argparse.Namespace, message: str) -> int:
    """There is no snapshot: one line for people, and for `--json` one document that says so (D18)."""
    sys.stderr.write(f"mltop: {message}\n")
    if options.json:
        error = {"message": message, "where": options.host, "remedy": None}
        write(json.dumps({"schema": SCHEMA, "errors": [error]}) + "\n")
    return 1


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
