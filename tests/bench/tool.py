"""The monitors that are measured side by side, each at a two-second interval."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PEERS = ("nvitop", "glances", "gpustat")
"""Peers from the package index; btop and htop are the machine's own."""


@dataclass(frozen=True)
class Tool:
    """How a monitor is started, and how a first number of its is known."""

    name: str
    argv: tuple[str, ...]
    number: str
    """A regular expression for a first number on the screen."""
    once: tuple[str, ...] = ()
    """The command that prints one snapshot and ends."""
    prepare: Callable[[Path], None] = field(default=lambda home: None)
    """Writes its config in a fresh home."""


def _btop_config(home: Path) -> None:
    config = home / "config/btop/btop.conf"
    config.parent.mkdir(parents=True)
    config.write_text('update_ms = 2000\nshown_boxes = "cpu mem net proc"\n')


def environment(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """The same plain environment for all, with a home of its own."""
    config, state, cache = home / "config", home / "state", home / "cache"
    for folder in (config, state, cache):
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(config),
        "XDG_STATE_HOME": str(state),
        "XDG_CACHE_HOME": str(cache),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "COLORTERM": "truecolor",
        **extra,
    }


def install_peers(directory: Path) -> None:
    """Make the venv of the peers, once."""
    if (directory / "bin/nvitop").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    subprocess.run([str(directory / "bin/pip"), "install", "--quiet", *PEERS], check=True)


def tools(peers: Path) -> tuple[list[Tool], list[str]]:
    """All monitors that are here, mltop first; and the names of those that are not."""
    nvitop, glances, gpustat = (str(peers / "bin" / name) for name in PEERS)
    mltop = (sys.executable, "-m", "mltop")
    known = [
        Tool("mltop", (*mltop, "-i", "2"), r"\d+/ ?700 ?W|\d+C\b|\d+°C", (*mltop, "--once")),
        Tool("nvitop", (nvitop, "--interval", "2"), r"\d+W / 700W", (nvitop, "-1")),
        Tool("glances", (glances, "-t", "2", "--disable-check-update"), r"CPU\s+\d+\.\d"),
        Tool("gpustat", (gpustat, "-i", "2"), r"\d+°C", (gpustat,)),
        Tool("btop", ("btop",), r"\d+%", prepare=_btop_config),
        Tool("htop", ("htop", "-d", "20"), r"\d+\.\d%"),
    ]
    here = [tool for tool in known if shutil.which(tool.argv[0])]
    return here, [tool.name for tool in known if tool not in here]
