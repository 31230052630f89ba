"""One list of all that is scheduled, on boxes where this or that is missing (J1 to J3, J6)."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from patience import assert_within
from scheduler_box import Box, command

from mltop.config.job import JobConfig
from mltop.jobs import foreign, program
from mltop.jobs import inventory as module
from mltop.jobs import scheduler as schedulers
from mltop.jobs.history import summary
from mltop.jobs.history.entry import Entry
from mltop.jobs.history.history import History
from mltop.jobs.inventory import Inventory, inventory
from mltop.jobs.place import Place
from mltop.jobs.plan import plan as planning
from mltop.jobs.plan.apply import apply
from mltop.jobs.systemd import place as unit_place
from mltop.jobs.systemd import timer
from mltop.model.job import Drift, Job, Origin, Run, RunState

MINE = b"# nightly\n0 1 * * * /opt/thing --all\n# mltop:off 0 2 * * * paused\n5-1 * * * * never\n"


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    monkeypatch.setattr(schedulers, "_BOOTED", tmp_path / "not-booted")
    monkeypatch.setattr(planning, "CRON_D", tmp_path / "cron.d" / "mltop")
    monkeypatch.setattr(unit_place, "SYSTEM_UNITS", tmp_path / "units")
    monkeypatch.setattr(module, "is_cron_running", lambda: True)
    made = Box(tmp_path)
    made.tab.write_bytes(MINE)
    return made


def look(box: Box, *jobs: JobConfig, **how: object) -> Inventory:
    return inventory({job.id: job for job in jobs}, box.site(), **how)  # type: ignore[arg-type]


def by_id(found: Inventory) -> dict[str, Job]:
    return {job.id: job for job in found.jobs}


def test_own_jobs_come_first_then_the_crontab(box: Box) -> None:
    apply([command("a", "0 2 * * *")], box.site())
    found = look(box, command("a", "0 2 * * *"), command("b", "0 3 * * *", enabled=False), command("c"))
    assert [(job.id.split("-")[0], job.origin, job.state, job.drift) for job in found.jobs] == [
        ("a", Origin.MLTOP, "never seen", Drift.IN_SYNC),
        ("b", Origin.MLTOP, "disabled", Drift.IN_SYNC),
        ("c", Origin.MLTOP, "by hand only", Drift.IN_SYNC),
        ("crontab", Origin.CRONTAB, "never seen", None),
        ("crontab", Origin.CRONTAB, "paused", None),
        ("crontab", Origin.CRONTAB, "never seen", None),
    ]
    assert [bool(job.next_runs) for job in found.jobs] == [True, False, False, True, False, False]
    assert found.jobs[3].source == "crontab:2"
    assert "backwards" in str(found.jobs[5].description)


def test_the_last_run_is_an_observed_one(box: Box) -> None:
    history = History(box.state)
    started = "2026-11-24T02:00:00.000Z"
    for state in (RunState.FAILED, RunState.OK):
        history.finish(Run(id=f"r-{state}", job="a", started_at=started, state=state))
    job = by_id(look(box, command("a", "0 2 * * *")))["a"]
    assert job.last_run is not None
    assert (job.last_run.started_at, job.state) == (started, "ok")
    assert sorted(job.streak) == ["failed", "ok"]


def test_what_is_no_longer_in_the_config_is_listed_unless_the_config_is_broken(box: Box) -> None:
    apply([command("gone", "0 2 * * *")], box.site())
    assert by_id(look(box))["gone"].drift is Drift.ORPHANED
    assert "gone" not in by_id(look(box, is_whole=False))


def test_looking_creates_nothing(box: Box) -> None:
    before = sorted(box.folder.rglob("*"))
    look(box, command("a", "0 2 * * *"), is_all=True)
    assert sorted(box.folder.rglob("*")) == before
    assert box.tab.read_bytes() == MINE


RUNNING = "cron is not running: nothing in a crontab runs"
NO_SYSTEMD = "no systemd runs on this box"


def _without_cron(box: Box, patch: pytest.MonkeyPatch) -> None:
    (box.bin / "crontab").unlink()
    patch.setattr(program, "_PATH", ())
    real = schedulers.find
    patch.setattr(schedulers, "find", lambda name, environment: None if name == "crontab" else real(name, environment))


def _off(box: Box, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(module, "is_cron_running", lambda: False)


def _forbidden(box: Box, patch: pytest.MonkeyPatch) -> None:
    box.program("crontab", 'echo "You (x) are not allowed to use this program (crontab)" >&2; exit 1')


def _without_manager(box: Box, patch: pytest.MonkeyPatch) -> None:
    (box.folder / "booted").mkdir()
    patch.setattr(schedulers, "_BOOTED", box.folder / "booted")
    patch.setattr(schedulers, "_LINGER", box.folder / "linger")
    patch.setattr(schedulers, "runtime_directory", lambda environment: box.folder / "runtime")
    box.program("systemctl", 'echo "[]"')


STATES = {
    "no systemd": (lambda box, patch: None, (NO_SYSTEMD,)),
    "no cron": (_without_cron, ("no cron on this box (no crontab program)", NO_SYSTEMD)),
    "cron is off": (_off, (RUNNING, NO_SYSTEMD)),
    "cron is forbidden": (
        _forbidden,
        ("crontab -l: You (x) are not allowed to use this program (crontab)", NO_SYSTEMD),
    ),
    "no user manager": (_without_manager, ("your systemd manager is not running (linger is off)",)),
}


@pytest.mark.parametrize("state", STATES)
def test_what_is_missing_is_one_grey_line_and_the_list_is_there_at_once(
    box: Box, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """The five states of a box (J3)."""
    prepare, notes = STATES[state]
    prepare(box, monkeypatch)
    began = time.monotonic()
    found = look(box, command("a", "0 2 * * *"))
    assert_within(3, began)  # a second on a quiet box
    assert found.notes == notes
    assert found.jobs[0].id == "a"


def test_without_any_scheduler_a_job_is_by_hand_only(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_cron(box, monkeypatch)
    found = look(box, command("a", "0 2 * * *", backend="auto"))
    assert [job.state for job in found.jobs] == ["not scheduled"]
    assert "by hand only" in str(found.jobs[0].description)


def test_managers_that_do_not_answer_cost_their_deadline_once(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A systemctl that hangs keeps nothing else from the list (J6)."""
    _without_manager(box, monkeypatch)
    (box.folder / "runtime" / "systemd").mkdir(parents=True)
    (box.folder / "runtime" / "systemd" / "private").touch()
    asked = box.folder / "asked"
    both = f'until [ "$(wc -l < {asked})" -ge 2 ]; do sleep 0.02; done; echo met >> {asked}'
    box.program("systemctl", f'echo "$*" >> {asked}; {both}; exec sleep 60')
    monkeypatch.setattr(timer, "_DEADLINE_S", 2.0)
    found = look(box, command("a", "0 2 * * *"))
    *questions, one, other = asked.read_text().splitlines()
    assert (len(questions), one, other) == (2, "met", "met"), "one of each manager, side by side"
    assert found.notes == tuple(
        f"timers ({scope}): systemctl does not answer within 2 s" for scope in ("user", "system")
    )
    assert [job.id.split("-")[0] for job in found.jobs] == ["a", "crontab", "crontab", "crontab"]


