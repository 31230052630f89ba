"""An applied job is run by a real cron daemon and by a real systemd, and is in the history."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cron_lines import REFUSED, TAKEN, made
from namespaces import CronBox, Namespaced, SystemdBox
from patience import wait_until

from mltop.jobs.crontab.taken import is_debians, local_users, wrong_line

MLTOP = str(Path(sys.executable).with_name("mltop"))

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


def needed(*programs: str) -> None:
    """Skip where one is missing; fail where nothing may be skipped."""
    import shutil

    for name in programs:
        if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin:/lib/systemd") is None:
            if os.environ.get("MLTOP_TESTS_SKIP_NOTHING"):
                pytest.fail(f"no {name}: install it")
            pytest.skip(f"no {name}: install it")


@pytest.fixture
def cron(tmp_path: Path) -> Iterator[CronBox]:
    needed("unshare", "nsenter", "faketime", "cron", "crontab")
    box = CronBox(tmp_path)
    yield box
    box.stop()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[SystemdBox]:
    for place in (Path(sys.prefix), Path(__file__)):
        if place.resolve().is_relative_to("/tmp"):
            pytest.skip("mltop lies below /tmp: the booted systemd has a /tmp of its own")
    needed("unshare", "nsenter", "systemd", "systemctl", "systemd-analyze", "systemd-run")
    try:
        box = SystemdBox(tmp_path)
    except LookupError as error:
        pytest.skip(str(error))
    yield box
    box.stop()


class Mltop:
    """mltop inside a box."""

    def __init__(self, box: Namespaced, *files: str, prefix: tuple[str, ...] = ()) -> None:
        self.box, self.files, self.prefix = box, files, prefix

    def __call__(self, *words: str, code: int = 0) -> str:
        return self.box.run(*self.prefix, MLTOP, "jobs", *words, *self.files, code=code)

    def json(self, *words: str, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self(*words, "--json", code=code))
        return found

    def runs(self, job: str, trigger: str) -> list[dict[str, Any]]:
        return [run for run in self.json("history", job)["runs"] if run["trigger"] == trigger and run["state"] == "ok"]


def test_a_real_cron_runs_an_applied_job(cron: CronBox) -> None:
    config = cron.folder / "config.toml"
    job = 'kind = "command"\ncommand = "echo $MLTOP_RUN_ID"\nschedule = "* * * * *"\n'
    config.write_text(f"version = 1\n[jobs.beat]\n{job}")
    mine = "# a=b\nMAILTO=\"\"\n0 1 1 1 * echo 'caf\xe9' %x\n".encode("latin-1")
    (cron.folder / "mine").write_bytes(mine)
    cron.run("crontab", str(cron.folder / "mine"))
    mltop = Mltop(cron, "--config", str(config), "--state-dir", str(cron.folder / "state"))
    mltop("apply")
    assert "cron is not running" in str(mltop.json("list")["notes"])
    cron.start()
    wait_until(lambda: mltop.runs("beat", "schedule"), 20, lambda: cron.said() + mltop("history"))
    job = mltop.json("list")["jobs"][0]
    assert (job["id"], job["drift"]) == ("beat", "in-sync")
    assert job["last_run"]["trigger"] == "schedule"
    assert not any("cron is not running" in note for note in mltop.json("list")["notes"])
    mltop("disable", "beat")
    assert (cron.folder / "spool" / "root").read_bytes().endswith(mine)


def test_comments_that_a_real_crontab_leaves_out_stay(cron: CronBox) -> None:
    """Debian's `crontab -l` takes the first three comments for its own header; a spool that was copied has none."""
    if not is_debians():
        pytest.skip("this crontab leaves nothing out")
    config = cron.folder / "config.toml"
    config.write_text('version = 1\n[jobs.late]\nkind = "command"\ncommand = "true"\nschedule = "0 0 1 1 *"\n')
    mltop = Mltop(cron, "--config", str(config), "--state-dir", str(cron.folder / "state"))
    mine = b"# by hand\n# since 2019\nMAILTO=me\n0 1 * * * true\n"
    (spool := cron.folder / "spool" / "root").write_bytes(mine)
    spool.chmod(0o600)
    mltop("apply")
    mltop("apply")
    assert mine + b"# >>> mltop" in spool.read_bytes()
    mltop("undo")
    assert spool.read_bytes().count(b"# DO NOT EDIT") == 1
    assert spool.read_bytes().endswith(b"\n" + mine)


