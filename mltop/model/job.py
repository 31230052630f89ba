"""A scheduled job and its runs, as they are listed (`mltop.jobs/1`, `mltop.runs/1`). The keys are a public contract."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from mltop.model.run_state import RunState as RunState

JOBS_SCHEMA = "mltop.jobs/1"
RUNS_SCHEMA = "mltop.runs/1"


class Origin(StrEnum):
    """Where a job lives: in mltop's config, or in the scheduler only."""

    MLTOP = "mltop"
    CRONTAB = "crontab"
    CRON_D = "cron.d"
    CRON_HOURLY = "cron.hourly"
    CRON_DAILY = "cron.daily"
    CRON_WEEKLY = "cron.weekly"
    CRON_MONTHLY = "cron.monthly"
    SYSTEMD = "systemd"


class Drift(StrEnum):
    """The scheduler against the config."""

    IN_SYNC = "in-sync"
    MISSING = "missing"
    """In the config and not in the scheduler."""
    CHANGED = "changed"
    """In the scheduler as an earlier config had it."""
    DRIFTED = "drifted"
    """In the scheduler, edited by hand."""
    ORPHANED = "orphaned"
    """In the scheduler and no longer in the config."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run; times are RFC 3339 in UTC with `Z`."""

    id: str
    job: str
    trigger: str | None = None
    """`schedule`, `manual` or `catch-up`."""
    scheduled_for: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    duration_s: float | None = None
    state: RunState = RunState.RUNNING
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    """What the state alone does not say: `overlap with 20261124T…`, `no GPU`, `wrapper timeout`."""
    cpu_s: float | None = None
    max_rss_bytes: int | None = None
    log_path: str | None = None
    log_bytes: int | None = None
    last_error_line: str | None = None
    host: str | None = None
    boot_id: str | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the list of all jobs; a foreign entry's id is stable while its text is."""

    id: str
    kind: str | None = None
    """`backup`, `cleanup`, `rotate`, `metrics`, `check`, `command`; `None` for a foreign entry."""
    origin: Origin = Origin.MLTOP
    scope: str = "user"
    """`user` or `system`."""
    source: str | None = None
    """The file or unit that it stands in, with the line where there is one: `crontab:12`."""
    schedule: tuple[str, ...] = ()
    next_runs: tuple[str, ...] = ()
    enabled: bool = True
    last_run: Run | None = None
    """The last observed run; `None`: never seen."""
    streak: tuple[RunState, ...] = ()
    """The last ten runs, oldest first."""
    state: str | None = None
    """For a reader: `running`, `ok`, `failed`, `never seen`, `not set up`, `by hand only` …"""
    drift: Drift | None = None
    """`None` for a foreign entry, and where there is no scheduler."""
    command: str | None = None
    description: str | None = None
