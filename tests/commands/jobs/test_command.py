"""`mltop jobs`, as a person and as a script use it: real processes, a crontab program of the tests' own."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jobs_command import CONFIG, MINE, Mltop
from scheduler_box import Box

from mltop.jobs.history.history import History
from mltop.model.job import Run, RunState


@pytest.fixture
def mltop(tmp_path: Path) -> Mltop:
    if Path("/run/systemd/system").is_dir():
        pytest.skip("a box with systemd: its own tests are in integration")
    return Mltop(Box(tmp_path))


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_list_has_every_key_and_says_what_is_off(mltop: Mltop) -> None:
    found = mltop.json("list")
    assert found["schema"] == "mltop.jobs/1"
    assert [job["id"].split("-")[0] for job in found["jobs"]] == ["hello", "other", "crontab"]
    keys = "id kind origin scope source schedule next_runs enabled last_run streak state drift command description"
    assert list(found["jobs"][0]) == keys.split()
    assert "no systemd runs on this box" in found["notes"]
    text = mltop("list")
    assert text.splitlines()[0].split()[:3] == ["STATE", "NAME", "SCHEDULE"]
    assert "never seen, missing  hello" in text
    assert "- no systemd runs on this box" in mltop.said


def test_plan_apply_and_undo(mltop: Mltop) -> None:
    assert "+0 2 * * * " in mltop("plan")
    mltop("plan", "--exit-code", code=1)
    assert mltop.json("plan")["steps"][0]["drift"] == "missing"
    assert mltop.box.tab.read_bytes() == MINE
    assert "done: hello" in mltop("apply")
    warnings = [line for line in mltop.said.splitlines() if "warning" in line]
    assert all(" lies in a " in line for line in warnings), "where this mltop lies may be warned of, nothing else"
    assert mltop.box.tab.read_bytes().startswith(MINE)
    assert mltop("apply") == "nothing to do\n"
    mltop("plan", "--exit-code")
    assert mltop.json("plan") | {"steps": []} == {
        "schema": "mltop.plan/1", "steps": [], "changes": [], "diff": "", "operation": None, "notes": [], "errors": [],
    }  # fmt: skip
    assert "taken back: apply" in mltop("undo")
    assert mltop.box.tab.read_bytes() == MINE
    mltop("undo", code=1)
    assert "nothing to undo" in mltop.said


def test_an_edit_changes_exactly_that_in_the_config_and_in_the_crontab(mltop: Mltop) -> None:
    mltop("apply")
    before = mltop.box.tab.read_text()
    shown = mltop("edit", "hello", "--set", "schedule=30 4 * * 1-5", "--apply", "--dry-run")
    assert mltop.config.read_text() == CONFIG
    changed = [line for line in shown.splitlines() if line.startswith(("+", "-")) and line[:3] not in ("+++", "---")]
    assert len(changed) == 4
    mltop("edit", "hello", "--set", "schedule=30 4 * * 1-5", "--apply")
    assert mltop.config.read_text() == CONFIG.replace("0 2 * * *", "30 4 * * 1-5")
    after = mltop.box.tab.read_text()
    differing = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]
    assert len(differing) == 1
    assert differing[0][1].startswith("30 4 * * 1-5 ")
    mltop("undo")
    assert (mltop.config.read_text(), mltop.box.tab.read_text()) == (CONFIG, before)


def test_an_edit_without_apply_leaves_the_scheduler(mltop: Mltop) -> None:
    mltop("edit", "hello", "--set", "timeout=5m")
    assert 'timeout = "5m"' in mltop.config.read_text()
    assert "mltop jobs apply" in mltop.said
    assert mltop.box.tab.read_bytes() == MINE
    mltop("edit", "hello", "--unset", "timeout")
    assert mltop.config.read_text() == CONFIG


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("edit", "hello", "--set", "schedule=5-1 * * * *"), 2, "backwards"),
        (("edit", "hello", "--set", "shedule=@daily"), 2, "did you mean schedule?"),
        (("edit", "hello", "--set", "noequals"), 2, "expected KEY=VALUE"),
        (("edit", "hello"), 2, "no terminal for an editor"),
        (("edit", "nosuch", "--set", "a=1"), 1, "no job 'nosuch'"),
        (("add", "hello", "--kind", "command", "--set", "command=true"), 2, "there already"),
        (("add", "Bad Name", "--kind", "command"), 2, "a job's name is"),
        (("add", "x", "--kind", "fly"), 2, "invalid choice"),
        (("show", "hell"), 1, "did you mean hello?"),
        (("next", "hello", "--schedule", "@daily"), 2, "expected a job, or --schedule TEXT, got both"),
        (("next", "--schedule", "0 0 31 2 *"), 2, "never run"),
        (("logs", "hello"), 1, "no run of hello was seen"),
        (("logs", "apt-daily.timer"), 1, "journalctl -u apt-daily.service"),
        (("disable", "hello.drill"), 1, "follows from hello"),
        (("adopt", "x"), 1, "no job 'x'"),
        (("adopt", "hello"), 1, "own job already"),
        (("unadopt", "hello"), 1, "was not adopted"),
        (("adopt", "hello", "--nope"), 2, "unrecognized"),
        ((), 2, "required"),
        (("list", "--nope"), 2, "unrecognized"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_changes_nothing(
    mltop: Mltop, words: tuple[str, ...], code: int, said: str
) -> None:
    mltop(*words, code=code)
    assert said in mltop.said
    assert "Traceback" not in mltop.said
    assert (mltop.config.read_text(), mltop.box.tab.read_bytes()) == (CONFIG, MINE)
    assert not mltop.box.state.exists()


def test_a_failure_is_a_document_too(mltop: Mltop) -> None:
    found = mltop.json("edit", "hello", "--set", "schedule=5-1 * * * *", code=2)
    assert found["schema"] == "mltop.plan/1"
    assert found["errors"][0]["where"].endswith("config.toml:6")
    assert mltop.json("next", "--schedule", "x y", code=2)["jobs"] == []


def test_a_broken_config_is_listed_as_far_as_it_goes_and_never_applied(mltop: Mltop) -> None:
    mltop("apply")
    before = mltop.box.tab.read_bytes()
    mltop.config.write_text(CONFIG.replace('"echo hello"', "7"))
    found = mltop.json("list", code=2)
    assert [job["id"] for job in found["jobs"]][:1] == ["other"]
    assert found["errors"][0]["where"].endswith("config.toml:5")
    for words in (("apply",), ("plan",), ("disable", "other")):
        mltop(*words, code=2)
    assert mltop.box.tab.read_bytes() == before
    mltop("edit", "hello", "--set", "command=echo hello")
    assert mltop.config.read_text() == CONFIG


def test_add_and_remove_give_the_same_bytes_back(mltop: Mltop) -> None:
    words = ["--set", "command=['true', 'x']", "--set", "schedule=@daily", "--set", "backend=cron"]
    mltop("add", "new", "--kind", "command", *words, "--apply")
    assert "@daily " in mltop.box.tab.read_text()
    assert mltop.config.read_text().startswith(CONFIG)
    mltop("remove", "new", "--apply")
    assert mltop.config.read_text() == CONFIG
    assert mltop.box.tab.read_bytes() == MINE


def test_disable_and_enable_edit_and_apply_that_job_alone(mltop: Mltop) -> None:
    mltop(
        "add", "new", "--kind", "command", "--set", "command=true", "--set", "schedule=@daily", "--set", "backend=cron"
    )
    mltop("disable", "hello")
    assert mltop.box.tab.read_bytes() == MINE
    assert mltop.json("show", "hello")["jobs"][0]["state"] == "disabled"
    mltop("enable", "hello")
    text = mltop.box.tab.read_text()
    assert " run hello " in text
    assert " run new " not in text


def test_a_line_of_ones_own_crontab_is_edited_paused_and_given_back(mltop: Mltop) -> None:
    id = mltop.json("list")["jobs"][2]["id"]
    mltop("disable", id)
    assert mltop.box.tab.read_bytes() == MINE.replace(b"0 1 *", b"# mltop:off 0 1 *")
    mltop("enable", id)
    assert mltop.box.tab.read_bytes() == MINE
    mltop("edit", id, "--set", "schedule=5 4 * * *")
    assert mltop.box.tab.read_bytes() == MINE.replace(b"0 1 * * *", b"5 4 * * *")
    mltop("undo")
    assert mltop.box.tab.read_bytes() == MINE
    mltop("edit", id, "--set", "schedule=5-4 * * * *", code=2)
    mltop("edit", id, "--set", "timeout=1", code=2)


def test_a_hand_edit_can_be_taken_into_the_config(mltop: Mltop) -> None:
    mltop("apply")
    mltop.box.tab.write_text(mltop.box.tab.read_text().replace("0 2 * * *", "45 5 * * 0"))
    assert mltop.json("list")["jobs"][0]["drift"] == "drifted"
    mltop("apply", code=1)
    assert "--mine" in mltop.said
    mltop("apply", "--theirs")
    assert mltop.config.read_text() == CONFIG.replace("0 2 * * *", "45 5 * * 0")
    assert mltop.json("list")["jobs"][0]["drift"] == "in-sync"
    lines = mltop.box.tab.read_text().splitlines()
    mltop.box.tab.write_text("\n".join("#" + line if " run hello" in line else line for line in lines) + "\n")
    mltop("apply", "--theirs")
    assert "enabled = false" in mltop.config.read_text()
    assert mltop.box.tab.read_bytes() == MINE


def test_a_started_job_is_in_the_history_with_its_log(mltop: Mltop) -> None:
    assert "started hello" in mltop("run", "hello")
    wait_for(lambda: [run["state"] for run in mltop.json("history")["runs"]] == ["ok"])
    (run,) = mltop.json("history", "hello")["runs"]
    assert (run["trigger"], run["exit_code"]) == ("manual", 0)
    log = mltop("logs", "hello")
    assert log.splitlines()[1] == "hello"
    assert mltop("logs", "hello", "-n", "2").splitlines() == log.splitlines()[-2:]
    assert mltop("logs", "hello", "-f") == log
    assert "ok " in mltop("history")
    assert mltop.json("list")["jobs"][0]["state"] == "ok"


def test_a_crontabs_line_runs_with_what_cron_would_give_it(mltop: Mltop) -> None:
    rows = [line.split(":") for line in Path("/etc/passwd").read_text().splitlines()]
    home = next(row[5] for row in rows if row[2] == str(os.geteuid()))
    command = 'read x; echo "$WHO $HOME $PATH $x" > $OUT; date +\\%Y >> $OUT%input%more'
    mltop.box.tab.write_text(f"WHO=me\nOUT={mltop.box.folder / 'out'}\n0 1 * * * {command}\nWHO=later\n")
    id = mltop.json("list")["jobs"][2]["id"]
    mltop("run", id)
    wait_for(lambda: [run["state"] for run in mltop.json("history", id)["runs"]] == ["ok"])
    first, year = (mltop.box.folder / "out").read_text().splitlines()
    assert first == f"me {home} /usr/bin:/bin input"
    assert year.isdigit()
    assert mltop.json("list")["jobs"][2]["last_run"]["trigger"] == "manual"


def test_the_next_runs_have_zone_and_distance(mltop: Mltop) -> None:
    mltop.config.write_text(mltop.config.read_text().replace("0 2 * * *", "0 12 * * *"))  # there on each day of a year
    lines = mltop("next", "hello", "-n", "3").splitlines()
    assert len(lines) == 3
    assert all(" 12:00 " in line and line.endswith(")") for line in lines)
    found = mltop.json("next", "--schedule", "0 0 13 * 5")
    assert len(found["jobs"][0]["next_runs"]) == 10
    assert "either of them" in found["notes"][0]


def test_show_has_the_line_as_it_is_installed(mltop: Mltop) -> None:
    text = mltop("show", "hello")
    assert "rendered" in text
    assert " run hello --config " in text
    assert "MAILTO=me" in text


@pytest.mark.parametrize("words", ["list", "list --json", "logs hello", "plan"])
def test_a_closed_standard_output_is_said_in_a_line(mltop: Mltop, words: str) -> None:
    shell = f"exec {sys.executable} -m mltop jobs {words} >&-"
    done = subprocess.run(
        ["sh", "-c", shell], env=mltop.environment, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_reader_that_went_away_has_what_it_wanted(mltop: Mltop) -> None:
    mltop("run", "hello")
    wait_for(lambda: (found := mltop.json("history")["runs"]) and found[0]["state"] == "ok")
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    for words in ("list", "history --json", "show hello", "logs hello", "apply"):
        command = [sys.executable, "-m", "mltop", "jobs", *words.split()]
        done = subprocess.run(
            command, env=mltop.environment, stdout=write_fd, stderr=subprocess.PIPE, text=True, timeout=20, check=False
        )
        assert (done.returncode, "standard output" in done.stderr) == (0, False), (words, done.stderr)
    os.close(write_fd)
    assert b" run hello " in mltop.box.tab.read_bytes()


def test_a_log_that_is_followed_ends_with_its_reader_and_not_with_the_run(mltop: Mltop) -> None:
    (flag := mltop.box.folder / "flag").touch()
    mltop("edit", "hello", "--set", f"command=while [ -e {flag} ]; do echo more; sleep 0.1; done")
    mltop("run", "hello")
    wait_for(lambda: mltop.json("history")["runs"])
    command = [sys.executable, "-m", "mltop", "jobs", "logs", "hello", "-f"]
    with subprocess.Popen(command, env=mltop.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        assert follower.stderr is not None
        while follower.stdout.readline() != b"more\n":
            pass
        follower.stdout.close()
        assert (follower.wait(20), follower.stderr.read()) == (0, b"")
    assert mltop.json("history")["runs"][0]["state"] == "running"
    flag.unlink()
    wait_for(lambda: mltop.json("history")["runs"][0]["state"] == "ok")


def test_a_log_that_is_followed_half_a_line_at_a_time_is_whole(mltop: Mltop) -> None:
    mltop("edit", "hello", "--set", "command=printf ab; sleep 0.6; echo cd")
    mltop("run", "hello")
    wait_for(lambda: mltop.json("history")["runs"])
    assert mltop("logs", "hello", "-f").splitlines()[1] == "abcd"


def test_a_log_that_is_cut_while_it_is_followed_loses_no_line_that_is_kept(mltop: Mltop) -> None:
    (flag := mltop.box.folder / "flag").touch()
    count = f"i=0; while [ -e {flag} ]; do i=$((i+1)); echo line $i; [ $((i % 50)) = 0 ] && sleep 0.02; done"
    mltop("edit", "hello", "--set", f"command={count}", "--set", "log_max=4KiB")
    mltop("run", "hello")
    wait_for(lambda: mltop.json("history")["runs"])
    command = [sys.executable, "-m", "mltop", "jobs", "logs", "hello", "-f"]
    with subprocess.Popen(command, env=mltop.environment, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        seen = [follower.stdout.readline() for _ in range(3000)]
        flag.unlink()
        seen += follower.stdout.read().splitlines(keepends=True)
    numbers = [(at, int(line.split()[1])) for at, line in enumerate(seen) if line.startswith("line ")]
    assert len(numbers) > 2000
    for (at, one), (next_at, following) in itertools.pairwise(numbers):
        assert one < following
        if following != one + 1:
            assert next_at > at + 1, (one, following)
            assert seen[at + 1].startswith("# mltop cut: ")


def test_it_starts_without_a_screen_or_a_driver(mltop: Mltop) -> None:
    code = (
        "import sys\nfrom mltop.cli import main\nmain(['jobs', 'list'])\n"
        "bad = {'textual', 'rich', 'psutil', 'pynvml', 'asyncio'} & set(sys.modules)\nassert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], env=mltop.environment, check=True, capture_output=True, timeout=20)


def test_next_warns_of_a_crowd_and_of_runs_that_take_too_long(mltop: Mltop) -> None:
    mltop.config.write_text(mltop.config.read_text().replace("0 2 * * *", "0 12 * * *"))  # there on each day of a year
    for number in range(3):
        table = f'[jobs.j{number}]\nkind = "command"\ncommand = "true"\nschedule = "0 12 * * *"\nbackend = "cron"\n'
        mltop.config.write_text(mltop.config.read_text() + table)
    assert "4 jobs begin at 12:00" in str(mltop.json("next", "hello")["notes"])
    assert "4 jobs begin at 13:00" not in str(mltop.json("next", "--schedule", "0 13 * * *")["notes"])
    history = History(mltop.box.state)
    history.finish(
        Run(id="r", job="hello", started_at="2026-11-24T02:00:00.000Z", state=RunState.OK, duration_s=90000.0)
    )
    assert any("longer than the 86400 s" in note for note in mltop.json("next", "hello")["notes"])
