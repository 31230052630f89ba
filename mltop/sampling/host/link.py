"""Network ports: whether they are up, how often they were not, and their errors. Reading one may hang at its driver."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mltop.model.host_facts import Link, Links
from mltop.model.snapshot import Status
from mltop.sampling.host.network import is_real
from mltop.sampling.host.sensor import word
from mltop.sampling.root import Roots
from mltop.sampling.source import entries, read_int
from mltop.system.text import clean

_IFF_UP = 0x1  # net/if.h
_DISABLED = 3  # IB_PORT_PHYS_STATE_DISABLED of include/rdma/ib_verbs.h
_MOST_LINKS = 256


def read_links(roots: Roots) -> Links:
    """Every real interface and every InfiniBand port. Raises OSError."""
    try:
        names = sorted(os.listdir(roots.sys / "class/net"))  # noqa: PTH208 - names only
    except FileNotFoundError:
        names = []
    found = [
        one for name in names if is_real(roots, name) and (one := _interface(roots.sys / "class/net" / name, name))
    ]
    found.extend(_ports(roots.sys))
    if not found:
        return Links(status=Status.UNSUPPORTED, reason="no network card here")
    return Links(age_s=0.0, links=tuple(found[:_MOST_LINKS]))


def _interface(entry: Path, name: str) -> Link | None:
    """One of sysfs-class-net; `carrier` and `speed` refuse to be read while it is switched off.

    `None` of one that has just been taken out.
    """
    flags = _hexadecimal(word(entry / "flags"))
    if flags is None and not entry.exists():
        return None
    is_enabled = flags is None or bool(flags & _IFF_UP)
    carrier = read_int(entry / "carrier") if is_enabled and flags is not None else None
    speed = read_int(entry / "speed") if carrier else None
    changes = read_int(entry / "carrier_changes")
    losses = read_int(entry / "carrier_down_count")
    return Link(
        name=clean(os.fsencode(name), 64),
        is_enabled=is_enabled,
        is_up=None if carrier is None else carrier == 1,
        state=clean(word(entry / "operstate"), 32),
        losses=changes // 2 if losses is None and changes is not None else losses,
        packets=_sum(entry / "statistics", ("rx_packets", "tx_packets")),
        errors=_sum(entry / "statistics", ("rx_errors", "tx_errors")),
        rate_mbit=speed if speed is not None and speed > 0 else None,
    )


def _ports(sys: Path) -> Iterator[Link]:
    ports = (port for device in entries(sys / "class/infiniband") for port in entries(device / "ports"))
    for port in ports:
        if word(port / "link_layer") == "Ethernet":
            continue  # its interface is among the others
        number, _, state = word(port / "state").partition(": ")
        counters = port / "counters"
        yield Link(
            name=clean(f"{port.parent.parent.name}/{port.name}", 64),
            is_enabled=_leading(word(port / "phys_state")) != _DISABLED,
            is_up=state == "ACTIVE" if number.isdigit() else None,
            state=clean(state, 32),
            losses=read_int(counters / "link_downed"),
            packets=_sum(counters, ("port_rcv_packets", "port_xmit_packets")),
            errors=_sum(counters, ("port_rcv_errors",)),
            rate_mbit=_rate_mbit(word(port / "rate")),
        )


def _rate_mbit(words: str) -> int | None:
    """`100 Gb/sec (4X EDR)` in Mbit/s."""
    try:
        return round(float(words.split()[0]) * 1000)
    except (ValueError, IndexError, OverflowError):
        return None


def _leading(words: str) -> int | None:
    number = words.partition(":")[0]
    return int(number) if number.isdigit() else None


def _sum(folder: Path, names: tuple[str, ...]) -> int | None:
    numbers = [read_int(folder / name) for name in names]
    return None if None in numbers else sum(number for number in numbers if number is not None)


def _hexadecimal(words: str) -> int | None:
    try:
        return int(words, 16)
    except ValueError:
        return None
