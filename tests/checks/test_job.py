"""The box's own jobs: each state that each check has."""

from __future__ import annotations

from typing import Any

import pytest

from mltop.checks.judge import judgements
from mltop.checks.judgement import Judgement
from mltop.config.limits import Limits, parse_limit
from mltop.model.finding import Level
from mltop.model.job_facts import DrillFacts, Ended, JobFacts, JobsFacts
from mltop.model.snapshot import Snapshot
from mltop.model.surroundings import Surroundings

NOW = "2026-03-02T12:00:00Z"
NIGHT = "2026-03-02T02:10:00.000Z"


def job(**changes: Any) -> JobFacts:
    values: dict[str, Any] = {
        "id": "nightly", "kind": "backup", "last": Ended(state="ok", at=NIGHT), "started_at": NIGHT, "good_at": NIGHT,
        "drill": DrillFacts(last=Ended(state="ok", at=NIGHT)),
    }  # fmt: skip
    return JobFacts(**values | changes)


def judged(check: str, *jobs: JobFacts, limits: Limits | None = None, **more: Any) -> Judgement:
    here = Surroundings(jobs=JobsFacts(jobs=jobs, **more))
    found = judgements(Snapshot(host="h", time=NOW), limits, None, here, ["jobs"])
    (one,) = [one for one in found if one.check == check]
    return one


def ended(state: str, code: int | None = None, reason: str | None = None) -> Ended:
    return Ended(state=state, at=NIGHT, exit_code=code, reason=reason)


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        (job(), Level.OK, "ok 10 h ago"),
        (job(last=ended("failed", 7), failures=1), Level.WARNING, "failed with code 7 10 h ago"),
        (job(last=ended("failed", 7), failures=2), Level.WARNING, "2 times in a row"),
        (job(last=ended("failed", 7), failures=3), Level.CRITICAL, "3 times in a row"),
        (job(last=ended("timeout", 124), failures=1), Level.WARNING, "took too long and was ended"),
        (job(last=ended("lost", None, "its wrapper was killed"), failures=1), Level.WARNING, "its wrapper was killed"),
        (job(last=ended("stuck"), failures=1), Level.CRITICAL, "does not let itself be ended"),
        (job(last=None, started_at=None, good_at=None), None, "has not run yet"),
    ],
)
def test_job_failed(facts: JobFacts, level: Level | None, words: str) -> None:
    one = judged("job.failed", facts)
    assert (one.level, one.target) == (level, "nightly")
    assert words in one.summary


def test_job_late() -> None:
    assert judged("job.late", job()).level is Level.OK
    assert judged("job.late", job(is_scheduled=False)).level is None
    late = judged("job.late", job(late_since="2026-03-02T02:00:00Z", started_at="2026-03-01T02:00:00Z"))
    assert (late.level, late.value) == (Level.WARNING, 36000.0)
    assert late.summary == "due 10 h ago, not started; last start 34 h ago"
    never = judged("job.late", job(late_since="2026-03-02T02:00:00Z", started_at=None))
    assert never.summary == "due 10 h ago, not started; never ran"


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        (job(), Level.OK),
        (job(due_since_good=1), Level.OK),  # told by job.late or job.failed
        (job(due_since_good=2), Level.WARNING),
        (job(due_since_good=3), Level.CRITICAL),
        (job(good_at=None, last=ended("failed", 1)), Level.WARNING),
        (job(good_at=None, last=ended("failed", 1), due_since_good=3), Level.CRITICAL),
        (job(good_at=None, last=None), None),
    ],
)
def test_backup_age_goes_by_what_was_due_since(facts: JobFacts, level: Level | None) -> None:
    assert judged("backup.age", facts).level is level


def test_backup_age_goes_by_the_limit_that_the_config_gives_in_hours() -> None:
    limits = Limits({"backup.age": parse_limit("backup.age", {"warn": 9, "crit": 48})})
    one = judged("backup.age", job(due_since_good=4), limits=limits)
    assert (one.level, round(one.value or 0, 1)) == (Level.WARNING, 9.8)
    assert judged("backup.age", job(good_at="2026-02-20T02:00:00Z"), limits=limits).level is Level.CRITICAL


@pytest.mark.parametrize(
    ("drill", "level", "words"),
    [
        (DrillFacts(last=ended("ok")), Level.OK, "restored 10 h ago"),
        (DrillFacts(last=ended("ok"), due=1), Level.OK, "restored"),
        (DrillFacts(last=ended("ok"), due=2), Level.WARNING, "2 tests were due since"),
        (DrillFacts(last=ended("failed", 4)), Level.CRITICAL, "did not come back as it was written"),
        (DrillFacts(last=ended("failed", 6)), Level.WARNING, "the restore test failed with code 6"),
        (DrillFacts(last=ended("timeout", 124)), Level.WARNING, "took too long"),
        (DrillFacts(last=ended("skipped", None, "no key")), None, "not made: no key"),
        (DrillFacts(due=1), Level.WARNING, "never restored"),
        (DrillFacts(), None, "no restore test was due yet"),
        (None, None, "no restore test is wanted"),
    ],
)
def test_backup_drill(drill: DrillFacts | None, level: Level | None, words: str) -> None:
    one = judged("backup.drill", job(drill=drill))
    assert one.level is level
    assert words in one.summary


@pytest.mark.parametrize("check", ["job.failed", "job.late", "backup.age", "backup.drill"])
def test_a_history_that_cannot_be_read_is_unknown_and_none_at_all_is_nothing_to_judge(check: str) -> None:
    assert judged(check, trouble="history.db cannot be read: disk I/O error").level is Level.UNKNOWN
    assert judged(check).level is None
    assert not list(judgements(Snapshot(time=NOW), families=["jobs"]))  # of another box only the snapshot is known


def test_only_a_backup_has_an_age_and_a_drill() -> None:
    assert judged("backup.age", job(kind="command")).level is None
    assert judged("backup.drill", job(kind="command")).summary == "no backup job"


@pytest.mark.parametrize("time", ["", "yesterday", "2026-03-02T02:00:00"])
def test_a_time_that_is_none_does_not_end_the_verdict(time: str) -> None:
    assert judged("job.failed", job(last=Ended(state="ok", at=time))).level is Level.OK
    assert judged("job.late", job(late_since=time)).level is Level.WARNING
