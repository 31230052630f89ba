from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mltop.config.fault import Fault
from mltop.config.job import (
    DAY_S,
    BackupSpec,
    CheckSpec,
    CleanupSpec,
    CommandSpec,
    DrillSpec,
    JobConfig,
    Keep,
    MetricsSpec,
    RotateRule,
    RotateSpec,
)
from mltop.config.jobs import Jobs, load_job, load_jobs

STANDARD = """version = 1
[defaults]
timeout = "1h"
env = { A = "1", B = "1" }

[jobs.models-backup]
kind = "backup"
schedule = "0 2 * * *"
source = "/var/ml/models"
target = "/var/ml/backups"
keep_days = 30
timeout = "4h"
env = { B = "2" }
persistent = true
jitter = "5m"

[jobs.temp-cleanup]
kind = "cleanup"
schedule = ["0 */6 * * *"]
older_than = "7d"
paths = ["/tmp/ml_cache", "~/.cache/torch"]
profiles = ["pip"]

[jobs.health-check]
kind = "check"

[jobs.gpu-metrics]
kind = "metrics"
keep_days = 7
format = "jsonl"

[jobs.logs]
kind = "rotate"
[[jobs.logs.rules]]
paths = ["/var/ml/training/logs/*.log"]
size = "100MiB"
keep = 10
max_size = "1GiB"
[[jobs.logs.rules]]
paths = ["/x/*.log"]
age = "1d"
mode = "copytruncate"
after = ["systemctl", "reload", "x"]

[jobs.own]
kind = "command"
command = "echo $HOME"
on_overlap = "wait:10m"
timeout = "0"
soft_fail = [75]
nice = 10
io_class = "idle"
memory_max = "2GiB"
cpu_quota = "200%"
alert = { after = 3 }
"""


class Box:
    """A system's files and a user's."""

    def __init__(self, root: Path) -> None:
        self.etc = root / "etc"
        self.home = root / "home"
        self.own = self.home / ".config/mltop/config.toml"
        (self.etc / "jobs.d").mkdir(parents=True)
        self.own.parent.mkdir(parents=True)
        self.environment = {"HOME": str(self.home)}

    def write(self, own: str = "", system: str = "", **parts: str) -> Box:
        self.own.write_text(own)
        (self.etc / "config.toml").write_text(system)
        for name, text in parts.items():
            (self.etc / "jobs.d" / f"{name}.toml").write_text(text)
        return self

    def all(self, option: str | None = None, **more: Callable[[str], object]) -> Jobs:
        return load_jobs(option, self.environment, self.etc / "config.toml", **more)

    def one(self, name: str, option: str | None = None) -> JobConfig:
        return load_job(name, option, self.environment, self.etc / "config.toml")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_a_backup_brings_its_drill(box: Box) -> None:  # D37
    found = box.write(STANDARD).all().jobs
    backup, drill = found["models-backup"], found["models-backup.drill"]
    assert drill == box.one("models-backup.drill")
    assert drill.spec == DrillSpec(backup=backup.spec)
    assert (drill.kind, drill.schedule, drill.on_overlap) == ("drill", ("@monthly",), "wait:3600")
    assert (drill.timeout_s, drill.env, drill.source) == (backup.timeout_s, backup.env, backup.source)


def test_a_drill_has_a_time_of_its_own_or_none(box: Box) -> None:
    table = '[jobs.b]\nkind = "backup"\nsource = "/a"\ntarget = "/b"\n'
    weekly = box.write(f'{table}drill = "@weekly"\nenabled = false\n').all().jobs["b.drill"]
    assert (weekly.schedule, weekly.enabled) == (("@weekly",), False)
    assert list(box.write(f'{table}drill = ""\n').all().jobs) == ["b"]
    assert box.one("b.drill").schedule == ()  # by hand it still runs
    assert "drill" not in box.write(f'{table}[jobs.b.alert]\nping_url = "https://x/y"\n').one("b.drill").alert
    assert box.one("b.drill").alert == {}


@pytest.mark.parametrize(
    ("name", "words"), [("x.drill", "only a backup has a drill"), ("y.drill", 'no job "y"'), (".drill", "no job")]
)
def test_only_a_backup_has_a_drill(box: Box, name: str, words: str) -> None:
    box.write(job(""))
    with pytest.raises(Fault, match=words):
        box.one(name)