def test_a_real_cron_takes_an_edit_and_refuses_what_is_wrong(cron: CronBox) -> None:
    config = cron.folder / "config.toml"
    config.write_text('version = 1\n[jobs.late]\nkind = "command"\ncommand = "true"\nschedule = "0 0 1 1 *"\n')
    mltop = Mltop(cron, "--config", str(config), "--state-dir", str(cron.folder / "state"))
    cron.start()
    mltop("apply")
    mltop("edit", "late", "--set", "schedule=* * * * *", "--apply")
    wait_until(lambda: mltop.runs("late", "schedule"), 20, cron.said)
    before = cron.run("crontab", "-l")
    (cron.folder / "more").write_text(f"7 7 * * * true\n{before}")
    cron.run("crontab", str(cron.folder / "more"))
    mltop("undo", code=1)
    assert cron.run("crontab", "-l") == f"7 7 * * * true\n{before}"
    line = next(job["id"] for job in mltop.json("list")["jobs"] if job["origin"] == "crontab")
    mltop("edit", line, "--set", f"command=echo {'x' * 2000}", code=1)  # a line too long for cron
    assert cron.run("crontab", "-l") == f"7 7 * * * true\n{before}"
    mltop("disable", line)
    assert cron.run("crontab", "-l") == f"# mltop:off 7 7 * * * true\n{before}"


def test_a_real_cron_runs_a_file_of_cron_d(cron: CronBox) -> None:
    job = 'kind = "command"\ncommand = "id -un"\nschedule = "* * * * *"\nbackend = "cron.d"\nrun_as = "nobody"\n'
    cron.cover("/etc", "/var/lib", "/var/log")  # the system's own places, and none of it stays
    cron.write("/etc/mltop/config.toml", f"version = 1\n[jobs.beat]\n{job}")
    mltop = Mltop(cron)
    mltop("apply")
    cron.start()
    wait_until(lambda: mltop.runs("beat", "schedule"), 20, cron.said)
    assert "nobody" in mltop("logs", "beat")
    assert mltop.json("list")["jobs"][0]["scope"] == "system"


JOB = """\
version = 1
[jobs.beat]
kind = "command"
command = "echo beat; id -un"
schedule = "*-*-* *:*:0/2"
persistent = true
"""


def test_a_real_systemd_runs_an_applied_job(systemd: SystemdBox) -> None:
    mltop = Mltop(systemd)
    systemd.write("/etc/mltop/config.toml", JOB)
    assert mltop.json("plan")["steps"][0] == {
        "id": "beat", "drift": "missing", "backend": "systemd", "note": None, "is_fault": False, "retry_waits_s": [],
    }  # fmt: skip
    mltop("apply")
    assert mltop("apply") == "nothing to do\n"
    wait_until(lambda: mltop.runs("beat", "schedule"), 20, lambda: mltop("history"))
    assert "mltop-beat.timer" in systemd.run("systemctl", "list-timers", "--all", "--no-pager")
    assert "job beat ok" in systemd.run("journalctl", "-u", "mltop-beat.service", "--no-pager")
    job = mltop.json("list")["jobs"][0]
    assert (job["id"], job["drift"], job["scope"]) == ("beat", "in-sync", "system")
    assert [one for one in mltop.json("list")["jobs"] if one["id"].startswith("mltop-")] == []
    assert "mltop" not in systemd.run("systemctl", "--failed", "--no-legend", "--plain")
    stamp = "/var/lib/systemd/timers/stamp-mltop-beat.timer"
    systemd.run("test", "-e", stamp)
    mltop("remove", "beat", "--apply")
    found = systemd.run("sh", "-c", f"ls /etc/systemd/system/ {stamp}; systemctl list-timers --all", code=None)
    assert "mltop-beat" not in found
    mltop("undo")
    assert "mltop-beat.timer" in systemd.run("systemctl", "list-timers", "--all", "--no-pager")
    assert mltop.json("list")["jobs"][0]["drift"] == "in-sync"


