from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltop.config.change import AddJob, Change, RemoveJob, RemoveKey, SetKey, changed, changed_text, same
from mltop.config.edit import Edit, preview, preview_text, replace, write
from mltop.config.fault import Fault
from mltop.config.jobs import job_files

CONFIG = """# my box
version = 1

[defaults]
timeout   =  "1h"  # aligned

# the nightly backup
# of all models
[jobs.backup]
kind = "backup"
source = "/m"         # where they are
target = "/b"
keep = { last = 3, daily = 7 } # some
schedule = [
  "0 2 * * *", # night
]

  [jobs.backup.alert]
  after = 2

[services]

# about the check
[jobs.check]
kind = "check"
# schedule = "@hourly"

# about logs
[jobs.logs]
kind = "rotate"
[[jobs.logs.rules]]
paths = ["/x"]
size = "1MiB"
[[jobs.logs.rules]]
paths = ["/y"]
age = "1d"

# the end"""


def after(text: str, *changes: Change) -> str:
    for change in changes:
        expected = changed(tomllib.loads(text), change)
        text = changed_text(text, change)
        assert same(tomllib.loads(text), expected)
    return text


def lines(old: str, new: str) -> tuple[list[str], list[str]]:
    """What went and what came."""
    import difflib

    found = list(difflib.ndiff(old.splitlines(keepends=True), new.splitlines(keepends=True)))
    return [line[2:] for line in found if line[0] == "-"], [line[2:] for line in found if line[0] == "+"]


@pytest.mark.parametrize(
    ("change", "gone", "come"),
    [
        (
            SetKey("backup", ("source",), "/n"),
            ['source = "/m"         # where they are\n'],
            ['source = "/n"         # where they are\n'],
        ),
        (SetKey("backup", ("enabled",), False), [], ["enabled = false\n"]),
        (
            SetKey("backup", ("keep", "daily"), 9),
            ["keep = { last = 3, daily = 7 } # some\n"],
            ["keep = { last = 3, daily = 9 } # some\n"],
        ),
        (
            RemoveKey("backup", ("keep", "last")),
            ["keep = { last = 3, daily = 7 } # some\n"],
            ["keep = { daily = 7 } # some\n"],
        ),
        (RemoveKey("backup", ("keep",)), ["keep = { last = 3, daily = 7 } # some\n"], []),
        (
            SetKey("backup", ("schedule",), "@daily"),
            ["schedule = [\n", '  "0 2 * * *", # night\n', "]\n"],
            ['schedule = "@daily"\n'],
        ),
        (SetKey("backup", ("alert", "after"), 3), ["  after = 2\n"], ["  after = 3\n"]),
        (SetKey("backup", ("alert", "recovery"), True), [], ["  recovery = true\n"]),
        (RemoveKey("backup", ("alert",)), ["\n", "  [jobs.backup.alert]\n", "  after = 2\n"], []),
        (SetKey("check", ("alert", "after"), 3), [], ["alert.after = 3\n"]),
        (SetKey("check", ("schedule",), ["@daily", "x"]), [], ['schedule = ["@daily", "x"]\n']),
        (SetKey("check", ("env",), {"A": "1"}), [], ['env = {A = "1"}\n']),
        (SetKey("logs", ("rules", "1", "age"), "2d"), ['age = "1d"\n'], ['age = "2d"\n']),
        (SetKey("logs", ("rules", "0", "keep"), 3), [], ["keep = 3\n"]),
        (RemoveJob("check"), ["# about the check\n", "[jobs.check]\n", 'kind = "check"\n',
                              '# schedule = "@hourly"\n', "\n"], []),
        (AddJob("new", {"kind": "check", "tags": ("a",)}), ["# the end"],
         ["# the end\n", "\n", "[jobs.new]\n", 'kind = "check"\n', 'tags = ["a"]\n']),
    ],
)  # fmt: skip
def test_only_what_changes_changes(change: Change, gone: list[str], come: list[str]) -> None:
    assert lines(CONFIG, after(CONFIG, change)) == (gone, come)


def test_a_job_goes_with_all_that_is_its_own() -> None:
    text = after(CONFIG, RemoveJob("backup"), RemoveJob("logs"))
    assert text == (
        '# my box\nversion = 1\n\n[defaults]\ntimeout   =  "1h"  # aligned\n\n[services]\n\n'
        '# about the check\n[jobs.check]\nkind = "check"\n# schedule = "@hourly"\n\n# the end'
    )


