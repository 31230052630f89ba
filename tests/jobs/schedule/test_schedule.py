"""Schedules: what is taken, what is refused and why, what each scheduler can say, and when it runs."""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltop.jobs import program
from mltop.jobs.schedule import on_calendar, schedule
from mltop.jobs.schedule.schedule import ScheduleFault, parse, shown

WARSAW = ZoneInfo("Europe/Warsaw")
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze: install systemd"
)


@pytest.fixture
def no_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A box without systemd-analyze."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(program, "_PATH", ())


@pytest.mark.parametrize(
    ("text", "cron", "calendar"),
    [
        ("0 2 * * *", ["0 2 * * *"], ["*-*-* 02:00:00"]),
        ("*/5 * * * *", ["*/5 * * * *"], ["*-*-* *:00/5:00"]),
        ("  0   2 *  * *", ["0 2 * * *"], ["*-*-* 02:00:00"]),
        ("17 3 1,15 jan-mar *", ["17 3 1,15 jan-mar *"], ["*-01..03-01,15 03:17:00"]),
        ("@daily", ["@daily"], ["*-*-* 00:00:00"]),
        ("@weekly", ["@weekly"], ["Sun *-*-* 00:00:00"]),
        ("0 0 * * 7", ["0 0 * * 7"], ["Sun *-*-* 00:00:00"]),
        ("0 0 * * 0-7", ["0 0 * * 0-7"], ["*-*-* 00:00:00"]),
        ("0 4 * * mon-fri", ["0 4 * * mon-fri"], ["Mon,Tue,Wed,Thu,Fri *-*-* 04:00:00"]),
        ("*/60 * * * *", ["*/60 * * * *"], ["*-*-* *:00:00"]),
        # either kind of day: two expressions; a field that begins with a star: both have to meet
        ("0 0 13 * 5", ["0 0 13 * 5"], ["*-*-13 00:00:00", "Fri *-*-* 00:00:00"]),
        ("0 0 */20 * 1", ["0 0 */20 * 1"], ["Mon *-*-01,21 00:00:00"]),
        ("0 0 1-31 * 1", ["0 0 1-31 * 1"], ["*-*-* 00:00:00"]),
        ("every 15m", ["*/15 * * * *"], ["*-*-* *:00/15:00"]),
        ("every 1h", ["0 * * * *"], ["*-*-* *:00:00"]),
        ("every hour", ["0 * * * *"], ["*-*-* *:00:00"]),
        ("every 6h", ["0 */6 * * *"], ["*-*-* 00/6:00:00"]),
        ("every 1d", ["0 0 * * *"], ["*-*-* 00:00:00"]),
        (
            "every 90m",
            ["0 */3 * * *", "30 1,4,7,10,13,16,19,22 * * *"],
            ["*-*-* 00/3:00:00", "*-*-* 01,04,07,10,13,16,19,22:30:00"],
        ),
        ("Mon..Fri 03:30", ["30 3 * * 1-5"], ["Mon..Fri 03:30"]),
        ("Sat,Sun 05:00", ["0 5 * * 0,6"], ["Sat,Sun 05:00"]),
        ("*-*-1 00:00", ["0 0 1 * *"], ["*-*-1 00:00"]),
        ("weekly", ["0 0 * * 1"], ["weekly"]),
        ("hourly", ["0 * * * *"], ["hourly"]),
        ("8..17:00/30", ["0,30 8-17 * * *"], ["8..17:00/30"]),
    ],
)
def test_each_scheduler_gets_what_it_can_say(text: str, cron: list[str], calendar: list[str]) -> None:
    made = parse(text)
    assert list(made.cron()) == cron
    assert list(made.on_calendar()) == calendar


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("5-1 * * * *", "backwards"),
        ("0 0 * * fri-mon", "backwards"),
        ("0 0 * * 5-0", "backwards"),
        ("5/15 * * * *", "write 5-59/15"),
        ("0~30 * * * *", "jitter"),
        ("0 0 31 2 *", "never run"),
        ("0 0 30 2 *", "never run"),
        ("0 0 31 2,4,6 *", "never run"),
        ("60 * * * *", "60 is not in 0-59"),
        ("0 25 * * *", "25 is not in 0-23"),
        ("0 0 0 * *", "0 is not in 1-31"),
        ("* * * 13 *", "13 is not in 1-12"),
        ("* * * * 8", "8 is not in 0-7"),
        ("* * * * sunday", "sun to sat"),
        ("*/0 * * * *", "a step is a whole number"),
        ("1,,2 * * * *", "not a value"),
        ("L * * * *", "minute"),
        ("0 0 L * *", "day of the month"),
        ("0 0 * * 1#2", "not a value"),
        ("0 2 * *", "five fields, this has 4"),
        ("0 2 * * * *", "five fields, this has 6"),
        ("@every_minute", "cron knows"),
        ("@Daily", "cron knows"),
        ("every 7m", "every 6m does"),
        ("every 5h", "every 4h does"),
        ("every 2d", "every 1d does"),
        ("every 90s", "does not divide"),
        ("every 0m", "does not divide"),
        ("every fortnight", "write every 15m"),
        ("*-02-30", "never run"),
        ("0 2 * * *\n* * * * * x", "not a schedule"),
        ("0 2 * * \N{FULLWIDTH DIGIT ONE}", "not a schedule"),
    ],
)
def test_what_is_wrong_or_misleads_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ScheduleFault, match=reason.replace("*", r"\*")):
        parse(text)