def test_a_hand_edit_of_a_unit_and_a_timer_switched_off(systemd: SystemdBox) -> None:
    mltop = Mltop(systemd)
    systemd.write("/etc/mltop/config.toml", JOB)
    mltop("apply")
    timer = "/etc/systemd/system/mltop-beat.timer"
    systemd.run("sed", "-i", "s/^OnCalendar=.*/OnCalendar=Mon 04:00/", timer)
    systemd.run("systemctl", "daemon-reload")
    assert mltop.json("list")["jobs"][0]["drift"] == "drifted"
    mltop("apply", code=1)
    assert "OnCalendar=Mon 04:00" in systemd.run("cat", timer)
    mltop("apply", "--theirs")
    assert 'schedule = "Mon 04:00"' in systemd.run("cat", "/etc/mltop/config.toml")
    assert mltop.json("list")["jobs"][0]["drift"] == "in-sync"
    systemd.run("systemctl", "disable", "--now", "mltop-beat.timer")
    assert mltop.json("list")["jobs"][0]["drift"] == "drifted"
    mltop("apply", "--mine")
    assert systemd.run("systemctl", "is-active", "mltop-beat.timer") == "active\n"


def test_a_timer_that_somebody_stopped_is_a_hand_edit_and_a_drop_in_is_said(systemd: SystemdBox) -> None:
    mltop = Mltop(systemd)
    systemd.write("/etc/mltop/config.toml", JOB.replace('"*-*-* *:*:0/2"', '"*-*-* 03:30"'))
    mltop("apply")
    systemd.run("systemctl", "stop", "mltop-beat.timer")
    (step,) = (found := mltop.json("plan"))["steps"]
    assert (step["drift"], found["diff"]) == ("drifted", "")
    assert "beat: mltop-beat.timer is stopped: nothing starts it" in found["notes"]
    (job,) = mltop.json("list")["jobs"]
    assert (job["drift"], job["next_runs"]) == ("drifted", [])
    mltop("apply", code=1)
    assert standing(systemd, "mltop-beat.timer") == ("enabled", "inactive")
    mltop("apply", "--mine")
    assert standing(systemd, "mltop-beat.timer") == ("enabled", "active")
    mltop("undo")
    assert standing(systemd, "mltop-beat.timer") == ("enabled", "inactive")
    mltop("apply", "--theirs")
    assert "enabled = false" in systemd.run("cat", "/etc/mltop/config.toml")
    assert "mltop-beat" not in systemd.run("ls", "/etc/systemd/system")
    mltop("enable", "beat")
    beside = "/etc/systemd/system/mltop-beat.timer.d/own.conf"
    systemd.write(beside, "[Timer]\nOnCalendar=\nOnCalendar=*-*-* 09:00\n")
    systemd.run("systemctl", "daemon-reload")
    assert f"beat: {beside} changes what mltop wrote: it stays" in mltop.json("plan")["notes"]
    assert [time[11:16] for time in mltop.json("list")["jobs"][0]["next_runs"]] == ["09:00"], "the manager knows"


def test_what_cannot_be_written_is_said_with_its_place_and_everything_runs_on(systemd: SystemdBox) -> None:
    """Folders that cannot be written, and full disks: the config, the units and the timer are as they were."""
    mltop = Mltop(systemd)
    config, units = "/etc/mltop/config.toml", "/etc/systemd/system"
    systemd.write(config, JOB.replace('"*-*-* *:*:0/2"', '"*-*-* 03:30"'))
    mltop("apply")
    text = systemd.run("cat", config)

    def refused(words: tuple[str, ...], said: str) -> None:
        told = systemd.run("sh", "-c", '"$@" 2>&1; exit 0', "sh", MLTOP, "jobs", *words)
        assert said in told
        assert "None" not in told
        assert (systemd.run("cat", config), standing(systemd, "mltop-beat.timer")) == (text, ("enabled", "active"))

    for folder, said in ((units, "Read-only file system"), ("/etc/mltop", f"{config}: Read-only file system")):
        systemd.run("mount", "--bind", folder, folder)
        systemd.run("mount", "-o", "remount,bind,ro", folder)
        refused(("remove", "beat", "--apply"), said)
        systemd.run("umount", folder)
    systemd.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt")
    systemd.run("sh", "-c", "head -c 100000 /dev/zero > /mnt/all", code=None)
    refused(("remove", "beat", "--apply", "--state-dir", "/mnt/state"), "/mnt/state")
    systemd.run("sh", "-c", f"rm /mnt/all; cp {config} /mnt/c.toml; head -c 100000 /dev/zero > /mnt/all", code=None)
    refused(("edit", "beat", "--set", "schedule=@daily", "--config", "/mnt/c.toml"), "/mnt/c.toml: No space left on")
    assert systemd.run("cat", "/mnt/c.toml") == text


