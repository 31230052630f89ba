"""What a job runs: its own command, or mltop's private subcommand for a built-in kind (D29)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import NamedTuple

from mltop.config.job import CommandSpec, JobConfig

JOB_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Files(NamedTuple):
    """Which files the caller named, to be named to the child too."""

    config: str | None = None
    state_dir: str | None = None


def argv(job: JobConfig, files: Files) -> tuple[str, ...]:
    """The words that are executed."""
    if isinstance(job.spec, CommandSpec):
        command = job.spec.command
        return ("/bin/sh", "-c", command) if isinstance(command, str) else command
    # -P: a folder that happens to hold a mltop/ or a json.py is not where modules come from
    words = [sys.executable, "-P", "-m", "mltop", "task", job.kind, job.id]
    for option, value in (("--config", files.config), ("--state-dir", files.state_dir)):
        if value is not None:
            words += [option, os.path.abspath(value)]  # noqa: PTH100 - resolves no link
    return tuple(words)


def adhoc_id(words: Sequence[str]) -> str:
    """A stable id for a command that has none: its program's name, and what tells its arguments from others'."""
    import hashlib

    name = re.sub(r"[^a-z0-9_-]", "-", os.path.basename(words[0]).lower()).strip("-_")[:40] or "command"  # noqa: PTH119
    digest = hashlib.blake2b(repr((workdir(), *words)).encode(), digest_size=3)
    return f"{name}-{digest.hexdigest()}"


def workdir() -> str:
    """Where we stand; `(deleted)` where that folder is gone, which stops no command."""
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:
        return "(deleted)"
