"""A foreign line, script or timer becomes a job, and goes back as it was (J23)."""

from __future__ import annotations

import subprocess
import tomllib
from typing import Any

import pytest
from jobs_command import CONFIG, MINE, Here

from mltop.jobs import adoption, foreign, inventory
from mltop.jobs.plan import plan as planning
from mltop.model.job import Origin

BEGIN = b"# >>> mltop managed (do not edit) >>>\n"


def foreign_ids(here: Here) -> list[str]:
    return [job["id"] for job in here.json("list")["jobs"] if job["origin"] == Origin.CRONTAB]


def job(here: Here, name: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(here.config.read_text())["jobs"][name]
    return found


def adopt(here: Here, line: bytes, *words: str, code: int = 0) -> str:
    """Adopt the last line of a crontab."""
    here.box.tab.write_bytes(line)
    return here("adopt", foreign_ids(here)[-1], "--as", "taken", *words, code=code)


def test_a_line_becomes_a_job_and_goes_back_to_the_byte(here: Here) -> None:
    (id,) = foreign_ids(here)
    here("adopt", id, "--as", "nightly")
    tab = here.box.tab.read_bytes()
    line = b'0 1 * * * echo $WHO > "$HOME/out" 2>&1%%x\n'
    assert tab.startswith(MINE.replace(line, b"# mltop:adopted:nightly " + line) + BEGIN + b"0 1 * * * /")
    assert job(here, "nightly")["schedule"] == "0 1 * * *"
    assert job(here, "nightly")["env"] == {"MAILTO": "me"}, "what stands below the line is not in force at it"
    assert here.config.read_text().startswith(CONFIG)
    assert foreign_ids(here) == []
    here("unadopt", "nightly")
    assert (here.box.tab.read_bytes(), here.config.read_text()) == (MINE, CONFIG)
    assert foreign_ids(here) == [id]


def test_adoption_is_one_operation_that_undo_takes_back(here: Here) -> None:
    (id,) = foreign_ids(here)
    here("adopt", id, "--as", "nightly")
    after = (here.box.tab.read_bytes(), here.config.read_text())
    here("undo")
    assert (here.box.tab.read_bytes(), here.config.read_text()) == (MINE, CONFIG)
    here("adopt", id, "--as", "nightly")
    here("unadopt", "nightly")
    here("undo")
    assert (here.box.tab.read_bytes(), here.config.read_text()) == after


def test_the_difference_is_shown_and_a_dry_run_writes_nothing(here: Here) -> None:
    (id,) = foreign_ids(here)
    shown = here("adopt", id, "--dry-run")
    assert "+# mltop:adopted:echo 0 1 * * * echo" in shown
    assert "+[jobs.echo]" in shown
    found = here.json("adopt", id, "--dry-run")
    assert [change["kind"] for change in found["changes"]] == ["config", "crontab"]
    assert (here.box.tab.read_bytes(), here.config.read_text()) == (MINE, CONFIG)
    assert not here.box.state.exists()


@pytest.mark.parametrize(
    ("above", "command", "expected"),
    [
        (b"", rb"date +\%Y", "date +%Y"),
        (b"", rb"echo 'a\\b'", r"echo 'a\b'"),
        (b"SHELL=/bin/bash\n", b"a <(b)", ["/bin/bash", "-c", "a <(b)"]),
        (b"", b'grep -v " #" f', 'grep -v " #" f'),
        (b"", b"x \xc3\xa9", "x é"),
        (b"", b"a\tb", "a\tb"),
        (b"", b"a\r", "a"),
    ],
)
def test_the_command_is_what_cron_gives_the_shell(
    here: Here, above: bytes, command: bytes, expected: str | list[str]
) -> None:
    adopt(here, above + b"0 1 * * * " + command + b"\n")
    assert job(here, "taken")["command"] == expected
    here("unadopt", "taken")
    assert here.box.tab.read_bytes() == above + b"0 1 * * * " + command + b"\n"


@pytest.mark.parametrize("given", [b"one%two", b"one%two%", b"", rb"a\%b'c\n"])
def test_what_follows_a_percent_sign_is_the_jobs_input_as_it_was_crons(here: Here, given: bytes) -> None:
    adopt(here, b"0 1 * * * cat; exit 3%" + given + b"\n")
    argv = job(here, "taken")["command"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=10)
    expected = given.replace(rb"\%", b"\0").replace(b"%", b"\n").replace(b"\0", b"%")
    assert done.stdout == (expected if expected.endswith(b"\n") or not expected else expected + b"\n")
    assert done.returncode == 3


def test_variables_in_force_go_with_it(here: Here) -> None:
    above = b'PATH=/opt/bin:/bin\nMAILTO = "a b"\nHOME=/srv\nLOGNAME=x\n"odd name"=1\nPATH=/late\n'
    adopt(here, above.replace(b"PATH=/late\n", b"") + b"0 1 * * * x\nPATH=/late\nMORE=1\n")
    taken = job(here, "taken")
    assert taken["env"] == {"PATH": "/opt/bin:/bin", "MAILTO": "a b", "HOME": "/srv"}
    assert (taken["workdir"], taken["timeout"], taken["backend"]) == ("/srv", "0", "cron")
    assert "odd name is left out" in here.said
    assert "MORE is set below the line" in here.said


@pytest.mark.parametrize(("mode", "is_said"), [(0o600, False), (0o644, True), (0o640, True)])
def test_a_config_that_others_can_read_is_said_for_a_crontab_is_not(here: Here, mode: int, is_said: bool) -> None:
    here.config.chmod(mode)
    adopt(here, b"TOKEN=hunter2\n0 1 * * * x\n")
    assert ("belongs in an env_file" in here.said) is is_said
    assert here.config.stat().st_mode & 0o777 == mode
    assert "hunter2" not in here.said


def test_a_paused_line_stays_paused(here: Here) -> None:
    adopt(here, b"# mltop:off 0 1 * * * x\n")
    assert job(here, "taken")["enabled"] is False
    assert here.box.tab.read_bytes() == b"# mltop:adopted:taken # mltop:off 0 1 * * * x\n"
    here("unadopt", "taken")
    assert here.box.tab.read_bytes() == b"# mltop:off 0 1 * * * x\n"


def test_the_second_of_two_equal_lines_is_that_one(here: Here) -> None:
    adopt(here, b"0 1 * * * x\n# between\n0 1 * * * x\n")
    assert here.box.tab.read_bytes().startswith(b"0 1 * * * x\n# between\n# mltop:adopted:taken 0 1 * * * x\n")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"0 1 * * * caf\xe9\n", "its command is not UTF-8 (byte 3)"),
        (b"A=\xe9\n0 1 * * * x\n", "its variable A is not UTF-8"),
        (b"5-1 * * * * x\n", "runs backwards"),
        (b"0~30 * * * * x\n", "use jitter"),
        (b"0 1 * * * %only input\n", "no command before"),
        (b"0 0 31 2 * x\n", "never run"),
    ],
)
def test_what_no_job_can_say_is_refused_with_its_reason(here: Here, line: bytes, reason: str) -> None:
    adopt(here, line, code=1)
    assert reason in here.said
    assert (here.box.tab.read_bytes(), here.config.read_text()) == (line, CONFIG)
    assert not here.box.state.exists()