KILLING = """\
#!/bin/sh
case " $* " in *" list-timers "*|*" show "*|*" list-unit-files "*) exec /usr/bin/systemctl "$@" ;; esac
left=$(($(cat /opt/killing/left) - 1)); echo $left > /opt/killing/left
[ $left = 0 ] && { kill -9 $PPID; exit 1; }
exec /usr/bin/systemctl "$@"
"""


def test_one_that_is_killed_between_two_orders_is_taken_back(systemd: SystemdBox) -> None:
    """At each order to the manager: undo gives config and units back, and a timer that was left stopped is said."""
    mltop = Mltop(systemd)
    timer = "/etc/systemd/system/mltop-beat.timer"
    systemd.write("/etc/mltop/config.toml", JOB.replace('"*-*-* *:*:0/2"', '"*-*-* 03:30"'))
    mltop("apply")
    before = systemd.run("cat", "/etc/mltop/config.toml", timer)
    systemd.write("/opt/killing/systemctl", KILLING)
    systemd.run("chmod", "755", "/opt/killing/systemctl")
    for count in range(1, 5):
        systemd.write("/opt/killing/left", str(count))
        words = (MLTOP, "jobs", "edit", "beat", "--set", "schedule=*-*-* 05:30", "--apply")
        systemd.run("sh", "-c", 'PATH=/opt/killing:$PATH "$@"', "sh", *words, code=137)
        assert any("was cut short: mltop jobs undo" in note for note in mltop.json("plan")["notes"])
        mltop("undo")
        assert systemd.run("cat", "/etc/mltop/config.toml", timer) == before
        found = mltop.json("plan")
        if found["steps"][0]["drift"] != "in-sync":
            assert found["notes"] == ["beat: mltop-beat.timer is stopped: nothing starts it"]
            mltop("apply", "--mine")
        assert standing(systemd, "mltop-beat.timer") == ("enabled", "active")


def test_a_job_started_by_hand_is_the_managers(systemd: SystemdBox) -> None:
    mltop = Mltop(systemd)
    system = JOB.replace('"*-*-* *:*:0/2"', '"@yearly"').replace("echo beat", "cat /proc/self/cgroup")
    systemd.write("/etc/mltop/config.toml", system)
    assert re.search(r"as mltop-run-beat-\w+\.service", mltop("run", "beat"))
    wait_until(lambda: mltop.runs("beat", "manual"), 20, lambda: mltop("history"))
    assert "mltop-run-beat" in mltop("logs", "beat")


def test_a_users_jobs_are_its_own_managers(systemd: SystemdBox) -> None:
    systemd.run("useradd", "-m", "-u", "4242", "tester")
    systemd.run("chmod", "755", "/root")  # of this box alone: a Python may stand there
    readable = systemd.run("runuser", "-u", "tester", "--", MLTOP, "--version", code=None)
    if "mltop" not in readable:
        pytest.skip("this Python cannot be read by other users")
    systemd.run("mkdir", "-p", "/var/lib/systemd/linger")
    systemd.run("touch", "/var/lib/systemd/linger/tester")
    systemd.run("systemctl", "start", "user@4242.service")
    mltop = Mltop(systemd, prefix=("runuser", "-u", "tester", "--", "env", "HOME=/home/tester", "USER=tester"))
    systemd.write("/home/tester/.config/mltop/config.toml", JOB)
    systemd.run("chown", "-R", "tester", "/home/tester")
    mltop("apply")
    systemd.run("test", "-e", "/home/tester/.config/systemd/user/mltop-beat.timer")
    wait_until(lambda: mltop.runs("beat", "schedule"), 20, lambda: mltop("history"))
    assert "tester" in mltop("logs", "beat")
    mltop("disable", "beat")
    assert "mltop-beat" not in systemd.run("sh", "-c", "ls -R /home/tester/.config/systemd")


SPARE = """\
[Unit]
Description=Somebody's timer
[Timer]
OnCalendar=*-*-* *:*:0/3
Persistent=true
RandomizedDelaySec=1h 30min
AccuracySec=1s
{install}
"""
INSTALL = "[Install]\nWantedBy=timers.target\n"


def make_timer(box: SystemdBox, name: str = "spare", install: str = INSTALL, script: str = "true") -> None:
    """Somebody's timer, as a package brings it."""
    box.write(f"/usr/lib/systemd/system/{name}.timer", SPARE.format(install=install))
    box.write(f"/usr/lib/systemd/system/{name}.service", f"[Service]\nType=oneshot\nExecStart=/bin/sh -c '{script}'\n")
    box.run("systemctl", "daemon-reload")
    if install:
        box.run("systemctl", "enable", "--now", f"{name}.timer")
    else:
        box.run("systemctl", "start", f"{name}.timer")


