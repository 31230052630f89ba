"""The config against the crontab: plan, apply, hand edits, and the way back (J12, J15, J20, J22)."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scheduler_box import Box, command

from mltop.config.job import JobConfig
from mltop.jobs import scheduler as schedulers
from mltop.jobs.crontab import line as cron_line
from mltop.jobs.crontab.line import Call, line, owned
from mltop.jobs.crontab.taken import refused
from mltop.jobs.foreign import system_entries
from mltop.jobs.kept import hint
from mltop.jobs.plan import operation
from mltop.jobs.plan import plan as module
from mltop.jobs.plan.apply import ApplyError, apply, undo
from mltop.jobs.plan.change import Change, Kind
from mltop.jobs.plan.operation import OperationError, Operations
from mltop.jobs.plan.plan import CRON_D, Plan, plan
from mltop.jobs.schedule.schedule import ScheduleFault
from mltop.jobs.systemd import place as unit_place
from mltop.model.job import Drift

MINE = b"MAILTO=me\n# a=b\n0 1 * * * caf\xe9\n"


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A box with cron and without systemd, whoever runs the tests."""
    monkeypatch.setattr(schedulers, "_BOOTED", tmp_path / "not-booted")
    monkeypatch.setattr(module, "CRON_D", tmp_path / "cron.d" / "mltop")
    monkeypatch.setattr(unit_place, "SYSTEM_UNITS", tmp_path / "units")
    monkeypatch.setattr(module, "is_debians", lambda: True)
    made = Box(tmp_path)
    made.tab.write_bytes(MINE)
    return made


def look(box: Box, *jobs: JobConfig) -> Plan:
    return plan(jobs, box.site())


def drifts(made: Plan) -> dict[str, Drift | None]:
    return {step.id: step.drift for step in made.steps}


def block(box: Box) -> list[str]:
    found = box.tab.read_bytes().decode("latin-1").split("\n")
    return found[found.index("# >>> mltop managed (do not edit) >>>") + 1 : found.index("# <<< mltop managed <<<")]


def test_a_line_is_the_schedule_the_program_and_the_id(box: Box) -> None:
    apply([command("models-backup", "0 2 * * *")], box.site(config=None))
    (found,) = block(box)
    assert re.fullmatch(rf"0 2 \* \* \* {box.mltop} run models-backup # mltop:v1:[0-9a-f]{{12}}", found)
    assert box.tab.read_bytes().startswith(MINE)


def test_config_and_state_are_named_where_cron_would_find_others(box: Box) -> None:
    apply([command("a", "@daily")], box.site(named_state="/srv/state"))
    (found,) = block(box)
    assert f"@daily {box.mltop} run a --config /home/tester/mltop.toml --state-dir /srv/state # mltop" in found
    one = owned(found.encode())
    assert one is not None
    assert (one.id, one.schedule, one.is_intact) == ("a", "@daily", True)
    assert one.call == Call(str(box.mltop), "/home/tester/mltop.toml", "/srv/state")


def test_a_plan_shows_the_diff_and_writes_nothing(box: Box) -> None:
    made = look(box, command("a", "0 2 * * *", "0 14 * * *"))
    assert drifts(made) == {"a": Drift.MISSING}
    added = [row for row in made.diff().splitlines() if row.startswith("+") and "+++" not in row]
    assert len(added) == 4
    assert box.tab.read_bytes() == MINE
    assert not box.state.exists()


def test_applying_twice_changes_nothing_the_second_time(box: Box) -> None:
    jobs = [command("a", "0 2 * * *"), command("b", "every 90m", persistent=True)]
    assert apply(jobs, box.site()) is not None
    after = box.tab.read_bytes()
    assert drifts(look(box, *jobs)) == {"a": Drift.IN_SYNC, "b": Drift.IN_SYNC}
    assert look(box, *jobs).changes == ()
    assert apply(jobs, box.site()) is None
    assert box.tab.read_bytes() == after


def test_a_persistent_job_brings_the_lines_that_make_up_what_was_missed(box: Box) -> None:
    jobs = [command("a", "0 2 * * *", persistent=True)]
    apply(jobs, box.site())
    assert [row.split(" run ")[0].split(str(box.mltop))[0].strip()[:7] for row in block(box)][1] == "@reboot"
    assert [" run --catch-up " in row for row in block(box)] == [False, True, True]
    apply([command("a", "0 2 * * *")], box.site())
    assert len(block(box)) == 1


