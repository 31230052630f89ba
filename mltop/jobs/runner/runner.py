"""One run of a job from its lock to its exit code: what a crontab line, a timer and a person call alike.

Nothing but the lock stands before the job: history, log, journal and terminal may all fail, and it runs.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import NamedTuple

from mltop.config.job import JobConfig
from mltop.jobs import moment
from mltop.jobs.history import summary
from mltop.jobs.history.entry import Entry
from mltop.jobs.history.history import History
from mltop.jobs.history.retention import Retention
from mltop.jobs.runner import alive, child, journal
from mltop.jobs.runner import lock as locking
from mltop.jobs.runner.attempt import Attempt, Ending
from mltop.jobs.runner.environment import marks
from mltop.jobs.runner.interrupt import Interrupts
from mltop.jobs.runner.log import RunLog
from mltop.jobs.runner.outcome import OVERLAP, WRAPPER, Outcome, judged
from mltop.jobs.runner.screen import Screen
from mltop.model.run_state import RunState

_REPLACE_PATIENCE_S = 10.0
"""On top of the other run's grace."""


class Request(NamedTuple):
    """Who asked for a run, and for when."""

    trigger: str
    scheduled_for: str | None = None
    delay_s: float = 0.0
    """How long it waits before it begins (`jitter`)."""


