"""What the demo's box keeps: its jobs, the runs that their schedules make of the last days, and their logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from mltop.commands.demo.box import HOST
from mltop.jobs.schedule.schedule import parse
from mltop.model.job import Drift, Job, Origin, Run, RunState

CONFIG = "config.toml"
_MOST_RUNS = 24
"""Of one job."""


class Kept(NamedTuple):
    """A job of the demo's config, and how its runs went."""

    id: str
    kind: str
    schedule: str
    description: str
    took_s: float
    back: timedelta
    """How far back its runs are told."""
    ends: Mapping[int, tuple[RunState, int | None, str]] = MappingProxyType({})
    """How a run ended that was not ok, by its place counted back from the last: state, exit code, last error line."""
    toml: str = ""
    """More lines of its table."""
    command: str = ""


_FULL = "cannot write /var/ml/metrics: No space left on device"
JOBS = (
    Kept(
        "models-backup", "backup", "0 2 * * *", "/var/ml/models to /var/ml/backups, kept for 30 days", 254.0,
        timedelta(days=8), {2: (RunState.FAILED, 1, "/var/ml/backups is not mounted"), 5: (RunState.LOST, None, "")},
        'source = "/var/ml/models"\ntarget = "/var/ml/backups"\nkeep_days = 30\ndrill = ""\n',
    ),
    Kept(
        "temp-cleanup", "cleanup", "0 */6 * * *", "/tmp/ml_cache and old checkpoints, 7 days", 8.0, timedelta(days=3),
        toml='older_than = "7d"\npaths = ["/tmp/ml_cache", "/var/ml/checkpoints/temp"]\n',
    ),
    Kept("health-check", "check", "0 * * * *", "the verdict, every hour", 1.2, timedelta(hours=20)),
    Kept(
        "gpu-metrics", "metrics", "*/5 * * * *", "a line a GPU, kept for 7 days", 0.9, timedelta(minutes=110),
        {0: (RunState.FAILED, 1, _FULL), 1: (RunState.FAILED, 1, _FULL)}, "keep_days = 7\n",
    ),
    Kept(
        "push-weights", "command", "30 3 * * *", "the weights go out when nobody trains", 1900.0, timedelta(days=6),
        {1: (RunState.TIMEOUT, None, "")}, 'command = ["/usr/local/bin/push-weights", "--to", "s3://weights/prod"]\n',
        "/usr/local/bin/push-weights --to s3://weights/prod",
    ),
    Kept(
        "logs", "rotate", "@daily", "training logs over 100 MiB, 10 kept", 3.0, timedelta(days=7),
        toml='[[jobs.logs.rules]]\npaths = ["/var/ml/training/logs/*.log"]\nsize = "100MiB"\nkeep = 10\n',
    ),
)  # fmt: skip

LOGS = {
    "models-backup": """\
source /var/ml/models: 214 files, 187.4 GiB
read  12 %
read  57 %
read 100 %
written {stamp}.tar.zst: 171.9 GiB
verify: 214 of 214 files equal
retention: 31 archives, 1 older than 30 days
warning: cannot stat /var/ml/models/old/link: Permission denied
removed 1 archive (171.2 GiB)
free on /var/ml/backups: 2.1 TiB
""",
    "temp-cleanup": """\
/tmp/ml_cache: 41.2 GiB before, 9.8 GiB after, 1,204 files removed
/var/ml/checkpoints/temp: 212.0 GiB before, 64.5 GiB after, 18 files removed
""",
    "health-check": """\
CRITICAL gpu.count  GPU 3  lost, Xid 79 fallen off the bus: drain and reboot the node
CRITICAL gpu.temp   GPU 4  91 C, 1 C below its slowdown: check cooling
WARNING  disk.space /data  91 % used
""",
    "gpu-metrics": "8 GPUs, 1 lost: 7 lines\n",
    "push-weights": "upload: 12 of 31 files\nupload: 31 of 31 files, 171.9 GiB\n",
    "logs": "/var/ml/training/logs/run-41.log: 312.0 MiB to run-41.log.1\n1 file compressed, 118.4 MiB freed\n",
}