def test_a_changed_config_is_changed_not_drifted_and_stays_in_its_place(box: Box) -> None:
    apply([command("a", "0 2 * * *"), command("b", "0 3 * * *")], box.site())
    jobs = [command("a", "0 4 * * *"), command("b", "0 3 * * *")]
    assert drifts(look(box, *jobs)) == {"a": Drift.CHANGED, "b": Drift.IN_SYNC}
    removed = [row for row in look(box, *jobs).diff().splitlines() if row.startswith("-") and "---" not in row]
    assert len(removed) == 1
    apply(jobs, box.site())
    assert [row[:9] for row in block(box)] == ["0 4 * * *", "0 3 * * *"]


def test_a_job_that_is_gone_or_disabled_leaves(box: Box) -> None:
    apply([command("a", "0 2 * * *"), command("b", "0 3 * * *")], box.site())
    made = look(box, command("a", "0 2 * * *", enabled=False))
    assert drifts(made) == {"a": Drift.CHANGED, "b": Drift.ORPHANED}
    apply([command("a", "0 2 * * *", enabled=False)], box.site())
    assert box.tab.read_bytes() == MINE


@pytest.mark.parametrize(
    "edit",
    [
        lambda row: row.replace("0 2", "30 5"),
        lambda row: "#" + row,
        lambda row: "# " + row,
        lambda row: row.replace(" run a", " run a --nice"),
        lambda row: row + " and more",
        lambda row: row.replace(" # ", " >/dev/null # "),
        lambda row: row.partition(" # ")[0],
        lambda row: row + "\r",
    ],
)
def test_a_hand_edit_is_shown_kept_and_overwritten_only_when_asked(box: Box, edit: object) -> None:
    jobs = [command("a", "0 2 * * *"), command("b", "0 3 * * *")]
    apply(jobs, box.site())
    clean = box.tab.read_bytes()
    row, _ = block(box)
    text = box.tab.read_text("latin-1").replace(row, edit(row))  # type: ignore[operator]
    box.tab.write_text(text, "latin-1")
    edited = box.tab.read_bytes()
    made = look(box, *jobs)
    assert drifts(made) == {"a": Drift.DRIFTED, "b": Drift.IN_SYNC}
    with pytest.raises(ApplyError, match=r"a was edited by hand.*--mine.*--theirs"):
        apply(jobs, box.site())
    assert box.tab.read_bytes() == edited
    with pytest.raises(ApplyError):  # what is not drifted is applied
        apply([jobs[0], command("b", "0 4 * * *")], box.site())
    assert block(box)[1].startswith("0 4 ")
    assert block(box)[0] == edit(row)  # type: ignore[operator]
    apply(jobs, box.site(), "mine")
    assert box.tab.read_bytes() == clean


def test_the_lines_of_another_config_and_strangers_stay(box: Box) -> None:
    apply([command("a", "0 2 * * *")], box.site(config=None))
    box.tab.write_text(box.tab.read_text("latin-1").replace("# <<< ml", "0 9 * * * stranger\n# <<< ml"), "latin-1")
    sandbox = box.site(config="/tmp/sandbox/config.toml")
    assert apply([command("a", "0 5 * * *")], sandbox) is not None
    rows = block(box)
    assert [row[:9] for row in rows] == ["0 2 * * *", "0 9 * * *", "0 5 * * *"]
    assert apply([], sandbox) is not None
    assert block(box) == rows[:2]
    assert "1 lines in mltop's block are not mltop's: they stay" in look(box).notes


def test_undo_gives_the_same_bytes_back_once(box: Box) -> None:
    apply([command("a", "0 2 * * *")], box.site())
    first = box.tab.read_bytes()
    apply([command("a", "0 3 * * *")], box.site())
    undo(box.site())
    assert box.tab.read_bytes() == first
    undo(box.site())
    assert box.tab.read_bytes() == MINE
    with pytest.raises(ApplyError, match="nothing to undo"):
        undo(box.site())
    operations = Operations(box.site()).all()
    assert [one.operation for one in operations] == ["apply", "apply", "undo", "undo"]
    raw = (box.state / "operations.jsonl").read_bytes().splitlines()
    assert all(isinstance(msgspec.json.decode(row), dict) for row in raw)


