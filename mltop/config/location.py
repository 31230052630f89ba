"""Where files live. Pure look-ups: nothing is created, and no name service is asked (it may hang)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

SYSTEM_CONFIG = Path("/etc/mltop/config.toml")
SYSTEM_STATE = Path("/var/lib/mltop")
_MACHINE_ID = Path("/etc/machine-id")


def user_config(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The user's config file: `$XDG_CONFIG_HOME/mltop/config.toml`; `None` with neither that nor a HOME."""
    base = _base(environment, "XDG_CONFIG_HOME", ".config")
    return base / "mltop" / "config.toml" if base else None


def explicit_config(option: str | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file named by `--config`, else by `MLTOP_CONFIG`; `None` where neither names one."""
    named = option or environment.get("MLTOP_CONFIG")
    return Path(named) if named else None


def own_config(
    option: str | None = None, environment: Mapping[str, str] = os.environ, *, is_root: bool | None = None
) -> Path | None:
    """The file that new settings and jobs go into: the one named, else root's is the system's, else the user's."""
    if explicit := explicit_config(option, environment):
        return explicit
    return SYSTEM_CONFIG if (os.geteuid() == 0 if is_root is None else is_root) else user_config(environment)


def state_directory(
    option: str | None = None, environment: Mapping[str, str] = os.environ, *, is_root: bool | None = None
) -> Path | None:
    """Where history and other state belong (D20); `None` with no HOME to put it under.

    `--state-dir` and `MLTOP_STATE_DIR` are used as named, from the root on: a log is looked for from elsewhere.
    Root's is the system's; a user's has a folder a machine, because homes are shared between machines.
    """
    named = option or environment.get("MLTOP_STATE_DIR")
    if named:
        return _absolute(Path(named))
    if os.geteuid() == 0 if is_root is None else is_root:
        return SYSTEM_STATE
    base = _base(environment, "XDG_STATE_HOME", ".local/state")
    return base / "mltop" / machine_id() if base else None


def machine_id(path: Path = _MACHINE_ID) -> str:
    """The machine's id, else its host name, as a name for a folder."""
    try:
        text = path.read_text("ascii", "replace").strip()
    except OSError:
        text = ""
    return text if re.fullmatch(r"[0-9a-f]{32}", text) else re.sub(r"[^A-Za-z0-9._-]", "_", os.uname().nodename) or "_"


def _absolute(path: Path) -> Path:
    try:
        return path.absolute()
    except OSError:  # the working directory is gone
        return path


def _base(environment: Mapping[str, str], variable: str, below_home: str) -> Path | None:
    """A base folder by the XDG rules: a relative path is ignored."""
    named = environment.get(variable, "")
    if named.startswith("/"):
        return Path(named)
    home = environment.get("HOME", "")
    return Path(home) / below_home if home.startswith("/") else None