def standing(box: SystemdBox, unit: str) -> tuple[str, str]:
    """Whether a unit is enabled, and active."""
    words = [box.run("systemctl", verb, unit, code=None).strip() for verb in ("is-enabled", "is-active")]
    return words[0], words[1]


def test_a_vendors_timer_is_switched_and_given_back(systemd: SystemdBox) -> None:
    mltop = Mltop(systemd)
    make_timer(systemd)
    make_timer(systemd, "fixed", install="")
    for name, before, off in (
        ("spare.timer", ("enabled", "active"), ("disabled", "inactive")),
        ("fixed.timer", ("static", "active"), ("masked", "inactive")),
    ):
        assert standing(systemd, name) == before
        shown = mltop("disable", name)
        assert f"-{before[0]}, active" in shown
        assert standing(systemd, name) == off
        mltop("undo")
        assert standing(systemd, name) == before
        mltop("disable", name)
        mltop("enable", name)
        assert standing(systemd, name) == before
        mltop("undo")
        assert standing(systemd, name) == off
    systemd.run("systemctl", "enable", "--now", "spare.timer")
    mltop("disable", "spare.timer", "--dry-run")
    assert standing(systemd, "spare.timer") == ("enabled", "active")
    mltop("disable", "nosuch.timer", code=1)
    mltop("disable", "spare.timer")
    systemd.run("systemctl", "enable", "spare.timer")
    mltop("undo", code=1)  # somebody changed it since
    assert standing(systemd, "spare.timer")[0] == "enabled"


def test_a_timer_becomes_a_job_and_goes_back(systemd: SystemdBox) -> None:
    mltop = Mltop(systemd)
    make_timer(systemd, script="echo did it; exit 3")
    mltop("adopt", "spare.timer", "--as", "mine")
    assert standing(systemd, "spare.timer") == ("disabled", "inactive")
    assert standing(systemd, "mltop-mine.timer") == ("enabled", "active")
    config = systemd.run("cat", "/etc/mltop/config.toml")
    for line in (
        'schedule = "*-*-* *:*:00/3"',
        "persistent = true",
        'jitter = "90m"',
        '"start", "--wait", "spare.service"',
    ):
        assert line in config
    mltop("run", "mine")
    ran = lambda: [run["state"] for run in mltop.json("history", "mine")["runs"] if run["ended_at"]]  # noqa: E731
    wait_until(ran, 20, lambda: mltop("history"))
    assert ran()[-1] == "failed", "systemctl waits for the unit, and says how it ended"
    mltop("unadopt", "mine")
    assert standing(systemd, "spare.timer") == ("enabled", "active")
    assert "mltop-mine" not in systemd.run("ls", "/etc/systemd/system")
    assert "mine" not in systemd.run("cat", "/etc/mltop/config.toml")
    mltop("undo")
    assert standing(systemd, "mltop-mine.timer") == ("enabled", "active")
    assert standing(systemd, "spare.timer") == ("disabled", "inactive")


def test_a_timer_that_was_off_goes_back_off(systemd: SystemdBox) -> None:
    mltop = Mltop(systemd)
    make_timer(systemd)
    make_timer(systemd, "fixed", install="")
    systemd.run("systemctl", "disable", "--now", "spare.timer")
    for name in ("spare", "fixed"):
        before = standing(systemd, f"{name}.timer")
        mltop("adopt", f"{name}.timer", "--as", name)
        assert standing(systemd, f"{name}.timer")[1] == "inactive"
        mltop("unadopt", name)
        assert standing(systemd, f"{name}.timer") == before