def test_a_drill_is_not_written_in_a_config(box: Box) -> None:
    found = box.write('[jobs.x]\nkind = "drill"\n[jobs."x.drill"]\nkind = "command"\ncommand = ["a"]\n').all()
    assert found.jobs == {}
    assert len(found.faults) == 2


def job(own: str) -> str:
    return f'[jobs.x]\nkind = "command"\ncommand = ["true"]\n{own}\n'


def test_no_config_at_all_is_no_job(tmp_path: Path) -> None:
    assert load_jobs(None, {}, tmp_path / "none") == Jobs({})


def test_every_kind_is_typed(box: Box) -> None:
    found = box.write(STANDARD).all()
    assert found.faults == ()
    assert list(found.jobs) == [
        "models-backup",
        "models-backup.drill",
        "temp-cleanup",
        "health-check",
        "gpu-metrics",
        "logs",
        "own",
    ]
    backup = found.jobs["models-backup"]
    assert backup.spec == BackupSpec(
        sources=("/var/ml/models",), target="/var/ml/backups", keep=Keep(within_s=30 * DAY_S)
    )
    assert (backup.timeout_s, backup.jitter_s, backup.persistent) == (4 * 3600, 300, True)
    assert (backup.schedule, backup.scope, backup.source) == (("0 2 * * *",), "user", "config.toml:6")
    assert backup.file == str(box.own)
    assert found.jobs["temp-cleanup"].spec == CleanupSpec(
        paths=("/tmp/ml_cache", "~/.cache/torch"), older_than_s=7 * DAY_S, profiles=("pip",)
    )
    assert found.jobs["health-check"].spec == CheckSpec()
    assert found.jobs["gpu-metrics"].spec == MetricsSpec(format="jsonl", keep_days=7)
    assert found.jobs["logs"].spec == RotateSpec(
        rules=(
            RotateRule(paths=("/var/ml/training/logs/*.log",), size_bytes=100 << 20, keep=10, max_bytes=1 << 30),
            RotateRule(paths=("/x/*.log",), age_s=DAY_S, mode="copytruncate", after=("systemctl", "reload", "x")),
        )
    )
    own = found.jobs["own"]
    assert own.spec == CommandSpec(command="echo $HOME")
    assert (own.on_overlap, own.timeout_s, own.soft_fail, own.nice) == ("wait:600", None, (75,), 10)
    assert (own.memory_max_bytes, own.cpu_quota_percent, own.alert) == (2 << 30, 200.0, {"after": 3})
    assert own.enabled
    assert own.schedule == ()


def test_defaults_lie_under_every_job_and_env_is_merged(box: Box) -> None:
    found = box.write(STANDARD).all().jobs
    assert found["models-backup"].env == {"A": "1", "B": "2"}
    assert found["gpu-metrics"].env == {"A": "1", "B": "1"}
    assert found["gpu-metrics"].timeout_s == 3600


def test_load_job_gives_what_load_jobs_gives(box: Box) -> None:
    found = box.write(STANDARD).all().jobs
    for name, expected in found.items():
        assert box.one(name) == expected


def test_jobs_stay_in_their_scope(box: Box) -> None:
    box.write(
        "[defaults]\nretries = 1\n" + job(""),
        '[defaults]\nnice = 5\n[jobs.s]\nkind = "check"\nrun_as = "mluser"\nbackend = "cron.d"\n',
        a='[jobs.a]\nkind = "check"\n',
    )
    found = box.all()
    assert found.faults == ()
    assert {name: one.scope for name, one in found.jobs.items()} == {"s": "system", "a": "system", "x": "user"}
    assert (found.jobs["a"].nice, found.jobs["a"].retries) == (5, 0)
    assert (found.jobs["x"].nice, found.jobs["x"].retries) == (5, 1)
    assert found.jobs["a"].source == f"{box.etc}/jobs.d/a.toml:1"


def test_a_named_config_is_user_scope_and_holds_all_jobs(box: Box, tmp_path: Path) -> None:
    box.write(job(""), '[defaults]\nnice = 5\n[jobs.s]\nkind = "check"\n', a='[jobs.a]\nkind = "check"\n')
    named = tmp_path / "c.toml"
    named.write_text('[jobs.s]\nkind = "metrics"\n')
    found = box.all(str(named))
    assert {name: (one.scope, one.kind, one.nice) for name, one in found.jobs.items()} == {"s": ("user", "metrics", 5)}
    assert box.one("s", str(named)).kind == "metrics"
    with pytest.raises(Fault):
        box.one("x", str(named))
    system = box.all(str(box.etc / "config.toml"))
    assert [(one.id, one.scope) for one in system.jobs.values()] == [("s", "user")]


