"""A user with a crontab program of its own on PATH: the schedulers' edge, for tests that must touch no real one."""

from __future__ import annotations

import os
from pathlib import Path

from mltop.config.job import CommandSpec, JobConfig
from mltop.jobs.site import Site

CRONTAB = """
case "$1" in
-l) if [ -e "$TAB" ]; then cat "$TAB"; else echo "no crontab for tester" >&2; exit 1; fi ;;
-*) echo "crontab: not in this fake: $1" >&2; exit 9 ;;
*) [ ${#1} -lt 100 ] || { echo "$1: No such file or directory" >&2; exit 1; } # as Debian's, which cuts a path
   cp "$1" "$TAB.$$" && mv "$TAB.$$" "$TAB" ;;
esac
"""


class Box:
    """A home, a state folder, and programs that tests write themselves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.home = folder / "home"
        self.state = folder / "state"
        self.tab = folder / "tab"
        """The crontab's content."""
        for one in (self.bin, self.home):
            one.mkdir()
        self.program("crontab", CRONTAB)
        self.mltop = self.program("mltop", "exit 0")

    def program(self, name: str, text: str) -> Path:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.home), "TAB": str(self.tab), "USER": "tester"}

    def site(self, **fields: object) -> Site:
        plain = {
            "state": self.state,
            "program": str(self.mltop),
            "config": "/home/tester/mltop.toml",
            "environment": self.environment,
            "is_root": os.geteuid() == 0,
        }
        return Site(**(plain | fields))  # type: ignore[arg-type]


def command(id: str, *schedule: str, **fields: object) -> JobConfig:
    """A job that runs a command by cron."""
    plain = {
        "id": id,
        "kind": "command",
        "spec": CommandSpec(command=("true",)),
        "schedule": schedule,
        "backend": "cron",
    }
    return JobConfig(**(plain | fields))  # type: ignore[arg-type]
