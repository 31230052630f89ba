"""A foreign timer's states, and the orders that lead from one to another, to a systemctl that notes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from scheduler_box import Box

from mltop.jobs.systemd import switch
from mltop.jobs.systemd.manager import SystemdError


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path)
    made.program("systemctl", f'echo "$*" >> {tmp_path}/calls; cat {tmp_path}/answer')
    (tmp_path / "answer").write_text("")
    return made


def orders(box: Box, before: bytes, after: bytes) -> list[str]:
    """What systemctl is told, without the options that every order has."""
    switch.put("system", box.environment, "x.timer", before, after)
    lines = (box.folder / "calls").read_text().splitlines()
    (box.folder / "calls").unlink()
    assert all(line.startswith("--no-ask-password --no-pager ") and line.endswith(" -- x.timer") for line in lines)
    return [line.removeprefix("--no-ask-password --no-pager ").removesuffix(" -- x.timer") for line in lines]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("LoadState=loaded\nUnitFileState=enabled\nActiveState=active\n", b"enabled, active\n"),
        ("LoadState=loaded\nUnitFileState=disabled\nActiveState=failed\n", b"disabled, inactive\n"),
        ("LoadState=masked\nUnitFileState=masked\nActiveState=inactive\n", b"masked, inactive\n"),
        ("LoadState=loaded\nUnitFileState=\nActiveState=active\n", b"transient, active\n"),
    ],
)
def test_a_state_in_words(box: Box, answer: str, expected: bytes) -> None:
    (box.folder / "answer").write_text(answer)
    assert switch.state("system", box.environment, "x.timer") == expected


def test_one_that_is_not_there_is_named(box: Box) -> None:
    (box.folder / "answer").write_text("LoadState=not-found\nUnitFileState=\nActiveState=inactive\n")
    with pytest.raises(SystemdError, match=r"no timer x\.timer"):
        switch.state("system", box.environment, "x.timer")


@pytest.mark.parametrize(
    ("now", "off"),
    [
        (b"enabled, active\n", b"disabled, inactive\n"),
        (b"disabled, active\n", b"disabled, inactive\n"),
        (b"static, active\n", b"masked, inactive\n"),
        (b"generated, active\n", b"masked, inactive\n"),
        (b"masked, inactive\n", b"masked, inactive\n"),
    ],
)
def test_off_lasts_beyond_the_next_start(now: bytes, off: bytes) -> None:
    assert switch.off("x.timer", now) == off


def test_what_would_come_back_is_refused() -> None:
    with pytest.raises(SystemdError, match="transient"):
        switch.off("x.timer", b"transient, active\n")


def test_orders_there_and_back(box: Box) -> None:
    enabled, disabled = b"enabled, active\n", b"disabled, inactive\n"
    static, masked = b"static, active\n", b"masked, inactive\n"
    assert orders(box, enabled, disabled) == ["disable", "stop"]
    assert orders(box, disabled, enabled) == ["enable", "start"]
    assert orders(box, static, masked) == ["stop", "mask"]
    assert orders(box, masked, static) == ["unmask", "start"]
    assert orders(box, masked, enabled) == ["unmask", "enable", "start"]
    assert orders(box, disabled, b"disabled, active\n") == ["start"], "one that somebody started by hand"
    assert orders(box, disabled, b"enabled-runtime, active\n") == ["enable --runtime", "start"]


def test_what_a_mask_hides_is_told_from_the_file_below_it(box: Box) -> None:
    units = box.home / ".config" / "systemd" / "user"
    units.mkdir(parents=True)
    (units / "x.timer").write_text("[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n")
    (units / "y.timer").symlink_to("/dev/null")
    assert switch.on("user", box.environment, "x.timer", b"masked, inactive\n") == b"enabled, active\n"
    assert switch.on("user", box.environment, "y.timer", b"masked, inactive\n") == b"static, active\n"
    assert switch.text_of("user", box.environment, "../x.timer") == ""


def test_a_templates_instance_has_its_templates_text(box: Box) -> None:
    units = box.home / ".config" / "systemd" / "user"
    units.mkdir(parents=True)
    (units / "x@.timer").write_text("[Timer]\nUnit=work.service\n")
    assert switch.service_of("user", box.environment, "x@one.timer") == "work.service"
    assert switch.service_of("user", box.environment, "plain.timer") == "plain.service"
    assert switch.scope_and_unit("user/a.timer") == ("user", "a.timer")