def test_undo_knows_what_was_done_before_the_list_was_rotated(box: Box) -> None:
    """The starter config has mltop's own list rotated every day."""
    apply([command("a", "0 2 * * *")], box.site())
    first = box.tab.read_bytes()
    apply([command("a", "0 3 * * *")], box.site())
    listed = box.state / "operations.jsonl"
    listed.rename(box.state / "operations.jsonl-20261124T000000Z")
    apply([command("a", "0 4 * * *")], box.site())
    for expected in ("0 3 * * *", "0 2 * * *"):
        undo(box.site())
        assert [row[:9] for row in block(box)] == [expected]
    assert box.tab.read_bytes() == first
    listed.write_bytes(b"")
    undo(box.site())
    assert box.tab.read_bytes() == MINE
    with pytest.raises(ApplyError, match="nothing to undo"):
        undo(box.site())


def test_the_last_changes_are_kept_whatever_the_clock_said_when_others_were_made(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation, "KEPT", 2)
    for number in range(3):
        (box.state / "backups" / f"20991231T00000{number}Z-0").mkdir(parents=True)
    apply([command("a", "0 2 * * *")], box.site())
    undo(box.site())
    assert box.tab.read_bytes() == MINE


def test_what_fails_again_and_again_pushes_out_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation, "KEPT", 3)
    apply([command("a", "0 2 * * *")], box.site())
    refusing = 'if [ "$1" = -l ]; then cat "$TAB"; else echo no >&2; exit 1; fi'
    taking = (box.bin / "crontab").read_text()
    box.program("crontab", refusing)
    for _ in range(4):
        with pytest.raises(ApplyError, match="crontab did not take it"):
            apply([command("a", "0 3 * * *")], box.site())
    assert len([path for path in (box.state / "backups").iterdir() if path.is_dir()]) == 1
    (box.bin / "crontab").write_text(taking)
    apply([command("a", "0 4 * * *")], box.site())
    undo(box.site())
    undo(box.site())
    assert box.tab.read_bytes() == MINE