def test_every_fault_has_its_line(box: Box) -> None:
    found = box.write(
        """[defaults]
timeuot = "1h"
keep_days = 3
retries = -1
[jobs.Bad-Id]
kind = "check"
[jobs.a]
kind = "bakcup"
[jobs.b]
schedule = 5
[jobs.c]
kind = "backup"
scheduel = "@daily"
source = "models"
[jobs.d]
kind = "backup"
source = "/a"
sources = ["/b"]
target = "/c"
compression = "gzip"
level = 12
keep = { dayly = 7 }
keep_days = 3
[jobs.e]
kind = "cleanup"
older_than = "7 parsecs"
[jobs.f]
kind = "rotate"
[[jobs.f.rules]]
paths = ["/x"]
size = "1 elephant"
[[jobs.f.rules]]
age = "1d"
modus = "rename"
[jobs.g]
kind = "command"
command = []
env = { "A-B" = "x" }
alert = { afer = 1 }
on_overlap = "wait"
[jobs.h]
kind = "check"
run_as = "root"
backend = "cron.d"
profile = "none"
[jobs.i]
kind = "rotate"
[jobs.j]
kind = "metrics"
keep = 3
enabled = "yes"
"""
    ).all()
    assert list(found.jobs) == []
    kinds = 'expected "backup", "cleanup", "rotate", "metrics", "check" or "command"'
    path = "expected an absolute path, or one that begins with ~/"
    assert found.faults == tuple(
        "config.toml:" + line
        for line in (
            "4: defaults.retries: expected a whole number from 0 to 100, got -1",
            "2: defaults.timeuot: unknown key; did you mean timeout?",
            "3: defaults.keep_days: a job's own key, which is never inherited",
            "5: jobs.Bad-Id: a job's name is a-z, 0-9, - and _, at most 63 of them, and begins with a-z or 0-9",
            f'8: jobs.a.kind: {kinds}, got "bakcup"',
            "10: jobs.b.schedule: expected a schedule, or a list of them, got 5",
            "9: jobs.b: kind is missing: backup, cleanup, rotate, metrics, check, command",
            "13: jobs.c.scheduel: unknown key; did you mean schedule?",
            f'14: jobs.c.source: {path}, got "models"',
            "11: jobs.c: target is missing",
            "18: jobs.d.sources: either source or sources",
            "21: jobs.d.level: gzip has levels 1 to 9, got 12",
            "23: jobs.d.keep_days: either keep or keep_days",
            "22: jobs.d.keep.dayly: unknown key; did you mean daily?",
            '26: jobs.e.older_than: expected a duration such as "15m", got "7 parsecs"',
            "24: jobs.e: paths or profiles is missing",
            '31: jobs.f.rules[0].size: expected a size such as "100MiB", got "1 elephant"',
            "34: jobs.f.rules[1].modus: unknown key; did you mean mode?",
            "32: jobs.f.rules[1]: paths is missing",
            "38: jobs.g.env: expected a table of names and texts, got a table",
            '40: jobs.g.on_overlap: expected "skip", "wait:10m", "queue", "replace" or "allow", got "wait"',
            "37: jobs.g.command: expected a list of words, or a text for /bin/sh -c, got a list",
            "39: jobs.g.alert.afer: unknown key; did you mean after?",
            '45: jobs.h.profile: expected "default", "seed", "gate", "inference", "training" or "desktop", got "none"',
            "43: jobs.h.run_as: only for jobs of the system, in /etc/mltop",
            '44: jobs.h.backend: "cron.d" is only for jobs of the system, in /etc/mltop',
            "46: jobs.i: rules are missing",
            '51: jobs.j.enabled: expected true or false, got "yes"',
            "50: jobs.j.keep: unknown key; did you mean keep_days?",
        )
    )


