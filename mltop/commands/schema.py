"""`mltop --schema`: the JSON Schema of a snapshot."""

from __future__ import annotations

import argparse
import json

import msgspec

from mltop.commands.output import write
from mltop.model.snapshot import Snapshot


def run(options: argparse.Namespace) -> int:
    """Print it: 0; 1 where standard output cannot be written."""
    return write(json.dumps(msgspec.json.schema(Snapshot), indent=2) + "\n")
