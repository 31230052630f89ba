"""The one table of limits: the dashboard, the verdict, alerts and rules all take theirs from here.

Where a number comes from stands beside it. A check that needs no number (a lost GPU, a stuck mount) has no row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from mltop.config.limit import Direction, Limit, Range
from mltop.config.quantity import duration_s, size_bytes

GIB = 1 << 30


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What a limit's numbers mean, and its default."""

    unit: str
    direction: Direction = "high"
    is_momentary: bool = False
    """One look says nothing: it has to last for `for` before it counts."""
    limit: Limit = Limit()


def _row(
    unit: str,
    direction: Direction = "high",
    *,
    warn: float | None = None,
    crit: float | None = None,
    clear: float | None = None,
    clear_crit: float | None = None,
    for_s: float = 0.0,
    free: tuple[int | None, int | None] = (None, None),
    momentary: bool = False,
) -> Row:
    def ranged(number: float | None) -> Range | None:
        return None if number is None else Range.from_number(number, direction)

    limit = Limit(
        warn=ranged(warn),
        crit=ranged(crit),
        clear=ranged(clear),
        clear_crit=ranged(clear_crit),
        for_s=for_s,
        unless_free=free[0],
        unless_free_crit=free[1],
    )
    return Row(unit=unit, direction=direction, is_momentary=momentary, limit=limit)


