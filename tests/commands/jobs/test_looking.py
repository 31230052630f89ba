"""Looking writes nothing; on a terminal, a difference is shown before it is asked for a yes (J8, J20)."""

from __future__ import annotations

import re
import sys

import pexpect
import pytest
from jobs_command import CONFIG, MINE, Here, Mltop
from scheduler_box import Box

ONLY_LISTS = 'case "$1" in -l) cat "$TAB" ;; *) echo "$@" >> "$TAB.written"; exit 7 ;; esac'
SET = ("--set", "command=true")


@pytest.mark.parametrize(
    "words",
    [
        ("list",), ("list", "--all"), ("list", "--json"), ("show", "hello"), ("next", "hello"), ("plan",), ("history",),
        ("next", "--schedule", "0 3 * * *"), ("apply", "--dry-run"), ("apply", "--mine", "--dry-run"),
        ("edit", "hello", *SET, "--apply", "--dry-run"), ("remove", "hello", "--apply", "--dry-run"),
        ("add", "new", "--kind", "command", *SET, "--apply", "--dry-run"), ("disable", "hello", "--dry-run"),
        ("adopt", "LINE", "--dry-run"), ("disable", "LINE", "--dry-run"), ("edit", "LINE", *SET, "--dry-run"),
    ],
)  # fmt: skip
def test_looking_calls_nothing_that_writes_and_leaves_the_disk_as_it_was(here: Here, words: tuple[str, ...]) -> None:
    here.box.program("crontab", ONLY_LISTS)
    line = here.json("list")["jobs"][2]["id"]
    before = sorted(here.box.folder.rglob("*"))
    here(*(line if word == "LINE" else word for word in words))
    assert sorted(here.box.folder.rglob("*")) == before
    assert (here.config.read_text(), here.box.tab.read_bytes()) == (CONFIG, MINE)


@pytest.mark.parametrize(
    "schedule", ["30 4 * * 1-5", "@weekly", "every 15m", "Mon..Fri 03:30", "*-*-01 05:00", "hourly"]
)
def test_every_form_of_schedule_is_told_with_its_next_ten_runs_zone_and_distance(here: Here, schedule: str) -> None:
    """J17; the screen asks the same functions."""
    lines = here("next", "--schedule", schedule).splitlines()
    assert len(lines) == 10
    assert all(re.fullmatch(r"\w{3} \d{4}-\d\d-\d\d \d\d:\d\d \S+ \([+-]\d\d:\d\d\)", line) for line in lines)


@pytest.mark.parametrize("schedule", ["every 7m", "0 0 30 2 *", "61 * * * *", "tomorrow", "@often", "* * * *", ""])
def test_what_is_no_schedule_or_never_comes_is_refused_in_a_line(here: Here, schedule: str) -> None:
    here("next", "--schedule", schedule, code=2)
    assert len(here.said.splitlines()) == 1


def test_a_config_that_is_gone_leaves_orphans_in_the_list(here: Here) -> None:
    here("apply")
    here.config.unlink()
    found = here.json("list", code=2)
    assert [(job["id"], job["drift"]) for job in found["jobs"]][:1] == [("hello", "orphaned")]
    assert found["jobs"][0]["schedule"] == ["0 2 * * *"], "the scheduler goes on to start it"
    assert len(found["jobs"][0]["next_runs"]) == 1
    assert "no such file" in found["errors"][0]["message"]


@pytest.mark.parametrize(("answer", "is_done"), [("n", False), ("", False), ("y", True), ("--yes", True)])
def test_on_a_terminal_adoption_shows_the_difference_and_asks(here: Here, box: Box, answer: str, is_done: bool) -> None:
    id = here.json("list")["jobs"][2]["id"]
    words = ["-m", "mltop", "jobs", "adopt", id, "--as", "taken", *(["--yes"] if answer == "--yes" else [])]
    child = pexpect.spawn(sys.executable, words, env=here.environment, timeout=20, encoding="utf-8")
    if answer != "--yes":
        child.expect(r"# mltop:adopted:taken[\s\S]*Do this to [\w-]+\? \[y/N\] ")
        assert box.tab.read_bytes() == MINE
        child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == (0 if is_done else 1)
    assert (b"# mltop:adopted:taken " in box.tab.read_bytes()) is is_done
    assert ("[jobs.taken]" in here.config.read_text()) is is_done


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ('echo "# mine" >> "$1"', 0, "done"),
        ('echo "# mine" >> "$1"; echo "# theirs" >> "$MLTOP_CONFIG"', 1, "changed while you edited"),
        ('echo "bogus = 1" >> "$1"', 2, "unknown key"),
        ('printf "\\377" >> "$1"', 1, "cannot be read"),
        ('rm "$1"', 1, "cannot be read"),
        ("exit 3", 1, "ended with 3"),
        ('echo "# mine" >> "$1"; kill -9 $$', 1, "ended with -9"),
        ('mv "$1" "$1.new"; cat "$1.new" > "$1"; echo "# mine" >> "$1"', 0, "done"),
    ],
)
def test_an_editor_works_on_a_copy_that_is_judged_first(here: Here, script: str, code: int, said: str) -> None:
    editor = here.box.program("editor", script)
    (kept := here.box.folder / "tmp").mkdir()
    environment = here.environment | {"EDITOR": str(editor), "TMPDIR": str(kept)}
    words = ["-m", "mltop", "jobs", "edit", "hello"]
    child = pexpect.spawn(sys.executable, words, env=environment, timeout=20, encoding="utf-8")
    child.expect(pexpect.EOF)
    child.close()
    assert said in (child.before or "")
    assert child.exitstatus == code
    text = here.config.read_text()
    assert text.startswith(CONFIG)
    assert ("# mine" in text) is (code == 0)
    found = [path.read_bytes() for path in kept.glob("mltop-edit-*/config.toml")]
    is_lost = code != 0 and not script.startswith(("rm", "exit"))
    assert len(found) == is_lost, "what somebody wrote and cannot be taken is kept"
    assert ("what you wrote is in " in (child.before or "")) is is_lost
    assert here.box.tab.read_bytes() == MINE


def test_an_editor_leaves_the_line_ends_as_they_are(here: Here) -> None:
    before = CONFIG.replace("\n", "\r\n").encode()
    here.config.write_bytes(before)
    editor = here.box.program("editor", "printf '# mine\\r\\n' >> \"$1\"")
    words = ["-m", "mltop", "jobs", "edit", "hello"]
    child = pexpect.spawn(sys.executable, words, env=here.environment | {"EDITOR": str(editor)}, timeout=20)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert here.config.read_bytes() == before + b"# mine\r\n"


@pytest.mark.parametrize(("editor", "said"), [("no-such-editor", "name an editor by EDITOR"), ("'x", "cannot be read")])
def test_without_an_editor_it_says_so(here: Here, editor: str, said: str) -> None:
    words = ["-m", "mltop", "jobs", "edit", "hello"]
    environment = here.environment | {"EDITOR": editor}
    child = pexpect.spawn(sys.executable, words, env=environment, timeout=20, encoding="utf-8")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    assert said in (child.before or "")
    assert "Errno" not in (child.before or "")


@pytest.fixture
def box(here: Mltop) -> Box:
    return here.box
