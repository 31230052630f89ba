"""Xids out of the kernel log."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile

from hypothesis import given
from hypothesis import strategies as st

from mltop.sampling.host.kernel_log import KernelLog, Xid

LOG = b"""6,1,1000000,-;Linux version 6.8
4,2,2500000,-;NVRM: Xid (PCI:0000:1b:00): 31, pid=4711, name=train.py, Ch 00000008
 SUBSYSTEM=pci
 DEVICE=+pci:0000:1b:00.0
4,3,9000000,-;NVRM: Xid (PCI:0000:61:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
4,4,9100000,c;NVRM: GPU 0000:61:00.0: GPU has fallen off the bus.
12,5,9200000,-;NVRM: Xid (0000:1B:00): 13, Graphics Exception
"""


def test_xids_since_boot_and_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    path.write_bytes(LOG + b"4,6,9300000,-;NVRM: Xid (PCI:0000")
    log = KernelLog(str(path))
    assert list(log.new_xids()) == [
        Xid(pci_bus_id="0000:1b:00.0", code=31, at=2.5),
        Xid(pci_bus_id="0000:61:00.0", code=79, at=9.0),
        Xid(pci_bus_id="0000:1b:00.0", code=13, at=9.2),
    ]
    assert list(log.new_xids()) == []
    with path.open("ab") as file:
        file.write(b":43:00): 119, pid=1\n")
    assert list(log.new_xids()) == [Xid(pci_bus_id="0000:43:00.0", code=119, at=9.3)]


def test_log_that_is_not_there(tmp_path: Path) -> None:
    assert list(KernelLog(str(tmp_path / "none")).new_xids()) == []


def test_log_that_cannot_be_read(tmp_path: Path) -> None:
    log = KernelLog(str(tmp_path))  # a directory opens, and then refuses to be read
    assert list(log.new_xids()) == []
    assert list(log.new_xids()) == []


def test_the_real_one_never_blocks() -> None:
    assert isinstance(list(KernelLog().new_xids()), list)


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    with NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        assert list(KernelLog(file.name).new_xids()) == [] or b"Xid" in data
