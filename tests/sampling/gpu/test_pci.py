"""NVIDIA cards on the PCI bus (M19)."""

from __future__ import annotations

from pathlib import Path

import driver
import pytest

from mltop.sampling.gpu.pci import bus_id, cards_for_nvml, is_container, nvidia_cards
from mltop.sampling.root import Roots


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00000000:1B:00.0", "0000:1b:00.0"),
        ("0000:1b:00.0", "0000:1b:00.0"),
        ("0000:1b:00", "0000:1b:00.0"),
        ("000F:01:00.0", "000f:01:00.0"),
        ("00010000:3B:00.0", "10000:3b:00.0"),
        ("1b:00.0", "0000:1b:00.0"),
        ("", None),
        ("nonsense", None),
    ],
)
def test_bus_id(text: str, expected: str | None) -> None:
    assert bus_id(text) == expected


def test_lists_nvidia_display_functions_in_order(tmp_path: Path) -> None:
    driver.make_sysfs(tmp_path, ["0000:9d:00.0", "0000:1b:00.0"])
    audio = tmp_path / "bus/pci/devices/0000:1b:00.1"
    audio.mkdir()
    (audio / "vendor").write_text("0x10de\n")
    (audio / "class").write_text("0x040300\n")
    cards = nvidia_cards(Roots(sys=tmp_path))
    assert cards is not None
    assert [(card.bus_id, card.driver) for card in cards] == [("0000:1b:00.0", "nvidia"), ("0000:9d:00.0", "nvidia")]


def test_cards_given_away_are_not_nvmls(tmp_path: Path) -> None:
    driver.make_sysfs(tmp_path, ["0000:1b:00.0"], driver="vfio-pci")
    driver.make_sysfs(tmp_path, ["0000:43:00.0"], driver="nouveau", pci_class="0x030000")
    driver.make_sysfs(tmp_path, ["0000:52:00.0"], driver="")
    assert [card.bus_id for card in cards_for_nvml(Roots(sys=tmp_path))] == ["0000:52:00.0"]


def test_no_pci_bus(tmp_path: Path) -> None:
    assert nvidia_cards(Roots(sys=tmp_path)) is None
    assert cards_for_nvml(Roots(sys=tmp_path)) == ()


@pytest.mark.parametrize(("link", "expected"), [("pid:[4026531836]", False), ("pid:[4026532999]", True), (None, False)])
def test_container_is_another_pid_namespace(tmp_path: Path, link: str | None, expected: bool) -> None:
    if link is not None:
        (tmp_path / "self/ns").mkdir(parents=True)
        (tmp_path / "self/ns/pid").symlink_to(link)
    assert is_container(Roots(proc=tmp_path)) is expected
