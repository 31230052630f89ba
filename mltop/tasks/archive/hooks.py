"""Commands around a backup: before it, after a good one, on an error, and always; run by their words, never by a shell.

They get the job and how it went in their environment, and their output goes where the task's goes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from mltop.config.job import Hooks
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.record import BackupReport, State
from mltop.tasks.outcome import Control, Exit, Problem, TaskError, os_reason, problem

_POLL_S = 0.05
_GRACE_S = 5.0
_MOST = 20
"""Problems in the report that a hook gets: one variable of an environment has at most 128 KiB (execve(2))."""


def with_hooks(
    job: BackupJob, hooks: Hooks, control: Control, create: Callable[[BackupJob, Control], BackupReport]
) -> BackupReport:
    """Make a backup between its hooks, and return its report.

    Where `before` fails there is no backup and the run has failed. Where `after` fails the backup stands as it is, and
    the run has failed. What `on_error` and `always` end with is noted.
    """
    try:
        _run("before", hooks.before, hooks, _about(job, None), control)
        report = create(job, control)
        if report.exit_code is Exit.OK:
            report = _after(job, hooks, control, report)
    except TaskError as error:
        report = BackupReport(
            job=job.job,
            state=State.FAILED,
            exit_code=error.code,
            message=str(error),
            hint=error.hint,
            started_at=datetime.now(UTC),
        )
    calm = Control()  # a run that was asked to stop still puts back what `before` has changed
    if report.exit_code is not Exit.OK:
        report = _noted(report, "on_error", hooks, hooks.on_error, job, calm)
    return _noted(report, "always", hooks, hooks.always, job, calm)


def _after(job: BackupJob, hooks: Hooks, control: Control, report: BackupReport) -> BackupReport:
    try:
        _run("after", hooks.after, hooks, _about(job, report), control)
    except TaskError as error:
        said = f"the backup is {report.state.value}, but {error}"
        return msgspec.structs.replace(report, exit_code=error.code, message=said, hint=error.hint)
    return report


def _noted(
    report: BackupReport, name: str, hooks: Hooks, words: tuple[str, ...], job: BackupJob, control: Control
) -> BackupReport:
    try:
        _run(name, words, hooks, _about(job, report), control)
    except TaskError as error:
        note: Problem = problem("hook", name, str(error), error.hint)
        return msgspec.structs.replace(report, notes=(*report.notes, note))
    return report


def _about(job: BackupJob, report: BackupReport | None) -> Mapping[str, str]:
    """What a hook is told; without a report the run is only about to begin."""
    about = {"MLTOP_JOB": job.job, "MLTOP_TARGET": job.target, "MLTOP_SOURCES": "\n".join(job.sources)}
    if report is None:
        return about
    short = msgspec.structs.replace(report, problems=report.problems[:_MOST], notes=report.notes[:_MOST], prune=None)
    return about | {
        "MLTOP_STATE": report.state.value,
        "MLTOP_EXIT_CODE": str(int(report.exit_code)),
        "MLTOP_MESSAGE": report.message or "",
        "MLTOP_ARCHIVE": report.path or "",
        "MLTOP_ARCHIVE_ID": report.id or "",
        "MLTOP_REPORT": msgspec.json.encode(short).decode(),
    }


def _run(name: str, words: tuple[str, ...], hooks: Hooks, about: Mapping[str, str], control: Control) -> None:
    """Run one hook to its end; raises `TaskError` when it fails, does not end in time, or the task is to stop."""
    if not words:
        return
    control.begin(f"hook {name}")
    hint = f"try it by hand; see hooks.{name} in the config"
    environment = {**os.environ, **about, "MLTOP_HOOK": name}
    try:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, env=environment, process_group=0)
    except (OSError, ValueError) as error:
        said = os_reason(error) if isinstance(error, OSError) else str(error)
        raise TaskError(f"the hook {name} cannot be started: {said}", hint) from error
    try:
        code = _ended(child, hooks.timeout_s, control)
    finally:
        if child.returncode is None:
            _end(child)
    if code is None:
        raise TaskError(f"the hook {name} did not end within {hooks.timeout_s:g} s", hint)
    if code:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
        raise TaskError(f"the hook {name} {how}", hint)


def _ended(child: subprocess.Popen[bytes], limit_s: float, control: Control) -> int | None:
    deadline = time.monotonic() + limit_s
    while (left_s := deadline - time.monotonic()) > 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(min(_POLL_S, left_s))
        control.check()
    return None


def _end(child: subprocess.Popen[bytes]) -> None:
    """End all of its group; one in the kernel's hands is left, as the wrapper tells."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)
            return
    child.returncode = -signal.SIGKILL
