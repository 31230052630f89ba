"""The config, typed: what holds when every file has been read. Defaults are those of no config at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from mltop.config.event_path import PATTERN
from mltop.config.limits import Limits
from mltop.config.service import Checks, Services

Theme = Annotated[Literal["terminal", "dark", "light"], msgspec.Meta(description='"terminal", "dark" or "light"')]
Interval = Annotated[float, msgspec.Meta(ge=0.25, le=3600, description="a number >= 0.25 (seconds, at most 3600)")]
Graphs = Annotated[Literal["braille", "block", "ascii"], msgspec.Meta(description='"braille", "block" or "ascii"')]
Pane = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Mount = Annotated[str, msgspec.Meta(pattern="^/", max_length=4096)]
Port = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Gbit = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Count = Annotated[int, msgspec.Meta(ge=0, le=4096, description="a whole number >= 0")]


class Ui(msgspec.Struct, frozen=True, kw_only=True):
    """`[ui]`: how the dashboard looks."""

    theme: Theme = "terminal"
    interval: Interval = 2.0
    """Seconds between two samples."""
    graphs: Graphs = "braille"
    hidden: Annotated[tuple[Pane, ...], msgspec.Meta(description="a list of panes")] = ()
    """Panes that are not shown at first."""


class Expect(msgspec.Struct, frozen=True, kw_only=True):
    """`[expect]`: what this box must have."""

    gpus: Count | None = None
    mounts: Annotated[tuple[Mount, ...], msgspec.Meta(description="a list of absolute paths")] = ()
    links: Annotated[tuple[Port, ...], msgspec.Meta(description="a list of network ports")] = ()
    """Interfaces (`eth0`) and InfiniBand ports (`mlx5_0/1`) that must be up."""
    link_gbit: Annotated[
        Mapping[Port, Gbit], msgspec.Meta(description="a table of network ports and their Gbit/s, above 0")
    ] = {}
    """The rate that such a port must have come up with, at least."""


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """`[remote]`: how `--host` reaches another box."""

    ssh_command: Annotated[str, msgspec.Meta(min_length=1, description="a command")] | None = None
    """How mltop is called over there, where a login shell's PATH does not find it."""


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """`[log]`: what is noted beside the history."""

    events: (
        Annotated[str, msgspec.Meta(pattern=PATTERN, max_length=4096, description="an absolute path, or one from ~/")]
        | None
    ) = None
    """A file that gets a line of JSON for each run and each verdict."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All that mltop is told by its config files."""

    version: Annotated[Literal[1], msgspec.Meta(description="1")] = 1
    ui: Ui = Ui()
    expect: Expect = Expect()
    limits: Limits = Limits()
    remote: Remote = Remote()
    log: Log = Log()
    services: Services = Services()
    checks: Checks = Checks()
    files: tuple[str, ...] = ()
    """The files that were read, the later over the earlier."""
