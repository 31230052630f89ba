"""What the doctor makes of what it sees: each rule on the smallest fact that it is about."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mltop.config.job import CommandSpec, JobConfig
from mltop.jobs.doctor import box, cron, files, schedule, state, wrapper
from mltop.jobs.foreign import system_crontabs
from mltop.jobs.plan.plan import Plan, Step
from mltop.jobs.plan.wish import Wish
from mltop.model.doctor import Health, Symptom
from mltop.model.host_facts import Clock
from mltop.model.job import Drift
from mltop.model.snapshot import Status

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def states(found: object) -> list[tuple[str, str]]:
    assert hasattr(found, "__iter__")
    return [(one.id, one.state.value) for one in found if isinstance(one, Symptom)]


def command(id: str, words: tuple[str, ...] | str) -> JobConfig:
    return JobConfig(id=id, kind="command", spec=CommandSpec(command=words))


@pytest.mark.parametrize(
    ("is_running", "is_needed", "is_alone", "expected"),
    [
        (True, True, True, Health.OK),
        (False, True, False, Health.FAULT),
        (False, False, True, Health.WARNING),
        (False, False, False, Health.OK),
    ],
)
def test_a_daemon_that_is_off(is_running: bool, is_needed: bool, is_alone: bool, expected: Health) -> None:
    found = cron.daemon(is_running=is_running, is_needed=is_needed, is_alone=is_alone)
    assert found.state is expected
    assert (found.remedy is None) == (expected is Health.OK)


@pytest.mark.parametrize(
    ("allow", "deny", "refused"),
    [
        (None, None, None),
        (["root", "ann"], None, None),
        (["root"], None, "cron.allow does not have ann"),
        ([], ["nobody"], "cron.allow does not have ann"),
        (["ann"], ["ann"], None),  # cron.allow alone counts where there is one
        (None, ["ann"], "cron.deny has ann"),
        (None, ["anna"], None),
    ],
)
def test_who_may_use_cron(allow: list[str] | None, deny: list[str] | None, refused: str | None) -> None:
    assert cron.refusal("ann", allow, deny) == refused


def test_a_zone_that_was_set_after_cron_was_started() -> None:
    assert cron.zone_changed(100.0, 200.0).state is Health.OK
    found = cron.zone_changed(200.0, 100.0)
    assert (found.state, found.remedy) == (Health.WARNING, "service cron restart")


@pytest.mark.parametrize(
    ("zone", "is_other"),
    [("UTC", True), (":Europe/Warsaw", False), ("Europe/Berlin", False), ("Africa/Algiers", True), ("no/such", False)],
)
def test_a_daemon_with_a_zone_of_its_own(zone: str, is_other: bool) -> None:
    found = cron.other_zone(zone, ZoneInfo("Europe/Warsaw"), NOW)  # Algiers differs in summer only
    assert (found is not None) == is_other


def test_zone_variables_in_a_crontab_are_only_the_jobs() -> None:
    both = {"CRON_TZ": "UTC", "TZ": "UTC", "PATH": "/bin"}
    assert [one.state for one in cron.zone_variables(both, is_debian=True)] == [Health.WARNING] * 2
    assert len(list(cron.zone_variables(both, is_debian=False))) == 1  # cronie knows CRON_TZ


def test_what_stands_otherwise_than_the_config_has_it() -> None:
    steps = (
        Step(id="a", drift=Drift.IN_SYNC, backend="cron"),
        Step(id="b", drift=Drift.MISSING, backend="cron"),
        Step(id="c", drift=Drift.CHANGED, backend="cron"),
        Step(id="d", drift=Drift.DRIFTED, backend="cron"),
        Step(id="e", drift=Drift.ORPHANED),
        Step(id="f", note="no\x1b[31m cron", is_fault=True),
    )
    found = list(schedule.standing(Plan(steps=steps, notes=("crontab -l: refused",))))
    assert [(one.where, one.state) for one in found] == [
        ("b", Health.WARNING),
        ("c", Health.WARNING),
        ("d", Health.WARNING),
        ("e", Health.WARNING),
        ("f", Health.FAULT),
        (None, Health.UNKNOWN),
    ]
    assert all(one.remedy for one in found)
    assert "\x1b" not in found[4].summary
    assert states(schedule.standing(Plan(steps=steps[:1]))) == [("schedule.applied", "ok")]


def test_a_job_in_two_schedulers_runs_twice() -> None:
    found = list(schedule.twice({"a": ["the crontab", "systemd (user)"], "b": ["cron.d"], "c": []}))
    assert [(one.where, one.summary) for one in found] == [("a", "a is started by the crontab and by systemd (user)")]


def test_a_strangers_line_that_runs_a_job_too() -> None:
    wishes = [
        Wish(id=id, job=command(id, words)) for id, words in (("backup", ("/opt/b", "x")), ("backup_db", "/opt/d"))
    ]
    lines = [
        ("crontab:1", "/opt/b   x"),
        ("crontab:2", "/usr/bin/mltop run backup_db --config /x"),
        ("crontab:3", "/opt/b x y"),
        ("crontab:4", "echo mltop runs backup"),
    ]
    found = [(one.where, one.summary) for one in schedule.same_command(wishes, lines)]
    assert found == [("backup", "crontab:1 runs backup too"), ("backup_db", "crontab:2 runs backup_db too")]


def test_a_file_that_cron_leaves_out_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "cron.d").mkdir()
    for name, end in (("odd", "*/0 * * * * root c"), ("fine", "")):
        path = tmp_path / "cron.d" / name
        path.write_text(f"0 1 * * * root a\n0 2 * * * root b\n{end}\n")
        path.chmod(0o644)
    (one,) = schedule.not_run(system_crontabs(tmp_path, is_debian=True)[0])
    assert (one.id, one.state, one.where) == ("cron.file", Health.WARNING, f"{tmp_path}/cron.d/odd")
    assert one.summary == f'{tmp_path}/cron.d/odd: line 3 of its file stops all of it: "*/0" is no minute'


def test_linger_matters_where_timers_are_a_users() -> None:
    assert states(schedule.linger("ann", is_used=False, is_on=False)) == []
    assert states(schedule.linger("ann", is_used=True, is_on=True)) == [("systemd.linger", "ok")]
    (found,) = schedule.linger("ann", is_used=True, is_on=False)
    assert (found.state, found.remedy) == (Health.FAULT, "loginctl enable-linger ann")


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (0, "mltop 1.2", Health.OK),
        (0, "mltop 1.1", Health.WARNING),
        (127, "sh: 1: /x/mltop: not found", Health.FAULT),
        (1, "", Health.FAULT),
    ],
)
def test_how_the_wrapper_answers(code: int, said: str, expected: Health) -> None:
    assert wrapper.judged("/x/mltop", code, said, "1.2").state is expected


def test_modules_that_are_missing_are_named_with_what_has_them() -> None:
    (found,) = wrapper.missing(["pynvml"])
    assert (found.state, found.remedy) == (Health.FAULT, "pipx inject mltop nvidia-ml-py, or install mltop again")
    assert states(wrapper.missing([])) == [("python.modules", "ok")]


def test_faults_of_a_config_keep_their_place() -> None:
    (found,) = files.config(["config.toml:4: jobs.a.shedule: unknown key; did you mean schedule?"])
    assert (found.where, found.state) == ("config.toml:4", Health.FAULT)
    assert found.summary == "jobs.a.shedule: unknown key; did you mean schedule?"


MOUNTS = """\
21 1 8:1 / / rw - ext4 /dev/sda1 rw
30 21 0:40 / /home rw - nfs4 box:/home rw
31 30 0:41 / /home/ann rw,nosuid shared:1 - ecryptfs /home/.ecryptfs/ann rw
32 21 0:42 / /data\\040two rw - xfs /dev/sdb rw
33 21 0:43 / /homestead rw - fuse.gocryptfs x rw
"""


@pytest.mark.parametrize(
    ("home", "expected"),
    [
        ("/root", Health.OK),
        ("/home/bob", Health.WARNING),
        ("/home/ann", Health.WARNING),
        ("/home/annabel", Health.WARNING),  # the network's, not ann's
        ("/data two/eve", Health.OK),
        ("/homestead/x", Health.WARNING),
    ],
)
def test_a_home_that_is_away_at_night(home: str, expected: Health) -> None:
    (found,) = files.home_at_night(home, files.mounts_of(MOUNTS))
    assert found.state is expected
    assert ("encrypted" in found.summary) == (home in ("/home/ann", "/homestead/x"))


def test_a_home_of_systemd_homed_is_encrypted() -> None:
    (found,) = files.home_at_night("/root", files.mounts_of(MOUNTS), is_homed=True)
    assert found.state is Health.WARNING


@pytest.mark.parametrize(
    ("mode", "folder", "count"),
    [(0o755, 0o755, 0), (0o757, 0o755, 1), (0o775, 0o755, 0), (0o755, 0o777, 1), (0o755, 0o1777, 0)],
)
def test_a_script_that_others_can_write(tmp_path: Path, mode: int, folder: int, count: int) -> None:
    script = tmp_path / "bin" / "job.sh"
    script.parent.mkdir()
    script.write_text("true\n")
    script.chmod(mode)
    script.parent.chmod(folder)
    found = list(files.open_to_others(script, "job.script", "a's", 0o022))
    assert [one.state for one in found] == [Health.FAULT] * count
    assert all(one.remedy and one.remedy.startswith("chmod ") for one in found)


def test_the_scripts_of_a_command_are_found_among_its_words(tmp_path: Path) -> None:
    script = tmp_path / "my job.sh"
    script.write_text("true\n")
    assert files.scripts(command("a", ("/bin/sh", str(script), "/no/such"))) == ["/bin/sh", str(script)]
    assert files.scripts(command("a", f"/bin/sh '{script}' && true # it's")) == ["/bin/sh", str(script)]
    assert files.scripts(command("a", "/bin/sh 'unclosed")) == ["/bin/sh"]


def test_the_clock_of_a_container_is_not_its_own() -> None:
    assert list(box.clock(Clock(status=Status.UNSUPPORTED))) == []
    assert states(box.clock(Clock(is_synchronised=True))) == [("box.clock", "ok")]
    assert states(box.clock(Clock(is_synchronised=False))) == [("box.clock", "warning")]


def test_room_for_processes() -> None:
    assert box.pids(89, 100, "x").state is Health.OK
    assert box.pids(90, 100, "x").state is Health.FAULT


def test_who_reads_the_journal() -> None:
    assert states(box.journal("ann", frozenset({"ann", "adm"}), is_root=False)) == [("journal.group", "ok")]
    (found,) = box.journal("ann", frozenset({"ann"}), is_root=False)
    assert found.remedy == "sudo usermod -aG systemd-journal ann, and log in again"


def test_a_state_that_cannot_be_written(tmp_path: Path) -> None:
    assert states(state.writable(tmp_path / "a" / "b")) == [("state.writable", "ok")]
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    assert states(state.writable(tmp_path / "file" / "b")) == [("state.writable", "fault")]
    if os.geteuid() != 0:  # nothing is closed to root
        (tmp_path / "closed").mkdir(mode=0o500)
        assert states(state.writable(tmp_path / "closed" / "b")) == [("state.writable", "fault")]


def test_a_history_that_cannot_be_read_is_moved_away() -> None:
    (found,) = state.readable(["/s/history.db cannot be read: file is not a database"], "/s/history.db")
    assert found.state is Health.FAULT
    assert found.remedy is not None
    assert "/s/history.db" in found.remedy
