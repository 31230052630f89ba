"""Timers read from systemctl's answers, of several versions; and a box without any of it (J3, J4, J7)."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from scheduler_box import Box

from mltop.jobs import scheduler as schedulers
from mltop.jobs.moment import seconds
from mltop.jobs.systemd.timer import Timer, TimersError, span_s, timers
from mltop.model.job import RunState

NEXT = 1795564800000000  # 2026-11-25T00:00:00Z
LAST = 1795478400000000
ROWS = {
    "239": None,
    "247": [{"next": NEXT, "left": NEXT, "last": LAST, "passed": LAST, "unit": "a.timer", "activates": "a.service"}],
    "252": [{"next": NEXT, "left": NEXT, "last": LAST, "passed": LAST, "unit": "a.timer", "activates": "a.service"}],
    "255": [{"next": NEXT, "left": 5, "last": LAST, "passed": 77, "unit": "a.timer", "activates": "a.service"}],
    "a list": [{"next": NEXT, "last": LAST, "unit": "a.timer", "activates": ["a.service"]}],
    "258": [
        {"next": NEXT, "left": 5, "last": LAST, "passed": 77, "unit": "a.timer", "activates": "a.service", "x": {}}
    ],
}
TEXT = {
    "rows": """\
NEXT                         LEFT     LAST                         PASSED  UNIT    ACTIVATES
Wed 2026-11-25 00:00:00 UTC  11h left Tue 2026-11-24 00:00:00 UTC  12h ago a.timer a.service

1 timers listed.
""",
    "files": """\
UNIT FILE STATE
a.timer   enabled
off.timer disabled
x@.timer  static

3 unit files listed.
""",
}
"""Of systemd 239, which has no JSON."""
SHOWN = """\
Id=a.timer
ActiveState=active
FragmentPath=/etc/systemd/system/a.timer
Description=Nightly \x1b[31mthing
TimersCalendar={ OnCalendar=*-*-* 00:00:00 ; next_elapse=Wed 2026-11-25 00:00:00 UTC }
TimersMonotonic={ OnBootUSec=15min ; next_elapse=15min }
NextElapseUSecRealtime=Wed 2026-11-25 00:00:00 UTC
LastTriggerUSec=Tue 2026-11-24 00:00:00 UTC
Triggers=a.service

Id=a.service
ActiveState=failed
Result=exit-code
ExecMainStatus=3
ExecMainCode=1
ExecMainStartTimestamp=Tue 2026-11-24 00:00:00 UTC
ExecMainExitTimestamp=Tue 2026-11-24 00:00:12 UTC
ExecStart={ path=/usr/bin/thing ; argv[]=/usr/bin/thing --all ; ignore_errors=no ; start_time=[n/a] }
InvocationID=0123456789abcdef0123456789abcdef

Id=off.timer
ActiveState=inactive
FragmentPath=/etc/systemd/system/off.timer
TimersCalendar={ OnCalendar=hourly ; next_elapse=(null) }
NextElapseUSecRealtime=
LastTriggerUSec=n/a
"""


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    (tmp_path / "booted").mkdir()
    monkeypatch.setattr(schedulers, "_BOOTED", tmp_path / "booted")
    return Box(tmp_path)


def systemctl(box: Box, rows: object, shown: str = SHOWN, files: object = ...) -> Path:
    """A systemctl that answers; each call is noted with its whole command line."""
    if files is ...:
        files = [{"unit_file": "a.timer", "state": "enabled"}, {"unit_file": "off.timer", "state": "disabled"}]
        files.append({"unit_file": "x@.timer", "state": "static"})
    for name, content in (("rows", rows), ("files", files if rows is not None else None)):
        (box.folder / name).write_text(json.dumps(content) if content is not None else TEXT[name])
    (box.folder / "shown").write_text(shown)
    calls = box.folder / "calls"
    box.program(
        "systemctl",
        f"""echo "$*" >> {calls}; [ "$LC_ALL" = C ] && [ "$TZ" = UTC ] || exit 9; read x && exit 8
case "$*" in *list-timers*) cat {box.folder}/rows ;; *list-unit-files*) cat {box.folder}/files ;;
*" show "*) cat {box.folder}/shown ;; *) exit 7 ;; esac""",
    )
    return calls


@pytest.mark.parametrize("version", ROWS)
def test_every_version_says_the_same(box: Box, version: str) -> None:
    calls = systemctl(box, ROWS[version])
    found = {one.unit: one for one in timers("system", box.environment)}
    a = found["a.timer"]
    assert (a.next_run, a.last_trigger) == ("2026-11-25T00:00:00.000Z", "2026-11-24T00:00:00.000Z")
    assert a.schedule == ("*-*-* 00:00:00", "OnBoot=15min")
    assert (a.command, a.service, a.is_enabled) == ("/usr/bin/thing --all", "a.service", True)
    assert a.last_run is not None
    assert (a.last_run.state, a.last_run.exit_code, a.last_run.duration_s) == (RunState.FAILED, 3, 12.0)
    assert (a.last_run.reason, a.last_run.signal) == ("exit-code", None)
    assert found["off.timer"] == Timer(
        unit="off.timer",
        service="off.service",
        schedule=("hourly",),
        is_enabled=False,
        path="/etc/systemd/system/off.timer",
        command="off.service",
    )
    assert sorted(found) == ["a.timer", "off.timer"]
    lines = calls.read_text().splitlines()
    assert len(lines) == 3
    assert all("--no-ask-password" in line for line in lines)


@pytest.mark.parametrize(
    "rows", [None, [{"next": 700_000_000, "last": 0, "unit": "a.timer", "activates": "a.service"}]]
)
def test_a_time_that_is_counted_from_the_start_is_told_from_now_also_after_a_suspend(box: Box, rows: object) -> None:
    """The monotonic clock stood still meanwhile: its zero is not when the box started by the wall's clock (J5)."""
    ahead = time.clock_gettime(time.CLOCK_MONOTONIC) + 600
    shown = (
        "Id=a.timer\nActiveState=active\nNextElapseUSecRealtime=\n"
        "TimersMonotonic={ OnUnitActiveUSec=15min ; next_elapse=3min }\n"
        f"NextElapseUSecMonotonic={int(ahead // 3600)}h {int(ahead % 3600 // 60)}min {ahead % 60:.6f}s\n"
    )
    systemctl(box, rows, shown, [])
    found = {one.unit: one for one in timers("system", box.environment)}["a.timer"]
    assert found.next_run is not None
    assert abs(seconds(found.next_run) - time.time() - 600) < 10
    assert found.schedule == ("OnUnitActive=15min",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("15min", 900), ("1h 30min", 5400), ("2d 4.5s", 172804.5), ("1month 1w", 3234600), ("0", None), ("infinity", None),
     ("", None), ("500ms", 0.5), ("20us", 2e-5)],
)  # fmt: skip
def test_a_span_is_read_as_systemd_writes_it(text: str, expected: float | None) -> None:
    assert span_s(text) == (None if expected is None else pytest.approx(expected))


