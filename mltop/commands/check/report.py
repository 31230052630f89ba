"""Which report `mltop --check` writes."""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltop.model.snapshot import Snapshot
    from mltop.model.surroundings import Surroundings
    from mltop.model.verdict import Verdict


def format_of(options: argparse.Namespace) -> str:
    """The format that was asked for."""
    return "json" if options.json else str(options.format or "human")


def report(made: Verdict, snapshot: Snapshot, surroundings: Surroundings, options: argparse.Namespace) -> str:
    """The verdict as text; imports its format only."""
    match format_of(options):
        case "json":
            from mltop.reports import json

            return json.text(made)
        case "nagios":
            from mltop.reports import nagios

            return nagios.text(made, options.verbose, limit_s=options.timeout)
        case "prometheus":
            from mltop.reports import prometheus

            return prometheus.text(made, snapshot, surroundings)
        case "checkmk":
            from mltop.reports import checkmk

            return checkmk.text(made)
    from mltop.reports import human

    return human.text(made, options.verbose, color=_has_colors(options))


def prepare(options: argparse.Namespace) -> None:
    """Import the format's module ahead, while there is something to wait for."""
    import_module(f"mltop.reports.{format_of(options)}")


def _has_colors(options: argparse.Namespace) -> bool:
    if options.no_color or options.output or os.environ.get("NO_COLOR"):
        return False
    return os.isatty(1) and os.environ.get("TERM", "") not in ("", "dumb")