TABLE: Mapping[str, Row] = {
    # Netdata 90/98 with clear 80/90; node mixin < 5 %/< 3 %; Kubernetes nodefs 10 %; a TB-sized disk has time left
    "disk.space": _row("%", warn=85, crit=95, clear=80, clear_crit=90, for_s=300, free=(500 * GIB, 100 * GIB)),
    # Netdata 90/98, node mixin < 5 %/< 3 % free
    "disk.inodes": _row("%", warn=90, crit=97, clear=80, clear_crit=90),
    # hours until it is full: node mixin < 24 h with < 40 % available, < 4 h with < 20 %
    "disk.eta": _row("h", "low", warn=24, crit=4, clear=30, clear_crit=6),
    # of its rated life: GCM 80/100, our steps are whole; temperature: awesome-prometheus-alerts 60/70
    "disk.smart": _row("%", warn=81, crit=101),
    "disk.smart.temp": _row("C", warn=61, crit=71, clear=58, clear_crit=68),
    # full avg60: our judgement
    "io.psi": _row("%", warn=20, crit=60, clear=15, clear_crit=50),
    # data loaders die of a bus error when it is full: pytorch#5040
    "disk.shm": _row("%", warn=80, crit=95, clear=75, clear_crit=90),
    # node mixin 90 % for 15 m, Netdata < 10 clear 15
    "mem.available": _row("%", "low", warn=10, crit=4, clear=15, clear_crit=6, for_s=300),
    # full avg10, standing in for avg60; systemd-oomd kills at 60 % for 30 s
    "mem.psi": _row("%", warn=5, crit=60, clear=3, for_s=60, momentary=True),
    # Netdata 90/98, awesome-prometheus-alerts 80
    "mem.swap": _row("%", warn=80, crit=95, clear=70, clear_crit=90),
    # node mixin: 2 per CPU for 15 m; Netdata 200 clear 175; the value is the load of 15 minutes already
    "cpu.load": _row("% of the CPUs", warn=200, clear=175),
    # some avg10, standing in for avg300
    "cpu.psi": _row("%", warn=60, clear=50, for_s=300, momentary=True),
    # no default in C: what is too hot differs by CPU; its own throttling says it
    "cpu.thermal": _row("C", for_s=300),
    # a share of the time since the last run for which it slowed itself down: our judgement, as for GPUs
    "cpu.thermal.share": _row("% of the time", warn=2),
    # without having been on a CPU: GCM 300 s, gpud five looks a minute apart
    "proc.dstate": _row("s", warn=300),
    # gpud
    "proc.zombie": _row("processes", warn=1000, crit=2000, for_s=300),
    "proc.zombie.share": _row("% of the pids", warn=20, crit=80, for_s=300),
    # node mixin 70/90 for 15 m; gpud 80/95
    "proc.fds": _row("%", warn=70, crit=90, for_s=900),
    # gpud 80/95, Netdata 90/95
    "proc.pids": _row("%", warn=80, crit=95),
    # node mixin: 50 ms for 10 m
    "time.sync": _row("s", warn=0.05, for_s=600),
    # of the packets within an hour: node mixin
    "net.link": _row("%", warn=1),
    # within a day: Azure
    "net.link.losses": _row("losses", warn=5),
    # below the temperature at which the card slows itself down; gpud's margin logic
    "gpu.temp_margin": _row("C", "low", warn=5, crit=2, clear=8, clear_crit=4, for_s=120),
    # where the card names no limit of its own
    "gpu.temp": _row("C", warn=85, crit=90, clear=82, clear_crit=88, for_s=120),
    # below the card's own maximum for its memory: gpud, DCGM's temperature violation
    "gpu.temp_mem.margin": _row("C", "low", warn=5, crit=-1, clear=8, clear_crit=2, for_s=120),
    # where the card names no maximum: HBM and GDDR6X differ by 15 C
    "gpu.temp_mem": _row("C"),
    # thermal, slowdown and power-brake bits: nvidia_gpu_exporter's rules 5 m
    "gpu.throttle": _row("", for_s=300),
    # of the time since the last run; CRITICAL for the hardware's own: our judgement
    "gpu.throttle.share": _row("% of the time", warn=2, crit=10),
    # volatile: DCGM FAIL, GCM 0; aggregate: worth knowing
    "gpu.ecc_uncorrected": _row("errors", warn=1, crit=1),
    # Azure 20 000 000, GCM 50 000 000
    "gpu.ecc_corrected": _row("errors", warn=20_000_000),
    # of SRAM: Azure 10 000
    "gpu.ecc_corrected.sram": _row("errors", warn=10_000),
    # for uncorrectable errors: DCGM
    "gpu.row_remap": _row("rows", warn=512),
    # DCGM: more than 15 for double-bit errors while they grow, 63 in all
    "gpu.retired_pages": _row("pages", warn=16, crit=63),
    # of the card's own maximum; below half is a broken slot or riser, half is often the board's wiring
    "gpu.pcie_width": _row("% of the maximum", "low", warn=99, crit=49),
    # none: by the speed of the link, DCGM's formula
    "gpu.pcie_replay": _row("replays a minute"),
    # DCGM
    "gpu.nvlink.crc": _row("CRC errors/s", warn=100),
    # registering takes its time after a boot: our judgement
    "gpu.fabric": _row("", for_s=120, momentary=True),
    # memory that no process owns; GCM's idea
    "gpu.mem_orphan": _row("bytes", warn=GIB, for_s=300, momentary=True),
    # off: vLLM takes 90 % and JAX 75 % by design
    "gpu.mem": _row("%"),
    # a service that takes longer to answer is in trouble, whatever it answers
    "api": _row("s", warn=2),
    "redis": _row("s", warn=2),
    "pg": _row("s", warn=2),
    "tcp": _row("s", warn=2),
    "docker": _row("s", warn=2),
    # of maxmemory, where a full one refuses writes; awesome-prometheus-alerts, Netdata
    "redis.memory": _row("%", warn=90, clear=85),
    # of maxclients; awesome-prometheus-alerts
    "redis.clients": _row("%", warn=90, clear=85),
    # in 5 minutes; awesome-prometheus-alerts
    "redis.rejected": _row("connections", warn=1),
    # requests run and no token is made: vllm-project/vllm#36451
    "api.stalled": _row("s", warn=60),
    # until it ends, of one that is due to be renewed; awesome-prometheus-alerts' of the blackbox exporter
    "api.certificate": _row("days", "low", warn=20, crit=3),
    "redis.certificate": _row("days", "low", warn=20, crit=3),
    # in 5 minutes; node mixin
    "svc.unit.restarts": _row("restarts", warn=3),
    # of max_connections; Netdata 80/90
    "pg.connections": _row("%", warn=80, crit=90, clear=70, clear_crit=80),
    # of a standby; awesome-prometheus-alerts
    "pg.lag": _row("s", warn=5),
    # no default: by what its own schedule made due since
    "backup.age": _row("hours"),
}