def test_the_journal_has_the_history_of_a_foreign_timer(systemd: SystemdBox) -> None:
    mltop = Mltop(systemd)
    systemd.run("systemctl", "log-target", "journal")
    systemd.run("systemctl", "log-level", "info")
    make_timer(systemd, "good")
    make_timer(systemd, "bad", script="exit 3")
    make_timer(systemd, "killed", script="kill -9 $$$$")
    slow = "[Service]\nType=oneshot\nTimeoutStartSec=0.2\nExecStart=/bin/sleep 30\n"
    systemd.write("/usr/lib/systemd/system/slow.service", slow)
    skipped = "[Unit]\nConditionPathExists=/nowhere\n[Service]\nType=oneshot\nExecStart=/bin/true\n"
    systemd.write("/usr/lib/systemd/system/skipped.service", skipped)
    systemd.write("/usr/lib/systemd/system/long.service", "[Service]\nExecStart=/bin/sleep 300\n")
    other = SPARE.format(install=INSTALL).replace("AccuracySec", "Unit=good.service\nAccuracySec")
    systemd.write("/etc/systemd/system/other.timer", other)
    systemd.run("systemctl", "daemon-reload")
    for name in ("good", "bad", "killed", "slow", "skipped", "long", "good"):
        systemd.run("systemctl", "start", f"{name}.service", code=None)

    def newest(id: str) -> dict[str, Any]:
        runs = mltop.json("history", id)["runs"]
        return runs[0] if runs else {}

    wait_until(lambda: newest("good.timer").get("state") == "ok" and newest("long.service"), 10)
    assert (newest("good.timer")["exit_code"], newest("good.timer")["job"]) == (0, "good.timer")
    assert len(mltop.json("history", "other.timer")["runs"]) == len(mltop.json("history", "good.timer")["runs"]) >= 2
    assert len(mltop.json("history", "good.timer", "-n", "1")["runs"]) == 1
    bad, killed = newest("bad.timer"), newest("killed.timer")
    assert (bad["state"], bad["exit_code"], bad["reason"]) == ("failed", 3, "exit-code")
    assert (killed["state"], killed["signal"], killed["exit_code"]) == ("failed", 9, None)
    assert newest("slow.timer")["state"] == "timeout"
    assert newest("skipped.timer")["state"] == "skipped"
    assert "ConditionPathExists=/nowhere" in newest("skipped.timer")["last_error_line"]
    assert (newest("long.service")["state"], newest("long.service")["ended_at"]) == ("running", None)
    assert all(run["started_at"] <= run["ended_at"] for run in mltop.json("history", "good.timer")["runs"])
    systemd.run("useradd", "-m", "-u", "4243", "guest")
    systemd.run("chmod", "755", "/root")
    guest = Mltop(systemd, prefix=("runuser", "-u", "guest", "--", "env", "HOME=/home/guest", "USER=guest"))
    if "mltop" in systemd.run("runuser", "-u", "guest", "--", MLTOP, "--version", code=None):
        found = guest.json("history", "good.timer")
        assert found["runs"] == []
        assert "join the group systemd-journal" in found["errors"][0]["message"]


def test_a_real_job_is_converted_there_and_back(systemd: SystemdBox) -> None:
    mltop = Mltop(systemd)
    systemd.write("/etc/mltop/config.toml", JOB.replace('"*-*-* *:*:0/2"', '"0 0 13 * 5"'))
    mltop("convert", "beat", "--to", "cron")
    assert "0 0 13 * 5 " in systemd.run("crontab", "-l")
    mltop("convert", "beat", "--to", "systemd")
    timer = systemd.run("cat", "/etc/systemd/system/mltop-beat.timer")
    assert "OnCalendar=*-*-13 00:00:00\nOnCalendar=Fri *-*-* 00:00:00\n" in timer
    assert "run beat" not in systemd.run("crontab", "-l", code=None)
    mltop("undo")
    assert "0 0 13 * 5 " in systemd.run("crontab", "-l")
    assert "mltop-beat" not in systemd.run("ls", "/etc/systemd/system")


def test_what_is_somebodys_is_converted_both_ways_and_goes_back(systemd: SystemdBox) -> None:
    """Adopted and moved in one operation, at the same times; and the original comes back (J23, J24)."""
    mltop = Mltop(systemd)
    tab = "MAILTO=me\nPATH=/opt/bin:/usr/bin:/bin\n30 3 13 * 5 tar cf /tmp/x /etc%in put # nightly\n"
    systemd.write("/root/tab", tab)
    systemd.run("crontab", "/root/tab")
    make_timer(systemd)
    systemd.write("/usr/lib/systemd/system/spare.timer", SPARE.format(install=INSTALL).replace("*:*:0/3", "03:30"))
    systemd.run("systemctl", "daemon-reload")
    line = next(job["id"] for job in mltop.json("list")["jobs"] if job["origin"] == "crontab")
    before = systemd.run("sh", "-c", "ls /etc/mltop /etc/systemd/system; crontab -l")
    assert "*-*-13 03:30:00" in mltop("convert", line, "--to", "systemd", "--dry-run")
    assert systemd.run("sh", "-c", "ls /etc/mltop /etc/systemd/system; crontab -l") == before
    mltop("convert", line, "--to", "systemd", "--as", "packed")
    timer = systemd.run("cat", "/etc/systemd/system/mltop-packed.timer")
    assert "OnCalendar=*-*-13 03:30:00\nOnCalendar=Fri *-*-* 03:30:00\n" in timer
    assert systemd.run("crontab", "-l") == tab.replace("30 3 13", "# mltop:adopted:packed 30 3 13")
    assert standing(systemd, "mltop-packed.timer") == ("enabled", "active")
    mltop("convert", "spare.timer", "--to", "cron", "--as", "spared")
    assert standing(systemd, "spare.timer") == ("disabled", "inactive")
    assert [row[:10] for row in systemd.run("crontab", "-l").splitlines() if " run spared " in row] == ["30 3 * * *"]
    systemd.run("systemctl", "is-active", "mltop-spared.timer", code=None)
    mltop("unadopt", "spared")
    mltop("unadopt", "packed")
    assert systemd.run("crontab", "-l") == tab
    assert standing(systemd, "spare.timer") == ("enabled", "active")
    assert "mltop-packed" not in systemd.run("ls", "/etc/systemd/system")


