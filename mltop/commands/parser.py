"""What the parsers of all commands share: one line for what is wrong, the codes, and where files are."""

from __future__ import annotations

import argparse
from enum import IntEnum
from typing import NoReturn


class ExitCode(IntEnum):
    """What a command's end means to a script."""

    DONE = 0
    """Done as asked."""
    FAILED = 1
    """Could not be done, or there is a finding."""
    USAGE = 2
    """Wrong usage or a wrong config."""


class Parser(argparse.ArgumentParser):
    """Argparse that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """End with the usage code."""
        self.exit(ExitCode.USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def common(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and `--state-dir`."""
    where = parser.add_argument_group("files")
    what = "the config (else MLTOP_CONFIG, else the user's)"
    where.add_argument("--config", metavar="FILE", type=_path, help=what)
    what = "where history is kept (else MLTOP_STATE_DIR, else the user's)"
    where.add_argument("--state-dir", metavar="DIR", type=_path, help=what)


def _path(text: str) -> str:
    """A path that history, documents and schedulers can name: they hold text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"expected a path in UTF-8, got {text!r}") from None
    return text
