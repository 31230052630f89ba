"""The box's own jobs: failed or late runs, and backups that are old or were never restored (D40)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from mltop.checks.case import Case, judgement, skip
from mltop.checks.judgement import Judgement
from mltop.model.finding import Level
from mltop.model.job_facts import Ended, JobFacts

CHECKS = ("job.failed", "job.late", "backup.age", "backup.drill")
IN_A_ROW = 3
"""So many failures are no accident: our judgement."""
DUE_WARNING = 2
"""A good backup that is older than this many scheduled ones misses its purpose; one is told by `job.late`."""
DUE_CRITICAL = 3
VERIFY_FAILED = 4
"""The exit code of a backup that was read back and is not what was written (interface)."""
_WORDS = {
    "failed": "failed",
    "timeout": "took too long and was ended",
    "stuck": "does not let itself be ended",
    "lost": "ended without a word",
}


def jobs(case: Case) -> Iterator[Judgement]:
    """`job.failed`, `job.late`, `backup.age` and `backup.drill`; nothing where only the snapshot is known."""
    if case.surroundings is None:
        return
    known = case.surroundings.jobs
    if known is None or not known.jobs:
        for check in CHECKS:
            if known is not None and known.trouble is not None:
                yield judgement(check, Level.UNKNOWN, known.trouble, name="jobs", reason="error")
            else:
                yield skip(check, "no job of the config has run here", name="jobs")
        return
    for job in known.jobs:
        yield _failed(case, job)
        yield _late(case, job)
        if job.kind == "backup":
            yield _age(case, job)
            yield _drill(case, job)
    if not any(job.kind == "backup" for job in known.jobs):
        yield skip("backup.age", "no backup job")
        yield skip("backup.drill", "no backup job")


def _failed(case: Case, job: JobFacts) -> Judgement:
    last = job.last
    if last is None:
        return skip("job.failed", "has not run yet", target=job.id, reason="unsupported")
    when = _ago(case, last.at)
    if last.state == "ok":
        return judgement("job.failed", Level.OK, f"ok{when}", target=job.id)
    level = Level.CRITICAL if job.failures >= IN_A_ROW or last.state == "stuck" else Level.WARNING
    row = f", {job.failures} times in a row" if job.failures > 1 else ""
    return judgement(
        "job.failed",
        level,
        f"{_ended(last)}{when}{row}",
        f"mltop jobs logs {job.id}",
        target=job.id,
        reason=last.state,
        value=job.failures,
        data={"state": last.state, "exit_code": last.exit_code, "failures": job.failures, "at": last.at},
    )


def _late(case: Case, job: JobFacts) -> Judgement:
    if not job.is_scheduled:
        return skip("job.late", "by hand only", target=job.id, reason="unsupported")
    if job.late_since is None:
        return judgement("job.late", Level.OK, "in time", target=job.id)
    seconds = _seconds_since(case, job.late_since)
    last = f"last start{_ago(case, job.started_at)}" if job.started_at is not None else "never ran"
    return judgement(
        "job.late",
        Level.WARNING,
        f"due{_ago(case, job.late_since)}, not started; {last}",
        f"mltop jobs show {job.id}: is it applied, does its scheduler run?",
        target=job.id,
        reason="late",
        value=seconds,
        data={"due": job.late_since, "started_at": job.started_at},
    )


def _age(case: Case, job: JobFacts) -> Judgement:
    """How old the last good backup is: by the config's limit in hours, else by how many were due since."""
    action = f"mltop backup create {job.id}"
    if job.good_at is None:
        if job.last is None:
            return skip("backup.age", "no backup yet", target=job.id, reason="unsupported")
        return judgement(
            "backup.age", _by_due(job, Level.WARNING), "none went well yet", action, target=job.id, reason="never"
        )
    hours = _seconds_since(case, job.good_at) / 3600
    summary = f"last good one{_ago(case, job.good_at)}"
    if case.limits.is_configured("backup.age"):
        return case.measured("backup.age", hours, summary, action, target=job.id)
    level = _by_due(job, Level.OK)
    if job.due_since_good > 1:
        summary += f", {job.due_since_good} were due since"
    return judgement("backup.age", level, summary, action, target=job.id, reason="old", value=hours)


def _by_due(job: JobFacts, least: Level) -> Level:
    if job.due_since_good >= DUE_CRITICAL:
        return Level.CRITICAL
    return max(least, Level.WARNING if job.due_since_good >= DUE_WARNING else Level.OK)


def _drill(case: Case, job: JobFacts) -> Judgement:
    check, drill, action = "backup.drill", job.drill, f"mltop backup drill {job.id}"
    if drill is None:
        return skip(check, 'no restore test is wanted (drill = "")', target=job.id, reason="unsupported")
    last = drill.last
    if last is None:
        if not drill.due:
            return skip(check, "no restore test was due yet", target=job.id, reason="unsupported")
        return judgement(check, Level.WARNING, "never restored", action, target=job.id, reason="never")
    when = _ago(case, last.at)
    if last.state == "skipped":
        return skip(check, f"not made: {last.reason or 'skipped'}", target=job.id, reason="permission")
    if last.state != "ok":
        is_bad = last.exit_code == VERIFY_FAILED
        level = Level.CRITICAL if is_bad else Level.WARNING
        words = "did not come back as it was written" if is_bad else f"the restore test {_ended(last)}"
        action = f"mltop jobs logs {job.id}.drill"
        return judgement(check, level, f"{words}{when}", action, target=job.id, reason=last.state)
    if drill.due >= DUE_WARNING:
        summary = f"restored{when}, {drill.due} tests were due since"
        return judgement(check, Level.WARNING, summary, action, target=job.id, reason="old")
    return judgement(check, Level.OK, f"restored{when}", target=job.id)


def _ended(last: Ended) -> str:
    words = _WORDS.get(last.state, last.state)
    code = f" with code {last.exit_code}" if last.state == "failed" and last.exit_code is not None else ""
    return words + code + (f": {last.reason}" if last.reason else "")


def _seconds_since(case: Case, time: str) -> float:
    try:
        now, then = datetime.fromisoformat(case.snapshot.time), datetime.fromisoformat(time)
        return max(0.0, (now - then).total_seconds())
    except (ValueError, TypeError):  # no time, or one without its zone
        return 0.0


def _ago(case: Case, time: str | None) -> str:
    """` 3 h ago`: two units say enough."""
    seconds = _seconds_since(case, time or "")
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f" {seconds / length:.0f} {unit} ago"
    return f" {seconds:.0f} s ago"