class Runner:
    """Runs one job once; `faults` says afterwards what the wrapper itself could not do."""

    def __init__(self, job: JobConfig, plan: child.Plan, history: History, screen: Screen, request: Request) -> None:
        self._job = job
        self._plan = plan
        self._history = history
        self._screen = screen
        self._interrupts = Interrupts()
        self._delay_s = request.delay_s
        self._log: RunLog | None = None
        self._lock: locking.Lock | None = None
        self._began = time.monotonic()
        self._cpu_s = 0.0
        self._max_rss_bytes = 0
        self.faults: list[str] = []
        now = time.time()
        self.run_record = Entry(
            id=moment.run_id(now),
            job=job.id,
            trigger=request.trigger,
            scheduled_for=request.scheduled_for,
            started_at=moment.utc(now),
            host=os.uname().nodename,
            boot_id=alive.boot_id() or None,
        )

    def run(self) -> int:
        """Do it; the exit code of `mltop run` (interface)."""
        self._interrupts.install()
        child.become_subreaper()
        if self._delay_s and not self._interrupts.wait(self._delay_s):
            return self._end(self._not_started("its jitter"))
        patience_s = self._job.kill_grace_s + _REPLACE_PATIENCE_S
        try:
            self._lock = locking.take(
                self._history.place, self._job.id, self._job.on_overlap, patience_s, self._interrupts.wait
            )
        except locking.OverlapError as overlap:
            return self._end(self._not_started(str(overlap)))
        except OSError as error:
            return self.refuse(f"the lock of {self._job.id} cannot be taken: {error.strerror}")
        try:
            self._begin()
            return self._end(self._attempts())
        finally:
            self._lock.release()

    def skip(self, reason: str) -> int:
        """Do not run it, and say why in the history."""
        return self._end(Outcome(state=RunState.SKIPPED, exit_code=OVERLAP, reason=reason))

    def _not_started(self, overlap: str) -> Outcome:
        if (number := self._interrupts.number) is not None:
            return Outcome(state=RunState.ABORTED, exit_code=128 + number, reason=f"ended while waiting: {overlap}")
        return Outcome(state=RunState.SKIPPED, exit_code=OVERLAP, reason=overlap)

    def refuse(self, fault: str) -> int:
        """Do not run it for a fault of mltop's side, and say so in the history."""
        self.faults.append(fault)
        return self._end(Outcome(state=RunState.FAILED, exit_code=WRAPPER, reason=fault))

    def _begin(self) -> None:
        """Everything that notes a start, but for the row: the child goes first."""
        now = time.time()
        self._began = time.monotonic()
        run = self.run_record = self.run_record._replace(started_at=moment.utc(now))
        if self._lock is not None:
            self._lock.sign(run.id)
        self._log = RunLog(self._history.place.log(run.job, run.id), self._job.log_max_bytes)
        self._log.note(f"run {run.id} job {run.job} trigger {run.trigger} at {run.started_at} on {run.host}")
        self.run_record = run._replace(log_path=str(self._log.path))

    def write(self, data: bytes) -> None:
        """Take a piece of the job's output."""
        if self._log is not None:
            self._log.write(data)
        self._screen.write(data)

    def _attempts(self) -> Outcome:
        """Try as often as the job allows, under the one lock."""
        waits_s = self._job.retry_waits_s
        for number in range(1, len(waits_s) + 2):
            outcome = self._attempt(number)
            if number > len(waits_s) or not outcome.may_retry():
                break
            wait_s = waits_s[number - 1]
            self._note(f"attempt {number} of {len(waits_s) + 1}: {_said(outcome)}; again in {wait_s:g} s")
            if not self._interrupts.wait(wait_s):
                return judged(self._job, Ending(is_aborted=True), self._interrupts.number)
        if number > 1:
            reason = f"{outcome.reason + '; ' if outcome.reason else ''}attempt {number}"
            return outcome._replace(reason=reason)
        return outcome

    def _attempt(self, number: int) -> Outcome:
        run = self.run_record
        environment = self._plan.environment | marks(run.job, run.id, run.trigger or "manual", number)
        plan = self._plan._replace(environment=environment)
        try:
            attempt = Attempt(plan, self, self._interrupts, self._job.timeout_s, self._job.kill_grace_s)
        except child.StartError as error:
            return self._not_startable(error.code, str(error), number)
        except OSError as error:  # too many of them, or too little memory: it may be otherwise soon
            return self._not_startable(WRAPPER, f"no process: {error.strerror}", number)._replace(is_wrappers=False)
        if number == 1:
            self._note_start()
        for note in (*(self._plan.unheld if number == 1 else ()), *attempt.notes):
            self._note(note)
        ending = attempt.run()
        self._cpu_s += ending.cpu_s
        self._max_rss_bytes = max(self._max_rss_bytes, ending.max_rss_bytes)
        if ending.stuck and self._lock is not None:
            self._lock.note_stuck(list(ending.stuck))
        return judged(self._job, ending, self._interrupts.number)

    def _not_startable(self, code: int, reason: str, number: int) -> Outcome:
        if number == 1:
            self._note_start()
        if reason not in self.faults:
            self.faults.append(reason)
        return Outcome(state=RunState.FAILED, exit_code=code, reason=reason, is_wrappers=code == WRAPPER)

    def _note_start(self) -> None:
        with contextlib.suppress(OSError):  # said once, at the end
            self._history.start(self.run_record)
        run = self.run_record
        journal.send(f"job {run.job} started ({run.trigger}), log {run.log_path}", journal.INFO, self._fields())

    def _note(self, text: str) -> None:
        if self._log is not None:
            self._log.note(text)
        self._screen.line(f"mltop: {text}")

    def _end(self, outcome: Outcome) -> int:
        """Note the end everywhere; the exit code."""
        spent_s = time.monotonic() - self._began
        run = self._finished(outcome, spent_s)
        if self._log is not None:
            self._log.note(f"end {_said(outcome, spent_s)}")
            self._log.close()
            run = run._replace(log_bytes=self._log.size_bytes)
        self.run_record = run
        try:
            self._history.finish(run, self._retention())
        except OSError as error:
            self.faults.append(f"the run of {run.job} could not be noted: {error.strerror}")
        if os.geteuid() == 0:
            with contextlib.suppress(OSError):  # a help for others; the run itself is noted, or that was said
                summary.note(self._history.place, self._job, run)
        self._tell(run, outcome, spent_s)
        return outcome.exit_code

    def _retention(self) -> Retention:
        return Retention(self._job.history_runs, self._job.history_days, self._job.history_max_bytes)

    def _finished(self, outcome: Outcome, spent_s: float) -> Entry:
        log = self._log
        has_failed = outcome.state not in (RunState.OK, RunState.SKIPPED)
        reason = "; ".join(part for part in (outcome.reason, log.fault if log else None) if part)
        return self.run_record._replace(
            state=outcome.state,
            ended_at=moment.utc(time.time()),
            duration_s=round(spent_s, 3),
            exit_code=outcome.exit_code,
            signal=outcome.signal,
            reason=reason[:500] or None,
            cpu_s=round(self._cpu_s, 3) if log else None,
            max_rss_bytes=self._max_rss_bytes or None,
            last_error_line=log.last_error() if log and has_failed else None,
        )

    def _tell(self, run: Entry, outcome: Outcome, spent_s: float) -> None:
        """The journal's line, and that of a person who looks."""
        said = _said(outcome, spent_s)
        where = f", log {run.log_path}" if run.log_path else ""
        has_failed = outcome.state not in (RunState.OK, RunState.SKIPPED)
        last = "\n" + "\n".join(self._log.tail.lines()) if self._log and has_failed else ""
        priority = journal.ERROR if has_failed else journal.INFO
        journal.send(f"job {run.job} {said}{where}{last}", priority, self._fields())
        self._screen.line(f"mltop: {run.job}: {said}{where}")

    def _fields(self) -> dict[str, str]:
        run = self.run_record
        found = {"MLTOP_JOB": run.job, "MLTOP_RUN_ID": run.id, "MLTOP_STATE": run.state.value}
        return found | ({"MLTOP_LOG": run.log_path} if run.log_path else {})


def _said(outcome: Outcome, spent_s: float | None = None) -> str:
    """For people: `failed code 3 after 2.0 s`, `timeout code 124 after 1 h 0 min: wrapper timeout (1 h 0 min)`."""
    spent = f" after {moment.duration(spent_s)}" if spent_s is not None else ""
    reason = f": {outcome.reason}" if outcome.reason else ""
    return f"{outcome.state.value} code {outcome.exit_code}{spent}{reason}"
