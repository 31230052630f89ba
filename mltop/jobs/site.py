"""Who asks, on which box: whose config and state, and how a scheduler calls mltop to find the same ones (D19, D20)."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from mltop.config.location import explicit_config, state_directory, user_config
from mltop.jobs.crontab.line import Call
from mltop.jobs.user import local_user
from mltop.system.text import clean

Scope = Literal["user", "system"]


class SiteError(Exception):
    """What keeps mltop from knowing where it is; the text says what to do."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """One user's view of a box."""

    state: Path
    program: str | None
    """mltop's absolute path; `None` where it is not installed as a command."""
    config: str | None
    """The file that `--config` or MLTOP_CONFIG names, absolute."""
    user_config: str | None = None
    """The user's file, where cron's bare environment would look for it elsewhere."""
    named_state: str | None = None
    """The state's folder, where it would look elsewhere."""
    environment: dict[str, str]
    is_root: bool

    def call(self, scope: str) -> Call:
        """How a scheduler calls mltop for a job of a scope; raises SiteError where there is nothing to call."""
        if self.program is None:
            raise SiteError("mltop is not installed as a command, so no scheduler can call it: pipx install mltop")
        config = self.config or (self.user_config if scope == "user" else None)
        return Call(self.program, config, self.named_state)

    def scopes(self) -> tuple[Scope, ...]:
        """The scopes whose jobs this caller may schedule: an explicit config is the user's, for root too (D19)."""
        return ("system", "user") if self.is_root and self.config is None else ("user",)

    def calls(self) -> tuple[Call, ...]:
        """By these its lines and units are told from those of another config."""
        program = self.program or "/"
        return tuple(
            Call(program, self.config or (self.user_config if scope == "user" else None), self.named_state)
            for scope in self.scopes()
        )


def site(config: str | None = None, state: str | None = None, environment: Mapping[str, str] = os.environ) -> Site:
    """Where this process stands; raises SiteError with no home to keep state in, or one whose name is no text."""
    is_root = os.geteuid() == 0
    bare = {"HOME": local_user(environment)[1]}
    folder = _absolute(state_directory(state, environment, is_root=is_root))
    if folder is None:
        raise SiteError("no HOME to keep state in: set it, or give --state-dir")
    usual = state_directory(None, bare, is_root=is_root)
    explicit = _absolute(explicit_config(config, environment))
    own = user_config(environment)
    for path, option in ((folder, "--state-dir"), (explicit or (None if is_root else own), "--config")):
        _check_text(path, option)
    return Site(
        state=folder,
        program=program(environment),
        config=str(explicit) if explicit else None,
        user_config=str(own.absolute()) if own and own != user_config(bare) else None,
        named_state=str(folder) if folder != usual else None,
        environment=dict(environment),
        is_root=is_root,
    )


def _absolute(path: Path | None) -> Path | None:
    """A path from the root on; raises SiteError where nobody can tell."""
    try:
        return path.absolute() if path is not None else None
    except OSError:
        raise SiteError(f"{path}: the working directory is gone: name it from the root on") from None


def _check_text(path: Path | None, option: str) -> None:
    """Raise SiteError for a path that no history, document and scheduler can name."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise SiteError(f"{clean(str(path), 300)} is not UTF-8: name another by {option}") from None


def program(environment: Mapping[str, str]) -> str | None:
    """The absolute path of the `mltop` command: the one that runs now, else the interpreter's, else PATH's.

    Links are kept: a link in /usr/local/bin outlives the folder that it points to.
    """
    started = Path(sys.argv[0] if sys.argv else "")
    beside = Path(sys.executable).with_name("mltop")
    found = shutil.which("mltop", path=environment.get("PATH", ""))
    for path in (started if started.name == "mltop" and os.sep in str(started) else None, beside, found):
        if path is not None and os.access(path, os.X_OK) and Path(path).is_file():
            return str(Path(path).absolute())
    return None


def warnings(path: str) -> list[str]:
    """What may make a scheduled mltop vanish or be another's, in lines for people."""
    found = []
    parents = Path(path).resolve().parents
    if any((folder / ".git").exists() for folder in parents):
        found.append(f"{path} lies in a checkout: jobs stop when it moves")
    if any(str(folder) in ("/tmp", "/var/tmp", "/dev/shm") for folder in parents):
        found.append(f"{path} lies in a folder for temporary files: jobs stop when that is cleaned")
    for folder in parents:
        try:
            status = folder.stat()
        except OSError:
            continue
        is_open = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
        if is_open or status.st_uid not in (0, os.geteuid()):
            found.append(f"{folder} can be written by other users, and {path} lies below it")
            break
    return found