@pytest.mark.parametrize(
    "text",
    [
        '[jobs]\nx = { kind = "check", env = { A = "1" } }\n',
        'jobs.x.kind = "check"\njobs.x.env.A = "1"\n',
        '[jobs]\nx.kind = "check"\nx.env = { A = "1" }\n',
        'jobs = { x = { kind = "check", env = { A = "1" } } }\n',
        '[jobs.x.env]\nA = "1"\n[jobs.x]\nkind = "check"\n',
        '[jobs."x"]\r\nkind = \'check\'\r\nenv."A" = "1"',
    ],
)
def test_odd_ways_to_write_a_job(text: str) -> None:
    assert tomllib.loads(text) == {"jobs": {"x": {"kind": "check", "env": {"A": "1"}}}}
    after(text, SetKey("x", ("kind",), "metrics"))
    after(text, SetKey("x", ("env", "A"), "2"))
    after(text, SetKey("x", ("env", "B"), "2"))
    after(text, SetKey("x", ("env",), {}))
    after(text, SetKey("x", ("nice",), 3))
    after(text, RemoveKey("x", ("env", "A")))
    after(text, RemoveKey("x", ("env",)), SetKey("x", ("env", "C"), "3"))
    after(text, RemoveJob("x"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (SetKey("none", ("kind",), "check"), "jobs.none: no such job"),
        (RemoveJob("none"), "jobs.none: no such job"),
        (RemoveKey("check", ("schedul",)), "jobs.check.schedul: is not set"),
        (AddJob("check", {}), "jobs.check: a job of this name is there already"),
        (SetKey("check", ("kind", "x"), 1), "jobs.check.kind: not a table"),
        (SetKey("logs", ("rules", "9", "age"), "1d"), "jobs.logs.rules[9]: not a table"),
    ],
)
def test_what_cannot_be_done_is_said(change: Change, said: str) -> None:
    with pytest.raises(Fault) as caught:
        after(CONFIG, change)
    assert caught.value.lines[0].startswith(said)


VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12),
    st.booleans(),
    st.integers(-(2**62), 2**62),
    st.lists(st.text("ab\"'#[]{}=\\\n", max_size=4), max_size=3),
    st.dictionaries(st.text('a.b "é', min_size=1, max_size=3), st.text("x#", max_size=3), max_size=2),
)
KEYS = st.sampled_from([("schedule",), ("source",), ("new",), ("a b",), ("keep",), ("keep", "daily"), ("alert", "x")])


