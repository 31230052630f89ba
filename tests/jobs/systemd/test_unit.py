"""Units as they are rendered, and as systemd-analyze reads them (D3, D32)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from scheduler_box import command

from mltop.config.job import BackupSpec, CheckSpec, CommandSpec, JobConfig, RotateSpec
from mltop.jobs.crontab.line import Call
from mltop.jobs.schedule.schedule import parse
from mltop.jobs.systemd import unit
from mltop.jobs.systemd.manager import SystemdError, verify

CALL = Call("/usr/bin/true", "/home/a user/100%/x$y.toml", "/srv/st")
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze: install systemd"
)


def rendered(job: JobConfig, call: Call = CALL) -> tuple[str, str]:
    made = unit.files(job, job.id, [parse(text) for text in job.schedule], call, Path("/var/lib/mltop"))
    service, timer = unit.names(job.id)
    return made[service].decode(), made[timer].decode()


def value(text: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def full(**fields: object) -> JobConfig:
    limits = {"nice": 10, "io_class": "idle", "memory_max_bytes": 2 << 30, "cpu_quota_percent": 200.0}
    return command("a", "Mon..Fri 03:30", "0 0 13 * 5", **(limits | fields))


def test_a_service_repeats_the_limits_as_a_net() -> None:
    service, _ = rendered(full(retries=2, timeout_s=3600.0, kill_grace_s=30.0, retry_wait_s=300.0, jitter_s=300.0))
    assert value(service, "TimeoutStartSec") == [str(3 * 3630 + (300 + 600) + 300 + 60)]
    assert value(service, "Type") == ["oneshot"]
    assert value(service, "KillMode") == ["mixed"]
    assert value(service, "SuccessExitStatus") == ["75"]
    assert value(service, "Nice") == ["10"]
    assert value(service, "IOSchedulingClass") == ["idle"]
    assert value(service, "MemoryMax") == [str(2 << 30)]
    assert value(service, "CPUQuota") == ["200%"]
    assert value(service, "User") == []


@pytest.mark.parametrize(("fields", "limit"), [({"timeout_s": None}, "infinity"), ({"on_overlap": "queue"}, "infinity"),
                                               ({"on_overlap": "wait:600"}, str(3600 + 30 + 600 + 60))])  # fmt: skip
def test_the_net_is_never_closer_than_the_wrapper(fields: dict[str, object], limit: str) -> None:
    service, _ = rendered(command("a", "0 2 * * *", **fields))
    assert value(service, "TimeoutStartSec") == [limit]


def test_a_timer_has_every_expression_and_is_exact() -> None:
    _, timer = rendered(full(persistent=True, jitter_s=300.0))
    assert value(timer, "OnCalendar") == ["Mon..Fri 03:30", "*-*-13 00:00:00", "Fri *-*-* 00:00:00"]
    assert value(timer, "Persistent") == ["true"]
    assert value(timer, "AccuracySec") == ["1s"]
    assert value(timer, "RandomizedDelaySec") == ["300"]
    assert value(timer, "FixedRandomDelay") == ["true"]


def test_a_hung_drivers_probe_is_not_waited_for() -> None:
    service, _ = rendered(command("a", "0 * * * *", kind="check", spec=CheckSpec()))
    assert value(service, "KillMode") == ["process"]
    assert value(service, "TimeoutStopSec") == ["10"]


def test_only_jobs_of_the_system_are_fenced_in_and_where_it_is_known_what_they_write() -> None:
    spec = BackupSpec(sources=("/srv",), target="/backup dir")
    job = JobConfig(id="a", kind="backup", spec=spec, schedule=("0 2 * * *",), scope="system")
    service, _ = rendered(job)
    assert value(service, "ProtectSystem") == ["strict"]
    assert value(service, "ReadWritePaths") == ["-/var/lib/mltop", "-/var/log/mltop", '"-/backup dir"']
    rotation = JobConfig(id="a", kind="rotate", spec=RotateSpec(), schedule=("0 2 * * *",), scope="system")
    assert value(rendered(rotation)[0], "ProtectSystem") == []
    any_command = command("a", "0 2 * * *", scope="system", spec=CommandSpec(command="x"))
    assert value(rendered(any_command)[0], "NoNewPrivileges") == []
    assert (
        value(rendered(JobConfig(id="a", kind="backup", spec=spec, schedule=("0 2 * * *",)))[0], "ProtectSystem") == []
    )


def test_what_is_found_is_told_from_what_was_written() -> None:
    service, timer = rendered(full())
    found = unit.owned("mltop-a.service", service.encode())
    assert found == unit.Owned("a", CALL, True)
    for name, text in (("mltop-a.service", service), ("mltop-a.timer", timer)):
        assert unit.owned(name, text.encode()).is_intact  # type: ignore[union-attr]
        assert not unit.owned(name, text.replace("[Unit]", "[Unit]\nAfter=x").encode()).is_intact  # type: ignore[union-attr]
    assert unit.owned("mltop-a.service", b"[Service]\nExecStart=/bin/true\n") is None
    assert unit.owned("other.service", service.encode()) is None
    assert unit.expressions(timer.encode()) == ("Mon..Fri 03:30", "*-*-13 00:00:00", "Fri *-*-* 00:00:00")


@needs_systemd
def test_systemd_takes_every_unit() -> None:
    spec = BackupSpec(sources=("/srv",), target="/backup dir")
    backup = JobConfig(id="b", kind="backup", spec=spec, schedule=("every 90m",), scope="system", persistent=True)
    for job in (full(persistent=True, jitter_s=300.0, retries=2), backup):
        service, timer = rendered(job)
        names = unit.names(job.id)
        verify("system", {"PATH": "/usr/bin:/bin"}, {names[0]: service.encode(), names[1]: timer.encode()})


@needs_systemd
@pytest.mark.parametrize("bad", ["Persistant=true", "OnCalendar=garbage"])
def test_systemd_refuses_what_it_does_not_know(bad: str) -> None:
    service, timer = rendered(full())
    broken = timer.replace("[Timer]\n", f"[Timer]\n{bad}\n")
    with pytest.raises(SystemdError, match=bad.partition("=")[0] if "=true" in bad else "garbage"):
        verify(
            "system", {"PATH": "/usr/bin:/bin"}, {"mltop-a.service": service.encode(), "mltop-a.timer": broken.encode()}
        )
