"""What was missed while nobody could start it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mltop.config.job import CommandSpec, JobConfig
from mltop.jobs import moment
from mltop.jobs.runner.catch_up import missed
from mltop.model.job import Run, RunState

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
JOB = JobConfig(
    id="job", kind="command", spec=CommandSpec(command="true"), schedule=("every 1h",), persistent=True, enabled=True
)


def ran(at: datetime, state: RunState = RunState.OK) -> Run:
    return Run(id="run", job="job", started_at=moment.utc(at.timestamp()), state=state)


@pytest.mark.parametrize("state", [RunState.OK, RunState.FAILED, RunState.TIMEOUT, RunState.LOST])
def test_a_slot_that_passed_is_missed_once_however_many_there_were(state: RunState) -> None:
    before = NOON - timedelta(hours=5)
    assert missed(JOB, ran(before + timedelta(seconds=1), state), NOON + timedelta(minutes=30)) == before + timedelta(
        hours=1
    )
    assert missed(JOB, ran(NOON + timedelta(minutes=30), state), NOON + timedelta(minutes=31)) is None


def test_a_slot_of_this_moment_is_crons() -> None:
    last = ran(NOON - timedelta(minutes=59))
    assert missed(JOB, last, NOON + timedelta(seconds=30)) is None
    assert missed(JOB, last, NOON + timedelta(minutes=3)) == NOON


def test_a_job_that_still_runs_is_not_started_again() -> None:
    assert missed(JOB, ran(NOON - timedelta(hours=5), RunState.RUNNING), NOON) is None


def test_jitter_is_waited_for() -> None:
    job = JOB._replace(jitter_s=600)
    assert missed(job, ran(NOON - timedelta(minutes=59)), NOON + timedelta(minutes=5)) is None


@pytest.mark.parametrize(
    "change", [{"persistent": False}, {"enabled": False}, {"schedule": ()}, {"schedule": ("@reboot",)}]
)
def test_what_is_not_made_up(change: dict[str, object]) -> None:
    job = JOB._replace(**change)
    assert missed(job, ran(NOON - timedelta(days=3)), NOON) is None


def test_a_job_that_never_ran_missed_nothing() -> None:
    assert missed(JOB, None, NOON) is None


def test_the_earliest_of_several_schedules_counts() -> None:
    job = JOB._replace(schedule=("0 10 * * *", "30 9 * * *"))
    slot = missed(job, ran(NOON - timedelta(hours=4)), NOON)
    assert slot is not None
    assert slot.strftime("%H:%M") in ("09:30", "10:00")