@pytest.mark.parametrize(
    ("uid", "said"), [(0, "not even root may write it (chattr +i"), (1000, "not yours to write; sudo")]
)
def test_who_may_not_write_is_told_what_helps(uid: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert said in hint(PermissionError(1, "Operation not permitted"))
    assert hint(OSError(28, "No space left on device")) == ""


def test_a_change_that_is_not_kept_any_more_is_said(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation, "KEPT", 1)
    apply([command("a", "0 2 * * *")], box.site())
    apply([command("a", "0 3 * * *")], box.site())
    undo(box.site())
    now = box.tab.read_bytes()
    with pytest.raises(ApplyError, match="what crontab was is not kept any more"):
        undo(box.site())
    assert box.tab.read_bytes() == now


def test_undo_touches_nothing_that_was_changed_since(box: Box) -> None:
    apply([command("a", "0 2 * * *")], box.site())
    box.tab.write_bytes(box.tab.read_bytes() + b"0 7 * * * new\n")
    now = box.tab.read_bytes()
    with pytest.raises(
        ApplyError, match=r"crontab was changed since then: it is not taken back; what it was is in .*before"
    ):
        undo(box.site())
    assert box.tab.read_bytes() == now


def test_a_schedule_that_cannot_be_is_named_with_its_place_and_stops_no_other(box: Box) -> None:
    jobs = [command("a", "5-1 * * * *", source="config.toml:7"), command("b", "0 3 * * *"), command("c", "every 30s")]
    made = look(box, *jobs)
    assert made.faults[0].startswith('config.toml:7: jobs.a.schedule: minute "5-1"')
    assert "cron cannot say" in made.faults[1]
    with pytest.raises(ApplyError, match="backwards"):
        apply(jobs, box.site())
    assert [row[:9] for row in block(box)] == ["0 3 * * *"]


def test_a_fault_keeps_what_is_installed(box: Box) -> None:
    apply([command("a", "0 2 * * *")], box.site())
    before = box.tab.read_bytes()
    with pytest.raises(ApplyError):
        apply([command("a", "61 2 * * *")], box.site())
    assert box.tab.read_bytes() == before


def test_half_a_block_is_refused_and_nothing_written(box: Box) -> None:
    box.tab.write_bytes(MINE + b"# >>> mltop managed (do not edit) >>>\n")
    before = box.tab.read_bytes()
    with pytest.raises(ApplyError, match="block in the crontab is not whole"):
        apply([command("a", "0 2 * * *")], box.site())
    assert box.tab.read_bytes() == before


def test_a_forbidden_crontab_is_a_reason_not_an_empty_one(box: Box) -> None:
    box.program("crontab", 'echo "You (me) are not allowed to use this program (crontab)" >&2; exit 1')
    made = look(box, command("a", "0 2 * * *"))
    assert made.changes == ()
    assert "not allowed" in made.faults[0]


def test_where_nothing_schedules_a_job_is_by_hand_only(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedulers, "find", lambda name, environment: None)
    job = command("a", "0 2 * * *", backend="auto")
    (step,) = look(box, job).steps
    assert step.is_fault
    assert str(step.note).endswith("no systemd runs on this box: by hand only")


def test_auto_is_cron_without_a_manager(box: Box) -> None:
    assert look(box, command("a", "0 2 * * *", backend="auto")).steps[0].backend == "cron"


def test_a_file_of_cron_d_has_the_user_column_and_goes_with_its_last_job(box: Box) -> None:
    module.CRON_D.parent.mkdir()
    site = box.site(config=None, is_root=True)
    job = command("a", "0 2 * * *", backend="cron.d", scope="system", run_as="mluser")
    apply([job], site)
    assert module.CRON_D.stat().st_mode & 0o777 == 0o644
    head, row = module.CRON_D.read_text().splitlines()
    assert head.startswith("#")
    assert row.startswith(f"0 2 * * * root {box.mltop} run a # mltop")
    assert drifts(plan([job], site)) == {"a": Drift.IN_SYNC}
    assert box.tab.read_bytes() == MINE
    apply([], site)
    assert not module.CRON_D.exists()
    undo(site)
    assert module.CRON_D.read_text().splitlines() == [head, row]


def test_a_file_of_cron_d_is_one_that_cron_reads_and_takes_its_place_whole(box: Box) -> None:
    """Root's, 0644, a name without a dot, a user column; what it was stays readable until it is replaced (J16)."""
    folder = module.CRON_D.parent
    folder.mkdir()
    site = box.site(config=None, is_root=True)
    apply([command("a", "0 2 * * *", backend="cron.d", scope="system")], site)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", CRON_D.name)
    with module.CRON_D.open("rb") as old:
        apply([command("a", "0 3 * * *", backend="cron.d", scope="system")], site)
        assert b"0 2 * * * root " in old.read(), "renamed into place, not written over"
    assert [path.name for path in folder.iterdir()] == ["mltop"], "nothing is left beside it"
    status = module.CRON_D.stat()
    assert (status.st_uid, status.st_mode & 0o7777) == (os.geteuid(), 0o644)
    (entry,) = system_entries(CRON_D, module.CRON_D.read_bytes())
    assert (entry.schedule, entry.user) == (b"0 3 * * *", b"root")


def test_a_backend_that_changes_moves_the_job(box: Box) -> None:
    module.CRON_D.parent.mkdir()
    site = box.site(config=None, is_root=True)
    apply([command("a", "0 2 * * *", backend="cron.d", scope="system")], site)
    apply([command("a", "0 2 * * *", backend="cron", scope="system")], site)
    assert not module.CRON_D.exists()
    assert len(block(box)) == 1


@given(id=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True), program=st.text(max_size=30))
def test_a_line_holds_nothing_that_needs_quotes(id: str, program: str) -> None:
    try:
        made = line("0 2 * * *", Call(f"/{program}", "/etc/x.toml").argv(id))
    except ScheduleFault:
        return
    assert re.fullmatch(rb"[A-Za-z0-9_./@:#=* ,~-]+", made)
    found = owned(made)
    assert found is not None
    assert (found.id, found.is_intact, found.call.program) == (id, True, f"/{program}")


@pytest.mark.parametrize("user", [None, "root"])
def test_a_line_is_no_longer_than_cron_takes(user: str | None) -> None:
    """One that is too long stops its whole file; the lines for what was missed have to fit too."""
    taken = 0
    for length in range(900, 1000):
        call = Call("/opt/mltop", "/" + "x" * length)
        try:
            made = [line("0 2 * * *", call.argv("a"), user), *cron_line.catch_up(call, user)]
        except ScheduleFault:
            continue
        taken = length
        for one in made:
            assert len(one.partition(b"/opt")[2]) + 4 <= 998
            assert refused((one if user else one.replace(b" /opt", b" root /opt")) + b"\n") is None
    assert 900 < taken < 999
    with pytest.raises(ScheduleFault, match="over 998 bytes: put config and state under shorter paths"):
        line("0 2 * * *", Call("/opt/mltop", "/" + "x" * 999).argv("a"), user)