def test_a_disabled_timers_service_is_in_its_file(box: Box) -> None:
    units = box.home / ".config" / "systemd" / "user"
    units.mkdir(parents=True)
    (units / "off.timer").write_text("[Timer]\nUnit=another.service\nOnCalendar=daily\n")
    calls = systemctl(
        box, [], "Id=off.timer\nActiveState=inactive\n", [{"unit_file": "off.timer", "state": "disabled"}]
    )
    (found,) = timers("user", box.environment)
    assert found.service == "another.service"
    assert "another.service" in calls.read_text().splitlines()[-1]


@pytest.mark.parametrize("forever", [None, 0, (1 << 64) - 1])
def test_never_and_not_yet_are_no_times(box: Box, forever: int | None) -> None:
    row = {"next": forever, "left": forever, "last": 0, "passed": 0, "unit": "a.timer", "activates": None}
    systemctl(box, [row], "Id=a.timer\nActiveState=active\nNextElapseUSecRealtime=\nLastTriggerUSec=n/a\n", [])
    (found,) = timers("system", box.environment)
    assert (found.next_run, found.last_trigger, found.last_run) == (None, None, None)


def test_a_signal_a_timeout_and_a_run_that_goes_on(box: Box) -> None:
    started = "ExecMainStartTimestamp=Tue 2026-11-24 00:00:00 UTC\n"
    ended = started + "ExecMainExitTimestamp=Tue 2026-11-24 00:00:01 UTC\n"
    for ran, state, signal in (
        (f"Result=signal\nExecMainCode=2\nExecMainStatus=9\n{ended}", RunState.FAILED, 9),
        (f"Result=timeout\nExecMainCode=2\nExecMainStatus=15\n{ended}", RunState.TIMEOUT, 15),
        (f"Result=success\nActiveState=activating\n{started}", RunState.RUNNING, None),
        (f"Result=success\nExecMainCode=1\nExecMainStatus=0\n{ended}", RunState.OK, None),
    ):
        systemctl(box, ROWS["252"], f"Id=a.timer\nActiveState=active\n\nId=a.service\n{ran}", [])
        (found,) = timers("system", box.environment)
        assert found.last_run is not None
        assert (found.last_run.state, found.last_run.signal) == (state, signal)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ('echo "Failed to connect to bus: No medium found" >&2; exit 1', "No medium found"),
        ('echo "System has not been booted with systemd as init system (PID 1)." >&2; exit 1', "not been booted"),
        ("exit 4", "exit code 4"),
    ],
)
def test_a_manager_that_does_not_answer_is_a_reason(box: Box, script: str, reason: str) -> None:
    box.program("systemctl", script)
    with pytest.raises(TimersError, match=reason):
        timers("user", box.environment)


def test_a_users_manager_is_found_without_its_environment(box: Box) -> None:
    calls = box.folder / "calls"
    box.program("systemctl", f'echo "$XDG_RUNTIME_DIR $*" >> {calls}; echo "[]"')
    assert timers("user", box.environment) == []
    assert calls.read_text().startswith(f"/run/user/{os.geteuid()} --user --no-ask-password")
