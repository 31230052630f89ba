"""`mltop --check`: its command line and what each action does."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run it; `arguments` are those after its name. Returns the exit code."""
    from mltop.commands.check.command import main as run  # the rooms beside it are imported without it

    return run(arguments)