def test_lines_of_cron_d_and_scripts_of_cron_daily_are_adopted_by_root(cron: CronBox) -> None:
    cron.cover("/etc", "/var/lib", "/var/log")
    line = "SHELL=/bin/bash\n* * * * * nobody echo $BASH_VERSION; id -un; cat%in\n"
    cron.write("/etc/cron.d/theirs", line)
    cron.write("/etc/cron.daily/tidy", "#!/bin/sh\necho tidied\n")
    cron.run("chmod", "751", "/etc/cron.daily/tidy")
    cron.write("/etc/crontab", "PATH=/sbin:/bin:/usr/bin\n25 6 * * * root cd / && run-parts --report /etc/cron.daily\n")
    mltop = Mltop(cron)
    id = next(job["id"] for job in mltop.json("list", "--all")["jobs"] if job["origin"] == "cron.d")
    _paused_and_run(cron, mltop, id, line)
    mltop(
        "adopt",
        next(job["id"] for job in mltop.json("list", "--all")["jobs"] if job["origin"] == "cron.d"),
        "--as",
        "a",
    )
    mltop("adopt", "cron.daily-tidy")
    assert cron.run("cat", "/etc/cron.d/theirs") == line.replace(
        "* * * * * nobody", "# mltop:adopted:a * * * * * nobody"
    )
    config = cron.run("cat", "/etc/mltop/config.toml")
    assert 'run_as = "nobody"' in config
    assert 'schedule = "25 6 * * *"' in config, "when cron runs that folder"
    assert cron.run("run-parts", "--test", "/etc/cron.daily").find("tidy") < 0
    cron.start()
    wait_until(lambda: mltop.runs("a", "schedule"), 20, cron.said)
    said = mltop("logs", "a").split()
    assert "nobody" in said
    assert "in" in said
    assert any(word.startswith("5.") for word in said), "its SHELL is bash"
    mltop("run", "tidy")
    wait_until(lambda: mltop.runs("tidy", "manual"), 20, lambda: mltop("history"))
    assert "tidied" in mltop("logs", "tidy")
    mltop("unadopt", "tidy")
    assert cron.run("stat", "-c", "%a", "/etc/cron.daily/tidy") == "751\n"
    mltop("undo")
    mltop("undo")
    assert cron.run("stat", "-c", "%a", "/etc/cron.daily/tidy") == "751\n"
    mltop("unadopt", "a")
    assert cron.run("cat", "/etc/cron.d/theirs") == line
    assert "run a " not in cron.run("sh", "-c", "cat /etc/cron.d/*")


def _paused_and_run(cron: CronBox, mltop: Mltop, id: str, line: str) -> None:
    """What is the system's is run and paused where it stands."""
    mltop("disable", id)
    assert "# mltop:off * * * * * nobody" in cron.run("cat", "/etc/cron.d/theirs")
    mltop("undo")
    assert cron.run("cat", "/etc/cron.d/theirs") == line
    mltop("disable", "cron.daily-tidy")
    assert "tidy" not in cron.run("run-parts", "--test", "/etc/cron.daily")
    assert "paused" in mltop("show", "cron.daily-tidy")
    mltop("enable", "cron.daily-tidy")
    assert cron.run("stat", "-c", "%a", "/etc/cron.daily/tidy") == "751\n"
    mltop("run", id)
    mltop("run", "cron.daily-tidy")
    wait_until(
        lambda: mltop.runs(id, "manual") and mltop.runs("cron.daily-tidy", "manual"), 20, lambda: mltop("history")
    )
    assert "nobody" in mltop("logs", id)
    assert "tidied" in mltop("logs", "cron.daily-tidy")
    assert next(job for job in mltop.json("list", "--all")["jobs"] if job["id"] == id)["last_run"]["state"] == "ok"
    mltop("edit", id, "--set", "schedule=@daily", code=1)


