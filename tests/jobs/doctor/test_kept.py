"""The checklist: done, not done, and how."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mltop.config.derived import drill_of
from mltop.config.job import BackupSpec, CheckSpec, JobConfig, Keep
from mltop.jobs import moment
from mltop.jobs.doctor import kept
from mltop.jobs.doctor.kept import Kept
from mltop.model.job import Run, RunState

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY_S = 86400.0
BACKUP = JobConfig(id="m", kind="backup", spec=BackupSpec(sources=("/a",), target="/b", keep=Keep(daily=7, weekly=4)))


def ran(state: RunState, days_ago: float = 1.0) -> Run:
    started = moment.utc((NOW - timedelta(days=days_ago)).timestamp())
    return Run(id="r", job="m", state=state, started_at=started)


@pytest.mark.parametrize(
    ("one", "is_done", "words"),
    [
        (Kept(BACKUP, True, DAY_S, ran(RunState.OK)), True, "m"),
        (Kept(BACKUP, True, DAY_S + 3600, None), True, "m"),
        (Kept(BACKUP, True, 7 * DAY_S, None), False, "does not run often enough"),
        (Kept(BACKUP, False, DAY_S, None), False, "is not in the scheduler yet"),
        (Kept(BACKUP, True, None, None), False, "has no schedule"),
        (Kept(BACKUP._replace(enabled=False), True, None, None), False, "is disabled"),
        (Kept(BACKUP, True, DAY_S, ran(RunState.TIMEOUT)), False, "ended with timeout"),
        (Kept(BACKUP, True, DAY_S, ran(RunState.SKIPPED)), True, "m"),
    ],
)
def test_a_daily_backup(one: Kept, is_done: bool, words: str) -> None:
    found = kept.regular([one], "backup", "a daily backup", DAY_S)
    assert (found.is_done, found.remedy is None) == (is_done, is_done)
    assert words in found.summary


def test_one_that_is_well_is_enough() -> None:
    other = Kept(BACKUP._replace(id="other"), False, DAY_S, None)
    assert kept.regular([other, Kept(BACKUP, True, DAY_S, None)], "backup", "a backup", DAY_S).is_done


def test_a_job_that_nobody_has() -> None:
    check = Kept(JobConfig(id="c", kind="check", spec=CheckSpec()), True, 60.0, None)
    found = kept.regular([check], "backup", "a daily backup", DAY_S)
    assert (found.is_done, found.summary) == (False, "a daily backup: no job does it")
    assert "mltop init" in (found.remedy or "")


def test_what_is_kept_of_backups() -> None:
    assert kept.retention([Kept(BACKUP, True, DAY_S, None)]).summary == "retention: m keeps 7 daily, 4 weekly"
    assert not kept.retention([]).is_done


def test_an_alert_channel_counts_once_it_was_tested() -> None:
    assert kept.alert_channel(is_configured=True, tested_at="2026-11-01").is_done
    assert kept.alert_channel(is_configured=True, tested_at=None).remedy == "mltop alerts test"
    assert not kept.alert_channel(is_configured=False, tested_at="2026-11-01").is_done


@pytest.mark.parametrize(
    ("last", "is_done", "words"),
    [
        (None, False, "m was never tested"),
        (ran(RunState.OK, 20), True, "m 2026-11-04"),
        (ran(RunState.OK, 40), False, "m was 40 days ago"),
        (ran(RunState.FAILED), False, "m ended with failed"),
        (ran(RunState.SKIPPED), False, "m ended with skipped"),
    ],
)
def test_the_last_drill(last: Run | None, is_done: bool, words: str) -> None:
    drill = drill_of(BACKUP)
    assert drill is not None
    found = kept.drill([Kept(BACKUP, True, DAY_S, None), Kept(drill, True, DAY_S, last)], NOW)
    assert (found.is_done, words in found.summary) == (is_done, True)
    assert is_done or found.remedy == "mltop backup drill m"


def test_nothing_to_drill() -> None:
    assert not kept.drill([], NOW).is_done
