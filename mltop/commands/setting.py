"""What the config says, for a command: read once, with a fault as the lines and the code that the interface names."""

from __future__ import annotations

import argparse
import sys

from mltop.config.fault import Fault
from mltop.config.load import load
from mltop.config.settings import Settings


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings that hold; ends with code 2 and a line a fault where the config is wrong."""
    try:
        return load(options.config)
    except Fault as fault:
        sys.stderr.write("".join(f"mltop: {line}\n" for line in fault.lines))
        raise SystemExit(2) from None