def test_a_line_is_parted_as_a_real_cron_parts_it(cron: CronBox) -> None:
    """What the wrapper starts by hand, and an adopted job, does what the line did."""
    from mltop.jobs.crontab.command import command_and_input, shell_argv

    lines = [
        r"printf '\%s|' 'a\\b' 'c\\\\d' 'e\x' > OUT", "cat > OUT%one%two", "cat > OUT%one%", "cat > OUT%",
        r"cat > OUT%a\%b\\c\x%z\\", r"printf '\%s|' 'q\\\%w' > OUT", "read x; cat > OUT; echo $x >> OUT%first%rest%",
        r"cat > OUT%\\\%x\%", "echo x > OUT \\",
    ]  # fmt: skip
    out = cron.folder / "out"
    out.mkdir()
    placed = [line.replace("OUT", str(out / str(number))) for number, line in enumerate(lines)]
    last = f"sleep 0.2; touch {out}/all"
    (cron.folder / "tab").write_text("".join(f"* * * * * {line}\n" for line in (*placed, last)))
    cron.run("crontab", str(cron.folder / "tab"))
    cron.start()
    wait_until(lambda: len(list(out.iterdir())) == len(lines) + 1, 20, cron.said)
    told = [(out / str(number)).read_bytes() for number in range(len(lines))]
    cron.run("crontab", "-r")
    for number, line in enumerate(placed):
        command, given = command_and_input(line.encode())
        cron.run(*shell_argv("/bin/sh", command.decode(), None if given is None else given.decode()))
        assert (out / str(number)).read_bytes() == told[number], line
    assert told[0] == rb"a\b|c\\d|e\x|"


@pytest.mark.parametrize("wrong", ["61 * * * * root true", "* * * * root true", "0 1 * * mond root true", "nonsense"])
def test_a_real_cron_runs_nothing_of_a_file_with_a_bad_line_and_the_list_says_so(cron: CronBox, wrong: str) -> None:
    out = cron.folder / "out"
    out.mkdir()
    (cron.folder / "cron.d" / "odd").write_text(f"* * * * * root touch {out}/odd\n{wrong}\n")
    (cron.folder / "cron.d" / "fine").write_text(f"* * * * * root touch {out}/fine\n")
    mltop = Mltop(cron, "--config", "/dev/null", "--state-dir", str(cron.folder / "state"))
    found = {
        job["id"].rpartition("-")[0]: job for job in mltop.json("list", "--all")["jobs"] if job["origin"] == "cron.d"
    }
    assert (found["cron.d-odd"]["state"], found["cron.d-odd"]["next_runs"]) == ("not run", [])
    assert found["cron.d-fine"]["next_runs"] != []
    cron.start()
    wait_until((out / "fine").exists, 20, cron.said)
    (out / "fine").unlink()
    wait_until((out / "fine").exists, 20, cron.said)
    assert not (out / "odd").exists()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_real_cron_stops_at_the_lines_that_it_is_said_to_stop_at(cron: CronBox, seed: int) -> None:
    """Each line ends a file of its own, after one that leaves a trace: the file is run, or is not, as it was told."""
    out = cron.folder / "out"
    out.mkdir()
    placed = [*TAKEN, *REFUSED, *made(seed, 400)]
    users = local_users()
    good = f"* * * * * root touch {out}/".encode()
    told = set()
    for number, line in enumerate([*placed, b""]):
        data = good + b"%d\n" % number + line
        (cron.folder / "cron.d" / f"f{number}").write_bytes(data)
        if wrong_line(data, users) is None:
            told.add(str(number))
    cron.start(30)

    def ran() -> set[str]:
        return {path.name for path in out.iterdir()}

    wait_until(lambda: ran() >= told, 60, lambda: f"{[placed[int(number)] for number in told - ran()]}")
    for path in list(out.iterdir()):
        path.unlink()
    wait_until(lambda: ran() >= told, 60, lambda: f"{[placed[int(number)] for number in told - ran()]}")
    assert [placed[int(number)] for number in ran() - told] == []