class Limits(msgspec.Struct, frozen=True):
    """The limits that hold: the table, with the config's over it."""

    configured: Mapping[str, Limit] = {}
    mounts: tuple[str, ...] = ()
    """Mounts that must be there (`expect.mounts`)."""
    links: tuple[str, ...] = ()
    """Network ports that must be up (`expect.links`)."""
    rates: Mapping[str, float] = {}
    """Gbit/s that a network port must have, which must be up too (`expect.link_gbit`)."""

    def __getitem__(self, check: str) -> Limit:
        """The limit of a check; raises KeyError for one that has none."""
        limit = self.configured.get(check)
        return limit if limit is not None else TABLE[check].limit

    def is_configured(self, check: str) -> bool:
        """Whether the config names it."""
        return check in self.configured


def parse_limit(check: str, value: object) -> Limit:
    """The limit that `[limits]` gives a check of the table; raises ValueError that says what was expected.

    A table is laid over the default. A number alerts in the check's own direction, a string is a Nagios range; either
    alone is the WARNING limit. `false` or an empty table switches the check's limits off.
    """
    row = TABLE[check]
    if value is False or value == {}:
        return Limit()
    if not isinstance(value, dict):
        value = {"warn": value}
    changes: dict[str, Any] = dict(_parsed(value, row))
    for edge, back in (("warn", "clear"), ("crit", "clear_crit")):
        if edge in changes and back not in changes:
            changes[back] = _moved_back(
                changes[edge], getattr(row.limit, edge), getattr(row.limit, back), row.direction
            )
    if "warn" in changes and "crit" not in changes:
        changes["crit"] = _still_beyond(row.limit.crit, changes["warn"], row.direction)
    return msgspec.structs.replace(row.limit, **changes)


def _edge(limit: Range, direction: Direction) -> float:
    return limit.start if direction == "high" else limit.end


def _is_plain(limit: Range, direction: Direction) -> bool:
    """Whether a range is "this number and beyond it"."""
    return limit.inside and (limit.end == math.inf if direction == "high" else limit.start == -math.inf)


def _moved_back(given: Range, default: Range | None, back: Range | None, direction: Direction) -> Range | None:
    """The default's way back, as far from the given limit as it was from the default's."""
    if default is None or back is None or not _is_plain(given, direction):
        return None
    distance = _edge(back, direction) - _edge(default, direction)
    return Range.from_number(_edge(given, direction) + distance, direction)


def _still_beyond(crit: Range | None, warn: Range, direction: Direction) -> Range | None:
    """The default's CRITICAL, unless the WARNING that was given lies beyond it."""
    if crit is None or not _is_plain(warn, direction):
        return crit
    ahead = _edge(crit, direction) - _edge(warn, direction)
    return crit if (ahead >= 0 if direction == "high" else ahead <= 0) else None


KEYS = ("warn", "crit", "clear", "clear_crit", "for", "unless_free")


def _parsed(value: Mapping[str, object], row: Row) -> Iterator[tuple[str, object]]:
    for key, given in value.items():
        if key in ("warn", "crit", "clear", "clear_crit"):
            yield key, _range(key, given, row.direction)
        elif key == "for":
            yield "for_s", _quantity(key, given, duration_s, "a duration such as 5m")
        elif key == "unless_free":
            pair = given if isinstance(given, list) and len(given) == 2 else [given, given]
            yield "unless_free", _quantity(key, pair[0], size_bytes, "a size such as 500GiB")
            yield "unless_free_crit", _quantity(key, pair[1], size_bytes, "a size such as 500GiB")
        else:
            raise KeyError(key)


def _range(key: str, given: object, direction: Direction) -> Range:
    try:
        if isinstance(given, str):
            return Range.parse(given)
        if isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given):
            return Range.from_number(float(given), direction)
    except ValueError:
        pass
    raise ValueError(f"{key}: expected a number or a range such as 10:20")


def _quantity(key: str, given: object, parse: Callable[[str], float], expected: str) -> float:
    try:
        if isinstance(given, str):
            return parse(given)
    except ValueError:
        pass
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < math.inf:
        return given
    raise ValueError(f"{key}: expected {expected}")
