"""Noting what a command did to the box in `operations.jsonl`."""

from __future__ import annotations

import argparse
import sys


def noted(options: argparse.Namespace, operation: str, target: str | None, **details: str | int | None) -> None:
    """Note it in the caller's state; a note that fails is said on standard error, and changes no exit code.

    Two folders that were named need no state: nothing is made for their sake.
    """
    from mltop.config.location import state_directory
    from mltop.jobs.operation_log import note

    state = state_directory(options.state_dir)
    if options.target is not None and not (state is not None and state.is_dir()):
        return
    complaint = note(state, operation, target, **details)
    if complaint is not None:
        sys.stderr.write(f"{options.prog}: {operation}: {complaint}\n")
