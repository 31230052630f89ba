"""`mltop --schema`: the JSON Schema of a snapshot."""

from __future__ import annotations

import argparse
import json
import sys

import msgspec

from mltop.model.snapshot import Snapshot


def run(options: argparse.Namespace) -> int:
    """Print it; always 0."""
    sys.stdout.write(json.dumps(msgspec.json.schema(Snapshot), indent=2) + "\n")
    return 0