@needs_systemd
@pytest.mark.parametrize(
    ("text", "reason"), [("foo bar", "neither"), ("2020-01-01", "never run"), ("25:00", "neither")]
)
def test_systemd_judges_what_only_it_can_read(text: str, reason: str) -> None:
    with pytest.raises(ScheduleFault, match=reason):
        parse(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Mon *-*-1 05:00", "either of them"),
        ("every 30s", "less than a minute"),
        ("*-*~1", "cannot say"),
        ("*-*-1 10:00:30", "cannot say"),
    ],
)
def test_what_cron_cannot_say_has_a_reason(text: str, reason: str, no_systemd: None) -> None:
    with pytest.raises(ScheduleFault, match=reason):
        parse(text).cron()


def test_a_timer_cannot_say_reboot() -> None:
    assert parse("@reboot").cron() == ("@reboot",)
    with pytest.raises(ScheduleFault, match="@reboot"):
        parse("@reboot").on_calendar()
    assert parse("@reboot").unknown == "runs when the box starts"
    assert parse("@reboot").next_runs(datetime.now(UTC), 3) == ()


def test_the_clocks_go_forward_and_back_as_for_debians_cron() -> None:
    spring = datetime(2026, 3, 28, 12, tzinfo=UTC)
    found = parse("30 2 * * *").next_runs(spring, 2, WARSAW)
    assert [shown(time) for time in found] == [
        "Sun 2026-03-29 03:00 CEST (+02:00)",
        "Mon 2026-03-30 02:30 CEST (+02:00)",
    ]
    autumn = datetime(2026, 10, 24, 12, tzinfo=UTC)
    found = parse("30 2 * * *").next_runs(autumn, 2, WARSAW)
    assert [shown(time) for time in found] == [
        "Sun 2026-10-25 02:30 CEST (+02:00)",
        "Mon 2026-10-26 02:30 CET (+01:00)",
    ]


def test_a_repeated_hour_runs_twice_what_runs_every_hour() -> None:
    found = parse("*/30 * * * *").next_runs(datetime(2026, 10, 25, 0, 15, tzinfo=UTC), 5, WARSAW)
    assert [f"{time:%H:%M %Z}" for time in found] == ["02:30 CEST", "02:00 CET", "02:30 CET", "03:00 CET", "03:30 CET"]


@needs_systemd
def test_the_clocks_go_forward_as_for_systemd() -> None:
    spring = datetime(2026, 3, 28, 12, tzinfo=UTC)
    found = parse("*-*-* 02:30").next_runs(spring, 1, WARSAW)
    assert [shown(time) for time in found] == [
        "Mon 2026-03-30 02:30 CEST (+02:00)"
    ]  # the day it does not exist is left out


@needs_systemd
def test_many_expressions_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = on_calendar.ask
    monkeypatch.setattr(on_calendar, "ask", lambda argv, *rest: (asked.append(argv), real(argv, *rest))[1])
    schedules = tuple(map(parse, ("*-*-* 02:00", "*-*-* 00:00:00", "0 1 * * *", "Mon 03:00", "0 1 * * *")))
    found = schedule.next_runs(schedules, datetime(2026, 11, 24, 12, tzinfo=UTC), 2, UTC)
    assert len(asked) == 1
    assert [[f"{time:%a %H:%M}" for time in times] for times in found] == [
        ["Wed 02:00", "Thu 02:00"], ["Wed 00:00", "Thu 00:00"], ["Wed 01:00", "Thu 01:00"], ["Mon 03:00", "Mon 03:00"],
        ["Wed 01:00", "Thu 01:00"],
    ]  # fmt: skip


def test_without_systemd_what_cron_can_say_is_told_and_the_rest_is_unknown(no_systemd: None) -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert parse("Mon..Fri 03:30").next_runs(now, 1, UTC) == (datetime(2026, 11, 25, 3, 30, tzinfo=UTC),)
    last_day = parse("*-*~1 03:30")
    assert last_day.next_runs(now, 1, UTC) == ()
    assert last_day.unknown == "only systemd can tell when: no systemd-analyze on this box"