@pytest.mark.parametrize("is_debian", [True, False])
def test_a_zone_is_a_variable_like_others_to_debians_cron_alone(
    here: Here, is_debian: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (adoption, foreign, inventory, planning):
        monkeypatch.setattr(module, "is_debians", lambda: is_debian)
    adopt(here, b"CRON_TZ=Pacific/Chatham\n0 1 * * * x\n", code=0 if is_debian else 1)
    if is_debian:
        assert job(here, "taken")["env"] == {"CRON_TZ": "Pacific/Chatham"}
    else:
        assert "it runs by CRON_TZ=Pacific/Chatham, and a job has no zone of its own" in here.said


def test_names_are_told_from_the_command_and_never_taken_twice(here: Here) -> None:
    commands = ["cd /srv && ./Sync.sh now", "FOO=1 nice -n 5 /usr/bin/python3 x.py", "hello", "hello there", "[ -e x ]"]
    here.box.tab.write_text("".join(f"{n} 1 * * * {text}\n" for n, text in enumerate(commands)))
    for id in foreign_ids(here):
        here("adopt", id)
    names = list(tomllib.loads(here.config.read_text())["jobs"])[2:]
    assert names == ["sync", "python3", "hello-2", "hello-3", "x"]


def test_a_name_that_is_taken_or_none_is_refused(here: Here) -> None:
    (id,) = foreign_ids(here)
    for name, reason in (("hello", "is there already"), ("Bad Name", "a job's name is"), ("a/b", "a job's name is")):
        here("adopt", id, "--as", name, code=2)
        assert reason in here.said
    assert (here.box.tab.read_bytes(), here.config.read_text()) == (MINE, CONFIG)


def test_half_a_block_is_refused_and_nothing_taken(here: Here) -> None:
    here.box.tab.write_bytes(MINE + BEGIN)
    here("adopt", foreign_ids(here)[0], code=1)
    assert "is not whole" in here.said
    assert (here.box.tab.read_bytes(), here.config.read_text()) == (MINE + BEGIN, CONFIG)


def test_a_removed_job_can_still_be_given_back(here: Here) -> None:
    adopt(here, MINE)
    here("remove", "taken", "--apply")
    assert "(crontab) stays out of cron's reach: mltop jobs unadopt taken gives it back" in here.said
    here("unadopt", "taken")
    assert (here.box.tab.read_bytes(), here.config.read_text()) == (MINE, CONFIG)


def test_a_job_is_removed_whether_or_not_its_crontab_can_be_read(here: Here) -> None:
    adopt(here, MINE)
    here.box.program("crontab", "echo 'not allowed' >&2; exit 1")
    here("remove", "taken")
    assert here.config.read_text() == CONFIG


def test_a_line_that_somebody_took_away_since_is_said(here: Here) -> None:
    adopt(here, MINE)
    here.box.tab.write_bytes(
        b"".join(line for line in here.box.tab.read_bytes().splitlines(True) if b"adopted" not in line)
    )
    config, tab = here.config.read_text(), here.box.tab.read_bytes()
    here("unadopt", "taken", code=1)
    assert "mltop jobs remove taken" in here.said
    assert (here.config.read_text(), here.box.tab.read_bytes()) == (config, tab)
    here("remove", "taken", "--apply")
    assert "unadopt" not in here.said


def test_an_adopted_line_runs_as_cron_ran_it(here: Here) -> None:
    out = here.box.folder / "out"
    adopt(here, b'OUT=%s\n0 1 * * * read x; echo "$x $OUT" > $OUT%%in\n' % str(out).encode())
    from mltop.commands.run import main

    assert main(["taken"]) == 0
    assert out.read_text() == f"in {out}\n"


def test_a_line_of_the_systems_is_roots_to_adopt(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    etc = here.box.folder / "etc"
    (etc / "cron.d").mkdir(parents=True)
    (etc / "cron.d" / "scrub").write_text("30 3 * * 0 nobody /sbin/scrub\n")
    monkeypatch.setattr(foreign.system_crontabs, "__defaults__", (etc, "mltop"))
    id = next(job["id"] for job in here.json("list", "--all")["jobs"] if job["origin"] == "cron.d")
    here("adopt", id, code=1)
    assert "is the system's" in here.said
    assert (etc / "cron.d" / "scrub").read_text() == "30 3 * * 0 nobody /sbin/scrub\n"