@pytest.mark.parametrize(
    "own",
    [
        'schedule = ""', 'tags = "x"', "soft_fail = [0]", 'timeout = 3600', 'timeout = "-1h"', 'timeout = "inf"',
        'log_max = "0B"', f'log_max = "{"9" * 400}"', 'cpu_quota = "nan%"', "cpu_quota = true", "nice = 20",
        'description = "a\\nb"', 'env = { A = 1 }', 'env_file = "x"', 'workdir = "~other"', "retries = true",
        'on_overlap = "wait:x"', 'io_class = ["idle"]', "alert = 1", "alert = { after = 0 }",
        'schedule = ["@daily", 1]',
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_fault(box: Box, own: str) -> None:
    found = box.write(job(own)).all()
    (line,) = found.faults
    assert line.startswith("config.toml:4: jobs.x.")
    with pytest.raises(Fault) as caught:
        box.one("x")
    assert caught.value.lines == (line,)


def test_what_is_no_table(box: Box) -> None:
    assert box.write("jobs = 3\ndefaults = []\n").all().faults == (
        "config.toml:2: defaults: expected a table, got a list",
        "config.toml:1: jobs: expected [jobs.NAME], got 3",
    )
    assert box.write("[jobs]\nx = 3\n").all().faults == ("config.toml:2: jobs.x: expected a table, got 3",)
    (line,) = box.write('[jobs.x]\nkind = "rotate"\nrules = 3\n').all().faults
    assert line == "config.toml:3: jobs.x.rules: expected [[jobs.x.rules]], got 3"


def test_two_jobs_of_one_name_are_an_error(box: Box) -> None:
    box.write(job(""), "", a=job(""))
    found = box.all()
    expected = f"config.toml:1: jobs.x: a second job of this name; the first is {box.etc}/jobs.d/a.toml:1"
    assert found.faults == (expected,)
    assert found.jobs["x"].scope == "system"
    with pytest.raises(Fault) as caught:
        box.one("x")
    assert caught.value.lines == (expected,)


def test_two_jobs_that_write_to_one_target_are_an_error(box: Box) -> None:
    def backup(name: str, target: str) -> str:
        return f'[jobs.{name}]\nkind = "backup"\nsource = "/{name}"\ntarget = "{target}"\n'

    found = box.write(backup("a", "/t") + backup("b", "//t/") + backup("c", "s3://t/x") + backup("d", "/t/d")).all()
    assert found.faults == ("config.toml:8: jobs.b.target: the target of a (config.toml:1) too",)


def test_a_fault_elsewhere_stops_no_job(box: Box) -> None:
    box.write(job("") + '[jobs.y]\nkind = "chekc"\n', "[jobs.z]\n", broken="x =")
    assert box.one("x").spec == CommandSpec(command=("true",))
    assert len(box.all().faults) == 3
    assert list(box.all().jobs) == ["x"]


def test_a_fault_of_the_defaults_stops_every_job(box: Box) -> None:
    box.write('[defaults]\ntimeout = "soon"\n' + job(""))
    with pytest.raises(Fault) as caught:
        box.one("x")
    assert caught.value.lines == (
        'config.toml:2: defaults.timeout: expected a duration such as "15m" ("0": no limit), got "soon"',
    )


def test_a_job_that_is_not_there(box: Box) -> None:
    box.write(STANDARD)
    with pytest.raises(Fault) as caught:
        box.one("model-backup")
    assert caught.value.lines == (
        f'no job "model-backup" in {box.etc}/config.toml or {box.own}; did you mean models-backup?',
    )
    with pytest.raises(Fault) as caught:
        load_job("x", None, {}, box.etc / "none")
    assert caught.value.lines == ('no job "x" in any config (see mltop init)',)


def test_the_schedule_is_judged_by_who_knows_schedules(box: Box) -> None:
    def check(text: str) -> None:
        if text != "@daily":
            raise ValueError(f"no schedule: {text}")

    backup = '[jobs.b]\nkind = "backup"\nsource = "/a"\ntarget = "/b"\n'
    assert box.write(backup + 'schedule = ["@daily", "soon"]\ndrill = "late"\n').all(check_schedule=check).faults == (
        "config.toml:5: jobs.b.schedule: no schedule: soon",
        "config.toml:6: jobs.b.drill: no schedule: late",
    )
    assert box.write(backup + 'schedule = "@daily"\ndrill = ""\n').all(check_schedule=check).faults == ()


def test_jobs_d_holds_jobs_only(box: Box) -> None:
    box.write("", "", a="version = 1\n[defaults]\nnice = 3\n")
    (box.etc / "jobs.d/notes.txt").write_text("x =")
    (box.etc / "jobs.d/.a.toml").write_text("x =")
    (line,) = box.all().faults
    assert line == f"{box.etc}/jobs.d/a.toml:2: defaults: only [jobs.NAME] goes into a file of jobs.d"


def test_a_system_file_that_anybody_writes_is_a_fault(box: Box) -> None:
    box.write("", job(""))
    (box.etc / "config.toml").chmod(0o666)
    (line,) = box.all().faults
    assert "others than root can write it" in line