def test_an_expression_that_systemd_goes_round_in_circles_with_takes_no_other_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd 252 does, on days on which the clocks change, and exits with 1."""
    loop = "Infinite loop in calendar calculation: X\\nFailed to determine next elapse for X: Resource deadlock avoided"
    good = "Normalized form: Mon *-*-* 03:00:00\\n    Next elapse: Mon 2026-11-30 03:00:00 UTC\\n"
    (tmp_path / "systemd-analyze").write_text(
        f'#!/bin/sh\nprintf "{loop}\\n" >&2\ncase "$*" in *Mon*) printf "\\n{good}" ;; esac; exit 1\n'
    )
    (tmp_path / "systemd-analyze").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    schedules = tuple(map(parse, ("Mon *-*-* 03:00:00", "*-*-* 00/7:28:00", "*-*~1")))
    found = schedule.next_runs(schedules, now, 1, UTC)
    assert [[f"{time:%a %H:%M}" for time in times] for times in found] == [["Mon 03:00"], ["Tue 14:28"], []]


def test_a_hanging_systemd_analyze_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "systemd-analyze").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "systemd-analyze").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(on_calendar, "_DEADLINE_S", 0.2)
    assert "does not answer within 0.2 s" in str(parse("*-*~1").unknown)


FIELD = st.sampled_from(["*", "0", "5", "1-5", "*/2", "2-10/3", "1,4", "3"])


def test_utc_is_a_zone_of_its_own_on_a_box_in_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "systemd-analyze").write_text(f'#!/bin/sh\necho "$TZ" > {tmp_path}/zone\n')
    (tmp_path / "systemd-analyze").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    on_calendar.judged(["daily"], datetime(2026, 11, 24, tzinfo=UTC), 1, UTC)
    assert (tmp_path / "zone").read_text() == "UTC\n"


@settings(max_examples=150, deadline=None)
@given(minute=FIELD, hour=FIELD, day=FIELD.filter(lambda text: text != "0"), month=st.sampled_from(["*", "2", "1-6"]),
       weekday=st.sampled_from(["*", "0", "1-5", "*/2", "7", "1,3"]))  # fmt: skip
def test_cron_and_its_pattern_run_at_the_same_times(minute: str, hour: str, day: str, month: str, weekday: str) -> None:
    """What is told to systemd comes from the pattern: its own five fields run when the ones that were written do."""
    text = f"{minute} {hour} {day} {month} {weekday}"
    made = parse(text)
    after = datetime(2026, 11, 24, 12, tzinfo=UTC)
    try:
        again = parse(made.patterns[0].cron())
    except ScheduleFault as fault:
        assert "either of them" in str(fault)  # noqa: PT017 - cron says it with a star and a step, which a set has not
        return
    assert made.next_runs(after, 5, UTC) == again.next_runs(after, 5, UTC)


@needs_systemd
def test_systemd_runs_converted_schedules_when_cron_does() -> None:
    after = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)
    either = ["0 0 13 * 5", "15 10 */9 * 1", "0 0 1-31 * 1"]
    plain = [
        "0 2 * * *",
        "*/7 * * * *",
        "30 4 1,15 * *",
        "5 0 * 8 *",
        "0 22 * * 1-5",
        "23 0-20/2 * * *",
        "0 0,12 1 */2 *",
    ]
    texts = [*either, *plain, "every 90m", "every 48m", "@weekly", "@monthly"]
    for text in texts:
        made = parse(text)
        told = on_calendar.judged(made.on_calendar(), after, 40, UTC)
        union = sorted({time for times in told.values() for time in times})[:40]
        assert tuple(union) == made.next_runs(after, 40, UTC)[: len(union)], text


def test_the_runs_are_after_and_in_order() -> None:
    now = datetime.now(UTC)
    found = parse("every 90m").next_runs(now, 16, WARSAW)
    assert all(now < one < other for one, other in itertools.pairwise(found))
    assert found[-1] - found[0] <= timedelta(hours=24)


@pytest.mark.parametrize(("text", "same"), [("5-5/1 3 * * *", "5 3 * * *"), ("0 0 * * fri-FRI/2", "0 0 * * 5")])
def test_a_range_of_one_value_is_that_value_whatever_its_step(text: str, same: str) -> None:
    """Debian's cron ends the range where it is said to end; cronsim went on to the field's end."""
    start = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert parse(text).next_runs(start, 9, UTC) == parse(same).next_runs(start, 9, UTC)


@needs_systemd
def test_random_schedules_of_crons_run_at_the_same_times_as_timers() -> None:
    chance = random.Random(11)

    def field(low: int, high: int) -> str:
        first = chance.randint(low, high)
        last = chance.randint(first, high)
        step = chance.randint(1, high - low)
        numbers = ",".join(str(chance.randint(low, high)) for _ in range(3))
        return chance.choice(["*", "*", f"*/{step}", f"{first}-{last}", f"{first}-{last}/{step}", numbers])

    found = []
    while len(found) < 120:
        with contextlib.suppress(ScheduleFault):
            found.append(parse(" ".join(field(*ends) for ends in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7)))))
    start = datetime(2026, 11, 30, 18, 59, tzinfo=UTC)
    texts = tuple(dict.fromkeys(text for one in found for text in one.on_calendar()))
    told = on_calendar.judged(texts, start, 30, UTC)
    for one in found:
        by_systemd = sorted({time for text in one.on_calendar() for time in told[text]})[:30]
        assert list(schedule.cron_times(one, start, 30)) == by_systemd, one.text
