"""Rates of the network interfaces, from `/proc/net/dev`."""

from __future__ import annotations

import os

from mltop.model.snapshot import Network
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes, why_not
from mltop.system.text import clean

_VIRTUAL_PREFIXES = (
    "br-", "cali", "cbr", "cilium", "cni", "docker", "dummy", "erspan", "flannel", "fwbr", "fwln", "fwpr", "genev",
    "gre", "ifb", "ip6", "ipvs", "kube-", "lxc", "lxdbr", "nodelocaldns", "podman", "sit", "tap", "teql", "tunl",
    "veth", "virbr", "vmnet", "vnet", "vxlan", "weave",
)  # fmt: skip
_REAL_PREFIXES = ("bond", "en", "eth", "hsn", "ib", "team", "wl", "ww")
"""What a network card is called where sysfs does not say that there is one, as in a container."""
_TRANSMIT_FIELD = 8
_LEAST_GAP_S = 0.05


class NetworkReading:
    """Keeps the counters of the last reading, for rates."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._is_shown: dict[bytes, bool] = {}
        self._counters: dict[bytes, tuple[int, int]] = {}
        self._at: float | None = None
        self._shown: tuple[Network, ...] = ()

    def read(self, now: float) -> tuple[Network, ...]:
        """The interfaces that have carried anything since the boot; never raises."""
        try:
            counters = parse(read_bytes(self._roots.proc / "net" / "dev"))
        except OSError as fault:
            status, reason = why_not(fault, "/proc/net/dev")
            return (Network(status=status, reason=reason),)
        elapsed = None if self._at is None else now - self._at
        if elapsed is not None and elapsed < _LEAST_GAP_S and self._shown:
            return self._shown
        self._shown = tuple(
            self._network(name, counters[name], elapsed)
            for name in sorted(counters)
            if any(counters[name]) and self._is_worth_showing(name)
        )
        if len(self._is_shown) > 4 * len(counters):  # the ends of containers come and go under new names
            self._is_shown.clear()
        self._counters, self._at = counters, now
        return self._shown

    def _network(self, name: bytes, counters: tuple[int, int], elapsed: float | None) -> Network:
        before = self._counters.get(name)
        receive = transmit = None
        if before is not None and elapsed is not None:
            received, transmitted = counters[0] - before[0], counters[1] - before[1]
            if received >= 0 and transmitted >= 0:  # else the counters were reset, or wrapped at 32 bits
                receive, transmit = received / elapsed, transmitted / elapsed
        return Network(interface=clean(name, 64), age_s=0.0, receive_bytes_per_s=receive, transmit_bytes_per_s=transmit)

    def _is_worth_showing(self, name: bytes) -> bool:
        known = self._is_shown.get(name)
        if known is None:
            known = self._is_shown[name] = is_real(self._roots, os.fsdecode(name))
        return known


def is_real(roots: Roots, name: str) -> bool:
    """Whether an interface is a card, or a bond of cards, or the link of a container."""
    if name == "lo" or name.startswith(_VIRTUAL_PREFIXES):
        return False
    entry = roots.sys / "class" / "net" / name
    return (entry / "device").exists() or (entry / "bonding").exists() or name.startswith(_REAL_PREFIXES)


def parse(text: bytes) -> dict[bytes, tuple[int, int]]:
    """Read /proc/net/dev: name to bytes received and transmitted. A line that makes no sense is left out."""
    counters = {}
    for line in text.splitlines():
        name, colon, rest = line.rpartition(
            b":"
        )  # old kernels put no space after the colon, aliases have one in the name
        fields = rest.split()
        if colon and len(fields) > _TRANSMIT_FIELD and fields[0].isdigit() and fields[_TRANSMIT_FIELD].isdigit():
            counters[name.strip()] = int(fields[0]), int(fields[_TRANSMIT_FIELD])
    return counters
