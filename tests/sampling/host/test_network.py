from __future__ import annotations

from typing import TYPE_CHECKING

from mltop.model.snapshot import Network, Status
from mltop.sampling.host.network import NetworkReading

if TYPE_CHECKING:
    from conftest import FakeBox

HEAD = "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes packets\n"


def table(**counters: tuple[int, int]) -> str:
    rows = (f"{name:>6}: {rx} 1 0 0 0 0 0 0 {tx} 1 0 0 0 0 0 0\n" for name, (rx, tx) in counters.items())
    return HEAD + "".join(rows)


def test_rates_are_deltas_and_none_at_first(box: FakeBox) -> None:
    network = NetworkReading(box.roots)
    box.proc("net/dev", table(lo=(9, 9), eth0=(1000, 500), docker0=(5, 5), veth1a=(5, 5), ib0=(1, 1), eth1=(0, 0)))
    assert network.read(0.0) == (Network(interface="eth0", age_s=0.0), Network(interface="ib0", age_s=0.0))
    box.proc("net/dev", table(lo=(9, 9), eth0=(3000, 500), ib0=(0, 5)))
    first, second = network.read(2.0)
    assert (first.receive_bytes_per_s, first.transmit_bytes_per_s) == (1000.0, 0.0)
    assert (second.receive_bytes_per_s, second.transmit_bytes_per_s) == (None, None)  # reset


def test_a_card_with_an_odd_name_is_known_by_sysfs(box: FakeBox) -> None:
    box.sys("class/net/lan/device/vendor", "0x15b3\n")
    box.proc("net/dev", table(lan=(1, 1), other=(1, 1)))
    assert [network.interface for network in NetworkReading(box.roots).read(0.0)] == ["lan"]


def test_old_kernels_and_garbage(box: FakeBox) -> None:
    box.proc("net/dev", HEAD + "  eth0:123 1 0 0 0 0 0 0 45 1 0 0 0 0 0 0\neth1: x y\n\n")
    assert [network.interface for network in NetworkReading(box.roots).read(0.0)] == ["eth0"]


def test_a_missing_source_is_a_state_and_a_reason(box: FakeBox) -> None:
    [network] = NetworkReading(box.roots).read(0.0)
    assert (network.status, network.reason) == (Status.UNSUPPORTED, "/proc/net/dev is not there")
