"""What mltop says of itself and of the box as a whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mltop.checks.judge import judgements
from mltop.checks.judgement import Judgement
from mltop.checks.memory import Memory
from mltop.model.finding import Level
from mltop.model.job_facts import JobFacts, JobsFacts
from mltop.model.surroundings import Surroundings


def own(snapshot: Any, memory: Memory | None, jobs: tuple[JobFacts, ...] = ()) -> dict[str, Judgement]:
    here = Surroundings(jobs=JobsFacts(jobs=jobs))
    return {one.check: one for one in judgements(snapshot, None, memory, here, ("self",))}


def test_a_reboot_is_told_once_and_never_alerts(make: Any) -> None:
    first = Memory()
    assert own(make(), first)["host.reboot"].level is Level.OK
    second = Memory(first.settled((), 1767276000.0))
    one = own(make(boot_id="b2"), second)["host.reboot"]
    assert (one.level, one.summary) == (Level.OK, "rebooted since the last run, 2026-01-01T14:00:00Z")
    assert one.data == {"boot_id": "b2", "previous_boot_id": "b1", "last_run": "2026-01-01T14:00:00Z"}
    third = Memory(second.settled((), 1767276060.0))
    assert own(make(boot_id="b2"), third)["host.reboot"].summary == "not rebooted since the last run"


def test_a_boot_that_is_not_known_is_skipped(make: Any) -> None:
    assert own(make(), None)["host.reboot"].level is None
    assert own(make(boot_id=None), Memory(Memory().settled((), 1.0)))["host.reboot"].level is None


@pytest.mark.parametrize(("due", "level"), [(0, Level.OK), (2, Level.OK), (3, Level.WARNING), (4, Level.WARNING)])
def test_a_scheduled_check_that_goes_no_more_is_a_warning(make: Any, due: int, level: Level) -> None:
    job = JobFacts(id="health-check", kind="check", due_since_good=due)
    one = own(make(), None, (job,))["self.stale"]
    assert (one.target, one.level) == ("health-check", level)
    by_hand = msgspec.structs.replace(job, is_scheduled=False)
    assert own(make(), None, (by_hand,))["self.stale"].level is None
    assert own(make(), None, (JobFacts(id="b", kind="backup"),))["self.stale"].level is None


def test_a_snapshot_alone_tells_nothing_of_it(make: Any) -> None:
    assert list(judgements(make(), None, Memory(), None, ("self",))) == []
