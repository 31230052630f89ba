"""Which schedulers are here, told without starting a program: a manager by its socket, cron by its process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mltop.jobs.program import find
from mltop.jobs.user import local_user

_BOOTED = Path("/run/systemd/system")
_LINGER = Path("/var/lib/systemd/linger")
_DAEMONS = frozenset({"cron", "crond", "fcron", "anacron", "dcron", "bcron-sched"})


def runtime_directory(environment: Mapping[str, str]) -> Path:
    """`$XDG_RUNTIME_DIR`, which cron does not set."""
    return Path(environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}")


def manager_off(scope: str, environment: Mapping[str, str]) -> str | None:
    """Why systemd does not schedule for a scope; `None` where it does."""
    if not _BOOTED.is_dir():
        return "no systemd runs on this box"
    if find("systemctl", environment) is None:
        return "no systemctl on this box"
    if scope == "system":
        return None
    if (runtime_directory(environment) / "systemd" / "private").exists():
        return None
    return "your systemd manager is not running" + ("" if has_linger(environment) else " (linger is off)")


def has_linger(environment: Mapping[str, str]) -> bool:
    """Whether a user's manager goes on after the last log-out: without it, timers stop with the session."""
    name, _ = local_user(environment)
    return bool(name) and "/" not in name and (_LINGER / name).exists()


def cron_off(environment: Mapping[str, str]) -> str | None:
    """Why there is no cron for this user; `None` where crontab(1) is there (it may still refuse)."""
    return None if find("crontab", environment) else "no cron on this box (no crontab program)"


def cron_daemon(proc: Path = Path("/proc")) -> int | None:
    """The pid of a cron daemon; `None` where none lives. Raises OSError where processes cannot be seen."""
    with os.scandir(proc) as entries:
        for entry in entries:
            if not entry.name.isdigit():
                continue
            try:
                name = (proc / entry.name / "comm").read_bytes().strip().decode("utf-8", "replace")
            except OSError:
                continue
            if name in _DAEMONS:
                return int(entry.name)
    return None


def is_cron_running(proc: Path = Path("/proc")) -> bool:
    """Whether a cron daemon lives; systemd's generator for crontabs counts."""
    try:
        if cron_daemon(proc) is not None:
            return True
    except OSError:
        return True  # not seen is not off
    return Path("/run/systemd/generator/cron.target.wants").exists()


def backend(name: str, scope: str, environment: Mapping[str, str], *, is_root: bool) -> tuple[str | None, str | None]:
    """The scheduler that `backend = NAME` means here, and why not where there is none, or what to know of it (D27).

    `auto` is systemd where a manager runs that goes on after a log-out, else cron.
    """
    off = manager_off(scope, environment)
    if name == "systemd":
        return ("systemd" if off is None else None), off
    if name == "cron.d":
        return (
            ("cron.d", None) if is_root and scope == "system" else (None, "cron.d is for root and the system's config")
        )
    no_cron = cron_off(environment)
    if name == "cron":
        return ("cron" if no_cron is None else None), no_cron
    if off is None and (scope == "system" or has_linger(environment)):
        return "systemd", None
    if no_cron is None:
        return "cron", None
    if off is None:
        return "systemd", "its timers stop when you log out: loginctl enable-linger"
    return None, f"{no_cron}, and {off}: by hand only"