def test_system_crontabs_have_what_cron_takes_and_nothing_else(box: Box, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    for folder in ("cron.d", "cron.daily"):
        (etc / folder).mkdir(parents=True)
    (etc / "crontab").write_text("SHELL=/bin/sh\n17 *\t* * *\troot\tcd / && run-parts --report /etc/cron.hourly\n")
    (etc / "cron.d" / "e2scrub").write_text("30 3 * * 0 root /sbin/e2scrub\n")
    (etc / "cron.d" / "mltop").write_text("0 2 * * * root /opt/mltop run a\n")
    (etc / "cron.d" / "old.bak").write_text("30 3 * * 0 root /sbin/not-this\n")
    (etc / "cron.daily" / "dpkg").write_text("#!/bin/sh\n")
    (etc / "cron.daily" / "dpkg").chmod(0o755)
    (etc / "cron.daily" / "not-executable").write_text("#!/bin/sh\n")
    found, notes = foreign.system_crontabs(etc)
    assert [(one.job.origin, one.job.command) for one in found] == [
        (Origin.CRONTAB, "as root: cd / && run-parts --report /etc/cron.hourly"),
        (Origin.CRON_D, "as root: /sbin/e2scrub"),
        (Origin.CRON_DAILY, str(etc / "cron.daily" / "dpkg")),
    ]
    assert notes == []


def test_what_became_a_job_is_found_where_it_stood(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    for folder in ("cron.d", "cron.daily", "cron.weekly"):
        (etc / folder).mkdir(parents=True)
    (etc / "crontab").write_text("# mltop:adopted:one 0 1 * * * root x\n")
    (etc / "cron.d" / "thing").write_text("PATH=/bin\n# mltop:adopted:two 0 1 * * * root x\n")
    for path in ("cron.daily/.three.mltop", "cron.weekly/.three.mltop", "cron.daily/.four.mltop-off"):
        (etc / path).write_text("#!/bin/sh\n")
    assert foreign.adopted_at("one", etc) == etc / "crontab"
    assert foreign.adopted_at("two", etc) == etc / "cron.d" / "thing"
    assert foreign.adopted_at("three", etc) == etc / "cron.daily" / "three"
    assert foreign.adopted_at("cron.weekly-three", etc) == etc / "cron.weekly" / "three"
    assert [foreign.adopted_at(name, etc) for name in ("on", "four", "cron.daily-two", "")] == [None] * 4
    assert foreign.adopted_at("one", tmp_path / "none") is None


def test_a_thousand_lines_and_two_hundred_timers_are_listed_within_a_second(
    box: Box, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "booted").mkdir()
    monkeypatch.setattr(schedulers, "_BOOTED", tmp_path / "booted")
    monkeypatch.setattr(schedulers, "runtime_directory", lambda environment: tmp_path / "runtime")
    box.tab.write_text("".join(f"{i % 60} {i % 24} * * {i % 7} job-{i}\n" for i in range(1000)))
    rows = [
        {"next": 1795564800000000, "last": 0, "unit": f"t{i}.timer", "activates": f"t{i}.service"} for i in range(200)
    ]
    shown = "\n".join(
        f"Id=t{i}.timer\nActiveState=active\nFragmentPath=/etc/systemd/system/t{i}.timer\n" for i in range(200)
    )
    (tmp_path / "rows").write_text(json.dumps(rows))
    (tmp_path / "shown").write_text(shown)
    calls = tmp_path / "calls"
    answers = f'*list-timers*) cat {tmp_path}/rows ;; *" show "*) cat {tmp_path}/shown ;; *) echo "[]" ;;'
    box.program("systemctl", f'echo "$*" >> {calls}; case "$*" in {answers} esac')
    box.program("crontab", f"echo crontab >> {calls}; cat {box.tab}")
    began = time.monotonic()
    found = look(box)
    assert_within(2.0, began)  # one second on a quiet box
    assert len(found.jobs) == 1200
    assert len(calls.read_text().splitlines()) == 4


def test_a_plain_user_sees_roots_jobs_with_their_last_run(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    state = box.folder / "system"
    monkeypatch.setattr(module, "SYSTEM_STATE", state)
    readable = command("seen", "0 2 * * *", scope="system")
    for job in (readable, command("unseen", "0 3 * * *"), command("by-hand")):
        entry = Entry(id=f"r-{job.id}", job=job.id, state=RunState.OK, started_at="2026-11-24T02:00:00.000Z")
        summary.note(Place(state), job, entry)
    History(box.state).finish(Run(id="mine", job="seen", started_at="2026-11-24T03:00:00.000Z", state=RunState.FAILED))
    site = box.site(is_root=False, config=None)
    found = by_id(inventory({"seen": readable}, site))
    assert [(id, found[id].scope, found[id].state) for id in ("seen", "unseen")] == [
        ("seen", "system", "ok"),
        ("unseen", "system", "ok"),
    ]
    assert [run.id for id in ("seen", "unseen") if (run := found[id].last_run)] == ["r-seen", "r-unseen"]
    assert found["unseen"].next_runs
    assert "by-hand" not in found
    assert "unseen" not in by_id(inventory({"seen": readable}, box.site(is_root=False)))  # with --config
    assert "unseen" not in by_id(inventory({"seen": readable}, box.site(is_root=True, config=None)))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("0 1 * * root /sbin/four-fields", '"root" is no day of the week'),
        ("61 1 * * * root /sbin/x", '"61" is no minute'),
        ("0 1 * * mond root /sbin/x", '"mond" is no day of the week'),
        ("nonsense", '"nonsense" is no minute'),
        ("5-1 * * * * root /sbin/never", None),
        ("# comment", None),
        ("A = b", None),
    ],
)
def test_one_bad_line_of_cron_d_stops_its_whole_file(
    tmp_path: Path, wrong: str, why: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cron logs it and runs nothing of the file: what stands beside it is shown as not run."""
    etc = tmp_path / "etc"
    (etc / "cron.d").mkdir(parents=True)
    monkeypatch.setattr(foreign, "is_debians", lambda: True)
    (etc / "cron.d" / "odd").write_text(f"30 3 * * 0 root /sbin/good\n{wrong}\n")
    (etc / "cron.d" / "other").write_text("30 3 * * 0 root /sbin/other\n")
    found, notes = foreign.system_crontabs(etc)
    good, other = ({one.job.command: one for one in found}[f"as root: /sbin/{name}"] for name in ("good", "other"))
    assert (good.job.state, bool(good.schedules)) == (("not run", False) if why else (None, True))
    assert (other.job.state, bool(other.schedules)) == (None, True)
    assert notes == (
        [f"{etc}/cron.d/odd:2: cron cannot read this line ({why}), and so runs nothing of the file"] if why else []
    )


@pytest.mark.parametrize("is_debian", [True, False])
def test_a_zone_in_a_crontab_counts_with_the_cron_that_goes_by_it(
    box: Box, is_debian: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cronie goes by CRON_TZ for the lines below it; Debian's cron does not."""
    for one in (module, foreign, planning):
        monkeypatch.setattr(one, "is_debians", lambda: is_debian)
    monkeypatch.setenv("TZ", "UTC")
    box.tab.write_bytes(
        b"0 1 * * * first\nCRON_TZ=Asia/Kolkata\n0 1 * * * second\nCRON_TZ=Not/There\n0 1 * * * third\n"
    )
    job = command("a", "0 2 * * *")
    apply([job], box.site())
    found = look(box, job)
    times = {one.command: one.next_runs[0][11:16] for one in found.jobs}
    assert (times["first"], times["third"]) == ("01:00", "01:00")
    assert times["second"] == ("01:00" if is_debian else "19:30")
    box.tab.write_bytes(b"CRON_TZ=Asia/Kolkata\n" + box.tab.read_bytes().split(b"third\n")[1])
    found = look(box, job)
    assert found.jobs[0].next_runs[0][11:16] == ("02:00" if is_debian else "20:30")
    note = "CRON_TZ=Asia/Kolkata above mltop's block: its jobs run by that zone"
    assert (note in found.notes) is not is_debian


def test_of_a_crontab_that_cannot_be_read_it_is_not_known_what_it_runs(box: Box) -> None:
    box.program("crontab", 'echo "tester may not use this program (crontab)" >&2; exit 1')
    (job,) = look(box, command("a", "0 2 * * *")).jobs
    assert (job.state, job.drift, job.next_runs) == ("not known", None, ())