@given(KEYS, VALUES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_goes_in_and_nothing_else_moves(key: tuple[str, ...], value: Any) -> None:
    if key[0] == "keep" and len(key) == 2 and isinstance(value, dict):
        return
    text = after(CONFIG, SetKey("backup", key, value))
    kept = [
        line
        for line in CONFIG.splitlines()
        if not line.lstrip().startswith(("schedule", "source", "keep", '"0 2', "]"))
    ]
    left = iter(text.splitlines())
    assert all(line in left for line in kept if line != "  after = 2"), "the order and the bytes of the rest"


@given(
    st.sampled_from(["\n", "\r\n"]),
    st.lists(
        st.sampled_from(
            [
                "# c",
                "",
                "[a]",
                "[jobs.y]",
                'k%d = """\n[jobs.no]\n"""',
                "k%d = [\n1, # x\n]",
                "  k%d = 1 # x",
                "[[b.c]]",
            ]
        ),
        max_size=10,
    ),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_add_and_remove_give_back_the_bytes(line_end: str, parts: list[str], ends: bool) -> None:
    text = "\n".join(part % number if "%d" in part else part for number, part in enumerate(parts))
    text = (text + ("\n" if ends and text else "")).replace("\n", line_end)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    table = {"kind": "rotate", "rules": [{"paths": ["/x"], "age": "1d"}, {"paths": ["/y"]}], "alert": {"after": 1}}
    added = after(text, AddJob("x", table))
    assert added.startswith(text)
    if line_end in text:
        assert "\n" not in added.replace(line_end, "")
    back = after(added, RemoveJob("x"))
    assert back == text + ("" if text.endswith("\n") or not text else line_end if line_end in text else "\n")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return path


def test_a_preview_writes_nothing(file: Path) -> None:
    edit = preview(file, [SetKey("backup", ("enabled",), False)])
    assert edit.diff().splitlines()[:2] == [f"--- {file}", f"+++ {file}"]
    assert "+enabled = false\n" in edit.diff()
    assert file.read_text() == CONFIG
    assert [path.name for path in file.parent.iterdir()] == ["config.toml"]


def test_writing_keeps_the_old_file_and_its_mode(file: Path) -> None:
    file.chmod(0o640)
    for number in range(12):
        write(preview(file, [SetKey("backup", ("nice",), number)]))
    assert tomllib.loads(file.read_text())["jobs"]["backup"]["nice"] == 11
    kept = sorted(path.name for path in file.parent.glob("*.bak*"))
    assert len(kept) == 10
    assert tomllib.loads((file.parent / "config.toml.bak").read_text())["jobs"]["backup"]["nice"] == 10
    assert tomllib.loads((file.parent / "config.toml.bak.10").read_text())["jobs"]["backup"]["nice"] == 1
    assert {path.stat().st_mode & 0o777 for path in file.parent.glob("config.toml*")} == {0o640}


def test_a_fault_is_not_written(file: Path) -> None:
    with pytest.raises(Fault) as caught:
        preview(file, [SetKey("backup", ("timeuot",), "1h")])
    assert caught.value.lines == ("config.toml:17: jobs.backup.timeuot: unknown key; did you mean timeout?",)
    with pytest.raises(Fault, match="no schedule"):
        preview(file, [SetKey("check", ("schedule",), "soon")], check_schedule=_no_schedule)
    with pytest.raises(Fault, match="Invalid"):
        preview_text(file, "x = \n")


def _no_schedule(text: str) -> None:
    if text != "0 2 * * *":
        raise ValueError("no schedule")


def test_what_was_wrong_before_can_be_repaired_step_by_step(file: Path) -> None:
    file.write_text('[jobs.a]\nkind = "chekc"\nnice = 99\n[jobs.b]\nkind = "check"\n')
    write(preview(file, [SetKey("b", ("nice",), 5), SetKey("a", ("kind",), "check")]))
    write(preview(file, [SetKey("a", ("nice",), 9)]))
    assert tomllib.loads(file.read_text())["jobs"]["a"] == {"kind": "check", "nice": 9}
    file.write_text("x = \n")
    write(preview_text(file, '[jobs.b]\nkind = "check"\n'))
    assert file.read_text() == '[jobs.b]\nkind = "check"\n'


def test_a_target_of_another_file_is_seen(tmp_path: Path) -> None:
    system, own = tmp_path / "etc/config.toml", tmp_path / "mltop/config.toml"
    for path in (system, own):
        path.parent.mkdir()
    system.write_text('[jobs.a]\nkind = "backup"\nsource = "/a"\ntarget = "/b"\n')
    own.write_text('[jobs.b]\nkind = "backup"\nsource = "/a"\ntarget = "/c"\n')
    files = job_files(None, {"XDG_CONFIG_HOME": str(tmp_path)}, system)
    with pytest.raises(Fault, match="the target of a"):
        preview(own, [SetKey("b", ("target",), "/b")], files)
    preview(own, [SetKey("b", ("target",), "/d")], files)
    with pytest.raises(Fault, match="only for jobs of the system"):
        preview(own, [SetKey("b", ("run_as",), "x")], files)
    preview(system, [SetKey("a", ("run_as",), "x")], files)


def test_a_file_that_changed_since_is_left(file: Path) -> None:
    edit = preview(file, [SetKey("backup", ("nice",), 1)])
    file.write_text(CONFIG + "\n# mine\n")
    with pytest.raises(Fault, match="changed since you looked"):
        write(edit)
    assert file.read_text() == CONFIG + "\n# mine\n"


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "a/b/config.toml"
    edit = preview(file, [AddJob("x", {"kind": "check"})])
    assert edit.diff().startswith("--- /dev/null\n")
    assert not file.parent.exists()
    write(edit)
    assert file.read_text() == 'version = 1\n\n[jobs.x]\nkind = "check"\n'
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
def test_a_new_file_of_the_system_is_for_all_to_read(tmp_path: Path, mask: int) -> None:
    file = tmp_path / "etc/config.toml"
    was = os.umask(mask)
    try:
        write(preview(file, [AddJob("x", {"kind": "check"})]), is_shared=True)
    finally:
        os.umask(was)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o644, 0o755)


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("")
    with pytest.raises(FileExistsError):
        write(Edit(tmp_path / "etc" / "config.toml", None, b"version = 1\n"))


def test_a_link_stays_one_and_a_mark_of_byte_order_too(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "config.toml"
    real.write_text('\ufeff[jobs.x]\nkind = "check"\n')
    link.symlink_to(real)
    write(preview(link, [SetKey("x", ("nice",), 1)]))
    assert link.is_symlink()
    assert real.read_text() == '\ufeff[jobs.x]\nkind = "check"\nnice = 1\n'


def test_an_edit_of_nothing_writes_nothing(file: Path) -> None:
    edit = preview(file, [SetKey("backup", ("source",), "/m")])
    assert edit == Edit(file, CONFIG.encode(), CONFIG.encode())
    write(edit)
    assert edit.diff() == ""
    assert not list(file.parent.glob("*.bak"))


WRITER = """
import sys
from pathlib import Path
from mltop.config.change import AddJob
from mltop.config.edit import preview, write
from mltop.config.fault import Fault
for number in range(10):
    while True:
        try:
            write(preview(Path(sys.argv[1]), [AddJob(f"{sys.argv[2]}{number}", {"kind": "check"})]))
            break
        except Fault as fault:
            assert "changed since" in str(fault), fault
"""


def test_two_writers_lose_nothing(file: Path) -> None:
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(subprocess.Popen([sys.executable, "-c", WRITER, str(file), name])) for name in "ab"
        ]
        assert [writer.wait(30) for writer in writers] == [0, 0]
    jobs = tomllib.loads(file.read_text())["jobs"]
    assert {name for name in jobs if name[0] in "ab" and name[1:].isdigit()} == {
        f"{a}{n}" for a in "ab" for n in range(10)
    }


def test_a_config_that_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "config.toml"
    os.mkfifo(pipe)
    with pytest.raises(Fault, match="not a file"):
        write(Edit(pipe, b"", b"version = 1\n"))
    with pytest.raises(OSError, match="not a file"):
        replace(pipe, b"version = 1\n")
    assert pipe.is_fifo()