def test_the_lines_for_missed_runs_are_the_same_every_time() -> None:
    assert cron_line.catch_up(Call("/opt/mltop")) == cron_line.catch_up(Call("/opt/mltop"))


def test_an_undo_that_somebody_began_by_hand_is_ended(box: Box) -> None:
    apply([command("a", "0 2 * * *")], box.site())
    box.tab.write_bytes(MINE)
    assert undo(box.site()).changes == ()
    with pytest.raises(ApplyError, match="nothing to undo"):
        undo(box.site())


def test_what_was_interrupted_is_taken_back(box: Box, tmp_path: Path) -> None:
    """Ctrl-C while crontab(1) works: the config that was written before it is as it was."""
    config = tmp_path / "config.toml"
    config.write_text("version = 1\n")
    changes = [
        Change(kind=Kind.CONFIG, path=str(config), before=b"version = 1\n", after=b"version = 1\n[ui]\n"),
        Change(kind=Kind.CRONTAB, path="crontab", before=MINE, after=MINE + b"# more\n"),
    ]
    box.program("crontab", 'if [ "$1" = -l ]; then cat "$TAB"; else kill -INT $PPID; exec sleep 20; fi')
    operations = Operations(box.site())
    was = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with operations.locked(), pytest.raises(KeyboardInterrupt):
            operations.do("edit", changes)
    finally:
        signal.signal(signal.SIGINT, was)
    assert (config.read_text(), box.tab.read_bytes()) == ("version = 1\n", MINE)
    assert operations.cut_short() is None


def test_a_crontab_that_fails_is_said_once_and_the_config_is_as_it_was(box: Box, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("version = 1\n")
    changes = [
        Change(kind=Kind.CONFIG, path=str(config), before=b"version = 1\n", after=b"version = 1\n[ui]\n"),
        Change(kind=Kind.CRONTAB, path="crontab", before=MINE, after=MINE + b"# more\n"),
    ]
    box.program("crontab", 'if [ "$1" = -l ]; then cat "$TAB"; else : > "$TAB"; exit 1; fi')
    operations = Operations(box.site())
    with operations.locked(), pytest.raises(OperationError) as error:
        operations.do("edit", changes)
    assert config.read_text() == "version = 1\n"
    assert str(error.value).count("crontab could not be put back") == 1
    assert "could not be taken back" not in str(error.value)


def test_an_empty_crontab_is_shown_without_a_line(box: Box) -> None:
    box.tab.write_bytes(b"")
    assert "\n-" not in look(box, command("a", "0 2 * * *")).diff().partition("+++")[2]


def test_a_torn_note_takes_no_other_with_it(box: Box) -> None:
    apply([command("a", "0 2 * * *")], box.site())
    with (box.state / "operations.jsonl").open("ab") as file:
        file.write(b'{"id": "2026", "ti')
    apply([command("a", "0 3 * * *")], box.site())
    undo(box.site())
    undo(box.site())
    assert box.tab.read_bytes() == MINE


def test_a_file_of_mltops_that_cron_does_not_read_is_said(box: Box) -> None:
    module.CRON_D.parent.mkdir()
    site = box.site(config=None, is_root=True)
    job = command("a", "0 2 * * *", backend="cron.d", scope="system")
    apply([job], site)
    assert plan([job], site).notes == ()
    with module.CRON_D.open("a") as file:
        file.write("*/0 * * * * root by-hand\n")
    (note,) = [note for note in plan([job], site).notes if str(module.CRON_D) in note]
    assert note == f'{module.CRON_D}:3: cron cannot read this line ("*/0" is no minute), nor runs the others'
    os.link(module.CRON_D, other := module.CRON_D.with_name("other"))
    (note,) = [note for note in plan([job], site).notes if str(module.CRON_D) in note]
    assert note.endswith(
        f"another hard link, so cron runs nothing of it (find / -xdev -samefile {module.CRON_D}: take it away)"
    )
    other.unlink()
    module.CRON_D.chmod(0o666)
    assert any("others than root can write it, so cron runs nothing of it" in note for note in plan([job], site).notes)
