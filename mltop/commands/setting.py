"""What the config says, for a command: read once, with a fault as the lines and the code that the interface names."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys

from mltop.config.fault import Fault
from mltop.config.load import load
from mltop.config.settings import Settings
from mltop.model.snapshot import SCHEMA


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings that hold; ends with code 2 and a line a fault where the config is wrong."""
    try:
        return load(options.config)
    except Fault as fault:
        sys.stderr.write("".join(f"mltop: {line}\n" for line in fault.lines))
        if options.json:  # one document, on failure too (D18)
            errors = [{"message": line, "where": options.config, "remedy": None} for line in fault.lines]
            with contextlib.suppress(OSError):
                os.write(1, json.dumps({"schema": SCHEMA, "errors": errors}).encode() + b"\n")
        raise SystemExit(2) from None
