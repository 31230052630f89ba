"""A kept box's jobs, runs, verdict and logs, as mltop's command line tells them: for the screens and their pictures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from mltop.model.job import Drift, Job, Origin, Run, RunState
from mltop.model.verdict import Counts, Result, State, Verdict
from mltop.ui.answers import Jobs, Plan, Runs

HOST = "gpu-07"


def at(now: datetime, **back: float) -> str:
    return (now - timedelta(**back)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def run(
    now: datetime, job: str, hours: float, state: RunState = RunState.OK, took: float = 12.0, **more: object
) -> Run:
    values: dict[str, object] = {
        "id": f"{at(now, hours=hours).replace(':', '').replace('-', '')}-{job[:4]}",
        "job": job,
        "trigger": "schedule",
        "started_at": at(now, hours=hours),
        "duration_s": None if state is RunState.RUNNING else took,
        "state": state,
        "exit_code": {RunState.OK: 0, RunState.FAILED: 3}.get(state),
        "host": HOST,
    }
    return Run(**(values | more))  # type: ignore[arg-type]


def jobs(now: datetime) -> tuple[Job, ...]:
    ok, bad = RunState.OK, RunState.FAILED
    source = "/home/mlu1/.config/mltop/config.toml"
    ahead = lambda hours: at(now, hours=-hours)  # noqa: E731
    return (
        Job(
            id="models-backup", kind="backup", schedule=("0 2 * * *",), source=f"{source}:12",
            next_runs=(ahead(11.6), ahead(35.6), ahead(59.6)), streak=(ok,) * 7 + (bad, ok, ok), state="ok",
            last_run=run(now, "models-backup", 12.4, took=254.0), drift=Drift.IN_SYNC,
            command="mltop run models-backup", description="/var/ml/models to /var/ml/backups, kept for 30 days",
        ),
        Job(
            id="temp-cleanup", kind="cleanup", schedule=("0 */6 * * *",), source=f"{source}:24",
            next_runs=(ahead(3.6),), streak=(ok,) * 10, state="ok", last_run=run(now, "temp-cleanup", 2.4, took=8.0),
            drift=Drift.IN_SYNC, command="mltop run temp-cleanup",
        ),
        Job(
            id="health-check", kind="check", schedule=("0 * * * *",), source=f"{source}:31", next_runs=(ahead(0.6),),
            streak=(ok,) * 10, state="ok", last_run=run(now, "health-check", 0.4, took=1.2), drift=Drift.IN_SYNC,
            command="mltop run health-check",
        ),
        Job(
            id="gpu-metrics", kind="metrics", schedule=("*/5 * * * *",), source=f"{source}:36",
            next_runs=(ahead(0.04),),
            streak=(ok, ok, ok, ok, ok, ok, ok, ok, bad, bad), state="failed", drift=Drift.IN_SYNC,
            last_run=run(
                now, "gpu-metrics", 0.05, bad, 2.0,
                last_error_line="cannot write /var/ml/metrics/2026-03-02.csv: No space left on device",
            ),
            command="mltop run gpu-metrics",
        ),
        Job(
            id="push-weights", kind="command", schedule=("Mon..Fri 03:30", "Sat,Sun 05:00"), source=f"{source}:48",
            next_runs=(ahead(13.1),), streak=(ok, RunState.TIMEOUT, ok), state="running", drift=Drift.DRIFTED,
            last_run=run(now, "push-weights", 0.2, RunState.RUNNING, trigger="manual"),
            command="/usr/local/bin/push-weights --to s3://weights/prod",
        ),
        Job(
            id="logs", kind="rotate", schedule=("@daily",), source=f"{source}:60", enabled=False, state="disabled",
            drift=Drift.IN_SYNC, command="mltop run logs", last_run=None,
        ),
        Job(
            id="crontab-3f9c21", origin=Origin.CRONTAB, source="crontab:7", schedule=("*/10 * * * *",),
            next_runs=(ahead(0.1),), state="never seen", command="/home/mlu1/bin/sync-datasets --quiet",
        ),
        Job(
            id="certbot.timer", origin=Origin.SYSTEMD, scope="system", source="/lib/systemd/system/certbot.timer",
            schedule=("*-*-* 00,12:00:00",), next_runs=(ahead(9.7),), state="ok", command="certbot.service",
            last_run=run(now, "certbot.timer", 2.3, took=3.0),
        ),
    )  # fmt: skip


LOG = """\
# mltop models-backup: by schedule on gpu-07 at {time}
source /var/ml/models: 214 files, 187.4 GiB
\x1b[32mread\x1b[0m  12 %\r\x1b[32mread\x1b[0m  57 %\r\x1b[32mread\x1b[0m 100 %
written /var/ml/backups/models-backup/20260302T020000Z.tar.zst: 171.9 GiB
verify: 214 of 214 files equal, SHA-256 9a4c5f0e
retention: 31 archives, 1 older than 30 days
warning: cannot stat /var/ml/models/old/link: Permission denied
removed 20260130T020000Z (171.2 GiB)
free on /var/ml/backups: 2.1 TiB
# mltop ok, exit 0, took 254 s
"""


def runs(now: datetime, log: Path) -> tuple[Run, ...]:
    bad = RunState.FAILED
    size = log.stat().st_size if log.exists() else None
    where = {"log_path": str(log), "log_bytes": size}
    found = [
        run(now, "push-weights", 0.2, RunState.RUNNING, trigger="manual", **where),
        run(now, "gpu-metrics", 0.05, bad, 2.0, last_error_line="No space left on device", **where),
        run(now, "gpu-metrics", 0.13, bad, 2.0, last_error_line="No space left on device", **where),
        run(now, "health-check", 0.4, took=1.2, **where),
        run(now, "temp-cleanup", 2.4, took=8.0, **where),
        run(now, "models-backup", 12.4, took=254.0, **where),
        run(now, "push-weights", 24.2, RunState.TIMEOUT, 3600.0, reason="time limit of 1 h", **where),
        run(now, "models-backup", 36.4, took=261.0, **where),
        run(now, "models-backup", 60.4, bad, 31.0, last_error_line="target is not mounted", **where),
        run(now, "models-backup", 84.4, RunState.LOST, reason="the box went down", duration_s=None, log_path=None),
    ]
    return tuple(sorted(found, key=lambda one: one.started_at or "", reverse=True))


def verdict(now: datetime) -> Verdict:
    def result(check: str, target: str, state: State, summary: str, **more: object) -> Result:
        return Result(check=check, target=target, target_name=target, state=state, summary=summary, **more)  # type: ignore[arg-type]

    ok = State.OK
    results = (
        result(
            "disk.space", "/data", State.WARNING, "91.2 % used, 640 GiB free", value=91.2, unit="%", warn="@85:",
            crit="@95:", since=at(now, hours=3.2),
            action="Make room: mltop cleanup temp-cleanup --dry-run shows what could go.",
        ),
        result("redis", "cache", State.CRITICAL, "no answer in 2 s from 127.0.0.1:6379", reason="timeout",
               since=at(now, minutes=4.0), value=2.0, unit="s", warn="@2:", action="systemctl status redis-server"),
        result("api", "inference", ok, "200 in 41 ms", value=0.041, unit="s"),
        result("svc.unit", "docker", ok, "active"),
        result("svc.unit", "ssh", ok, "active"),
        result("gpu.driver", "driver", ok, "550.54.15, 8 of 8 GPUs"),
        *(result("gpu.temp", f"GPU {n}", ok, f"{60 + n} C, {27 - n} C below slowdown") for n in range(8)),
        result("disk.space", "/", ok, "61 % used, 212 GiB free"),
        result("mem.available", "memory", ok, "38 % available"),
        result("cpu.load", "load", ok, "12 % of the CPUs"),
        result("gpu.remap", "GPUs", State.SKIP, "no card of these remaps rows"),
    )  # fmt: skip
    return Verdict(
        version="0.1.0", host=HOST, time=at(now), state=State.CRITICAL, exit_code=2, complete=True,
        counts=Counts.of(results), results=results,
    )  # fmt: skip


DIFF = """\
--- /home/mlu1/.config/mltop/config.toml
+++ /home/mlu1/.config/mltop/config.toml
@@ -46,5 +46,5 @@
 # The weights go out when nobody trains.
 [jobs.push-weights]
 kind = "command"
-schedule = ["Mon..Fri 03:30", "Sat,Sun 05:00"]
+schedule = "0 4 * * *"
 command = "/usr/local/bin/push-weights --to s3://weights/prod"
--- crontab
+++ crontab
@@ -11,4 +11,3 @@
 0 2 * * * /usr/local/bin/mltop run models-backup # mltop:v1:5f1c2a90
-30 3 * * 1-5 /usr/local/bin/mltop run push-weights # mltop:v1:9a0b1c2d
-0 5 * * 0,6 /usr/local/bin/mltop run push-weights # mltop:v1:9a0b1c2d
+0 4 * * * /usr/local/bin/mltop run push-weights # mltop:v1:77e0f3b1
 # <<< mltop managed <<<
"""


def write(folder: Path, now: datetime) -> None:
    """Everything that the screens ask, as files for `scripted_mltop.py`."""
    log = folder / "run.log"
    log.write_text(LOG.format(time=at(now, hours=12.4)))
    notes = ("systemd does not run here: no timers",)
    listed = runs(now, log)
    answers: dict[str, msgspec.Struct] = {
        "check": verdict(now),
        "jobs-list": Jobs(jobs=jobs(now), notes=notes),
        "jobs-history": Runs(runs=listed),
        "jobs-plan": Plan(diff=DIFF),
        "jobs-edit-push-weights.dry": Plan(diff=DIFF),
        "jobs-remove-push-weights.dry": Plan(diff=DIFF),
        "jobs-add-nightly.dry": Plan(diff=DIFF),
    }
    for job in {one.job for one in listed}:
        answers[f"jobs-history-{job}"] = Runs(runs=tuple(one for one in listed if one.job == job))
    for name, answer in answers.items():
        (folder / f"{name}.json").write_bytes(msgspec.json.encode(answer))