def config_text() -> str:
    """The demo's config."""
    parts = ["# The demo's config: nothing here is real, and nothing is written.\nversion = 1\n"]
    for job in JOBS:
        parts.append(
            f'# {job.description}\n[jobs.{job.id}]\nkind = "{job.kind}"\nschedule = "{job.schedule}"\n{job.toml}'
        )
    return "\n".join(parts)


def runs(now: datetime, folder: Path) -> tuple[Run, ...]:
    """All runs, the latest first; `folder` holds their logs."""
    found = [run for job in JOBS for run in _runs(job, now, folder)]
    return tuple(sorted(found, key=lambda one: one.started_at or "", reverse=True))


def jobs(now: datetime, folder: Path) -> tuple[Job, ...]:
    """The list: the config's jobs, a line of the crontab and a timer."""
    found = []
    for job in JOBS:
        past = list(_runs(job, now, folder))
        found.append(
            Job(
                id=job.id,
                kind=job.kind,
                source=f"{folder / CONFIG}",
                schedule=(job.schedule,),
                next_runs=tuple(map(_text, parse(job.schedule).next_runs(now, 5))),
                last_run=past[-1] if past else None,
                streak=tuple(run.state for run in past[-10:]),
                state=str(past[-1].state) if past else "never seen",
                drift=Drift.IN_SYNC,
                command=job.command or f"mltop run {job.id}",
                description=job.description,
            )
        )
    return (*found, *_foreign(now))


def write_logs(folder: Path, now: datetime) -> None:
    """The logs of all runs."""
    for run in runs(now, folder):
        if run.log_path is not None:
            code = f", exit {run.exit_code}" if run.exit_code is not None else ""
            failed = f"{run.last_error_line}\n" if run.last_error_line else ""
            head = f"# mltop {run.job}: by schedule on {HOST} at {run.started_at}\n"
            body = LOGS[run.job].format(stamp=run.id) if run.state is RunState.OK else failed
            Path(run.log_path).write_text(f"{head}{body}# mltop {run.state}{code}, took {run.duration_s:g} s\n")


def _runs(job: Kept, now: datetime, folder: Path) -> Iterator[Run]:
    """The runs of one job, oldest first."""
    times = [at for at in parse(job.schedule).next_runs(now - job.back, 400) if at <= now][-_MOST_RUNS:]
    for place, at in enumerate(times):
        state, code, line = job.ends.get(len(times) - 1 - place, (RunState.OK, 0, ""))
        took = min(job.took_s * (1 + 0.04 * (place % 5)), (now - at).total_seconds())
        is_known = state is not RunState.LOST
        id = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ") + f"-{job.id[:4]}"
        log = folder / f"{id}.log"
        yield Run(
            id=id,
            job=job.id,
            trigger="schedule",
            scheduled_for=_text(at),
            started_at=_text(at),
            ended_at=_text(at + timedelta(seconds=took)) if is_known else None,
            duration_s=round(took, 1) if is_known else None,
            state=state,
            exit_code=code,
            reason={RunState.LOST: "the box went down", RunState.TIMEOUT: "time limit of 1 h"}.get(state),
            log_path=str(log) if is_known else None,
            log_bytes=log.stat().st_size if is_known and log.exists() else None,
            last_error_line=line or None,
            host=HOST,
        )


def _foreign(now: datetime) -> Iterator[Job]:
    yield Job(
        id="crontab-3f9c21",
        origin=Origin.CRONTAB,
        source="crontab:7",
        schedule=("*/10 * * * *",),
        next_runs=tuple(map(_text, parse("*/10 * * * *").next_runs(now, 5))),
        state="never seen",
        command="/home/mluser/bin/sync-datasets --quiet",
    )
    yield Job(
        id="certbot.timer",
        origin=Origin.SYSTEMD,
        scope="system",
        source="/lib/systemd/system/certbot.timer",
        schedule=("*-*-* 00,12:00:00",),
        next_runs=tuple(map(_text, parse("0 0,12 * * *").next_runs(now, 5))),
        state="never seen",
        command="certbot.service",
    )


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
