"""What a run's end means: its state, exit code and reason, of an attempt's bare ending (D33, D35, interface)."""

from __future__ import annotations

import signal
from typing import NamedTuple

from mltop.config.job import JobConfig
from mltop.jobs.history.entry import listed
from mltop.jobs.moment import duration
from mltop.jobs.runner.attempt import Ending
from mltop.jobs.runner.child import WRAPPER as WRAPPER
from mltop.model.run_state import RunState

TIMEOUT = 124
OVERLAP = 75
NO_GPU = 69
"""EX_UNAVAILABLE (sysexits.h): with it a built-in `metrics` or `check` says that there is no GPU to look at."""


class Outcome(NamedTuple):
    """How a run, or one attempt, ended."""

    state: RunState
    exit_code: int
    signal: int | None = None
    reason: str | None = None
    is_wrappers: bool = False
    """It was mltop itself that could not start it: no exit code of the command's, though it may have the same."""

    def may_retry(self) -> bool:
        """Whether another attempt makes sense."""
        return self.state in (RunState.FAILED, RunState.TIMEOUT) and not self.is_wrappers


def judged(job: JobConfig, ending: Ending, interrupt: int | None) -> Outcome:
    """The outcome of an attempt; `interrupt` is the signal that ended the wrapper."""
    if ending.stuck:
        reason = f"not ended by SIGKILL: {listed(list(ending.stuck))}"
        return Outcome(state=RunState.STUCK, exit_code=WRAPPER, reason=reason)
    if ending.is_aborted:
        number = interrupt or signal.SIGTERM
        reason = f"ended by {signal.Signals(number).name}"
        return Outcome(state=RunState.ABORTED, exit_code=128 + number, signal=_signal(ending), reason=reason)
    if ending.is_timeout:
        reason = f"wrapper timeout ({duration(job.timeout_s or 0)})"
        return Outcome(state=RunState.TIMEOUT, exit_code=TIMEOUT, signal=_signal(ending), reason=reason)
    return _of_status(job, ending)


def _of_status(job: JobConfig, ending: Ending) -> Outcome:
    status = ending.status if ending.status is not None else WRAPPER
    left = f"left running: {listed(list(ending.left))}" if ending.left else None
    if status < 0:
        reason = _joined(f"killed by {_name(-status)}", left)
        return Outcome(state=RunState.FAILED, exit_code=128 - status, signal=-status, reason=reason)
    if status == NO_GPU and job.kind in ("metrics", "check"):
        return Outcome(state=RunState.SKIPPED, exit_code=0, reason="no GPU")
    if status == OVERLAP and job.kind == "drill":  # what its backup is encrypted with is not on this box (D37)
        return Outcome(state=RunState.SKIPPED, exit_code=OVERLAP, reason="no key")
    if status != 0 and status in job.soft_fail:
        return Outcome(state=RunState.SKIPPED, exit_code=status, reason=_joined(f"soft failure: exit {status}", left))
    return Outcome(state=RunState.FAILED if status else RunState.OK, exit_code=status, reason=left)


def _signal(ending: Ending) -> int | None:
    return -ending.status if ending.status is not None and ending.status < 0 else None


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time one


def _joined(*parts: str | None) -> str:
    return "; ".join(part for part in parts if part)
