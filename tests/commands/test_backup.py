"""`mltop backup` as people and scripts meet it: real archives, real processes, the exit codes of the interface."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hung import hung_mount

from mltop.commands.backup.command import main
from mltop.model.job import RunState

Box = Any
"""The fixture's class (conftest)."""


@pytest.fixture
def box(task_box: Box) -> Box:
    task_box.make_models()
    task_box.write_backup()
    return task_box


def _is_same(one: Path, other: Path) -> bool:
    done = subprocess.run(["diff", "-r", "--no-dereference", one, other], capture_output=True, check=False)
    return done.returncode == 0 and not done.stdout


def _archives(box: Box) -> list[Path]:
    return sorted(box.target.glob("*.tar.zst"))


def test_a_backup_is_made_listed_verified_and_restored_elsewhere(box: Box, tmp_path: Path) -> None:
    code, out, err = box.run("backup", "create", "m")
    assert (code, err) == (0, "")
    assert "backup m: verified" in out
    assert "read back" in out
    (run,) = box.runs()
    assert (run.state, run.job) == (RunState.OK, "m")
    assert "backup m: verified" in Path(run.log_path or "").read_text()
    (archive,) = _archives(box)
    assert archive.name.removesuffix(".tar.zst") in box.run("backup", "list", "m")[1]
    assert box.code("backup", "verify", "m") == 0
    assert box.code("backup", "restore", "m", "--to", str(tmp_path / "out")) == 0
    assert _is_same(box.models, tmp_path / "out" / "models")


def test_an_unchanged_source_costs_no_archive(box: Box) -> None:
    assert box.code("backup", "create", "m") == 0
    code, out, _ = box.run("backup", "create", "m")
    assert code == 0
    assert "unchanged (verified" in out
    assert len(_archives(box)) == 1


def test_lists_fit_80_columns(box: Box) -> None:
    box.run("backup", "create", "m")
    _, out, _ = box.run("backup", "list")
    assert "STATE" in out
    table = [line for line in out.splitlines() if not line.startswith("m in ")]
    assert max(map(len, table)) <= 80
    assert out.isascii()


def test_restore_takes_paths_and_overwrites_nothing(box: Box, tmp_path: Path) -> None:
    box.run("backup", "create", "m")
    archive_id = _archives(box)[0].name.removesuffix(".tar.zst")
    out = tmp_path / "out"
    assert box.code("backup", "restore", "m", archive_id, "--to", str(out), "models/llama") == 0
    assert not (out / "models" / "config.json").exists()
    mine = out / "models" / "llama" / "weights.bin"
    mine.write_text("mine")
    code, text, _ = box.run("backup", "restore", "m", "--to", str(out))
    assert code == 3
    assert mine.read_text() == "mine"
    assert "exists" in text
    assert box.code("backup", "restore", "m", "--to", str(out), "--overwrite", "if-different") == 0
    assert _is_same(box.models, out / "models")
    assert box.code("backup", "restore", "m", "no/such", "--to", str(out)) == 2


def test_a_dry_restore_makes_nothing(box: Box, tmp_path: Path) -> None:
    box.run("backup", "create", "m")
    code, out, _ = box.run("backup", "restore", "m", "--to", str(tmp_path / "out"), "--dry-run")
    assert code == 0
    assert "dry run" in out
    assert not (tmp_path / "out").exists()


def test_a_flipped_bit_is_4_and_the_archive_is_corrupt_from_then_on(box: Box) -> None:
    box.run("backup", "create", "m")
    (archive,) = _archives(box)
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    code, made = box.document("backup", "verify", "m")
    assert code == 4
    assert made["errors"]
    _, listed = box.document("backup", "list", "m")
    assert [each["state"] for each in listed["targets"][0]["archives"]] == ["corrupt"]
    code, _, err = box.run("backup", "restore", "m", "--to", str(box.folder / "out"))
    assert code == 1
    assert "no archive of m" in err


def test_a_source_that_is_missing_makes_it_partial(box: Box) -> None:
    sources = f'sources = ["{box.models}", "{box.folder}/gone"]\nsettle = "0s"'
    box.write(f'[jobs.m]\nkind = "backup"\n{sources}\ntarget = "{box.target}"')
    code, out, _ = box.run("backup", "create", "m")
    assert code == 3
    assert "backup m: partial" in out
    assert "/gone" in out
    assert box.runs()[0].state is RunState.FAILED
    assert box.runs()[0].exit_code == 3


def test_no_source_at_all_is_1(box: Box) -> None:
    box.write(f'[jobs.m]\nkind = "backup"\nsource = "{box.folder}/gone"\ntarget = "{box.target}"')
    assert box.code("backup", "create", "m") == 1


def test_a_source_within_the_target_is_refused(box: Box) -> None:
    box.write(f'[jobs.m]\nkind = "backup"\nsource = "{box.models}"\ntarget = "{box.folder}"')
    code, made = box.document("backup", "create", "m")
    assert code == 5
    assert "lies in the target" in made["errors"][0]["message"]


def test_a_lock_that_is_held_is_7(box: Box) -> None:
    box.run("backup", "create", "m")
    for lock in (box.target / ".mltop-m.lock", box.state / "locks" / "m.lock"):
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            (box.models / "config.json").write_text(f"{lock}")
            code, _, err = box.run("backup", "create", "m")
            assert code == 7, lock
            assert "another run" in err or lock.parent == box.target
    assert box.code("backup", "create", "m") == 0


@pytest.mark.parametrize(
    ("more", "code"), [('encrypt_to = ["age1x"]', 8), ('engine = "restic"', 8), ("nonsense = 1", 2), ("", 0)]
)
def test_what_this_version_has_not_is_refused_before_anything_is_written(box: Box, more: str, code: int) -> None:
    box.write_backup(more)
    assert box.code("backup", "create", "m") == code
    assert box.target.exists() is (code == 0)


def test_a_target_at_a_url_is_refused(box: Box) -> None:
    box.write(f'[jobs.m]\nkind = "backup"\nsource = "{box.models}"\ntarget = "s3://bucket/x"')
    assert box.code("backup", "create", "m") == 8
    code, made = box.document("backup", "list")
    assert code == 1
    assert made["targets"][0]["status"] == "unsupported"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("frob",),
        ("create",),
        ("create", "nosuch"),
        ("create", "c"),
        ("list", "nosuch"),
        ("verify", "m", "not-an-id"),
        ("restore", "m"),
        ("prune",),
        ("create", "--source", "/tmp"),
        ("create", "--source", "/tmp", "--target", "/tmp/x", "--level", "77"),
        ("create", "--source", "/tmp", "--target", "/tmp/x", "--settle", "soon"),
    ],
)
def test_wrong_usage_is_2_with_one_line(
    box: Box, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    box.config.write_text(box.config.read_text() + '[jobs.c]\nkind = "command"\ncommand = "true"\n')
    monkeypatch.setenv("MLTOP_CONFIG", str(box.config))
    try:
        code = main(list(words))
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capfd.readouterr()
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("action", ["create", "list", "verify", "prune", "undelete"])
def test_json_is_one_document_on_failure_too(box: Box, action: str) -> None:
    code, made = box.document("backup", action, "nosuch")
    assert code == 2
    assert made["schema"] == "mltop.backups/1"
    assert made["action"] == action
    assert "nosuch" in made["errors"][0]["message"]
    code, made = box.document("backup", action, "m")
    assert made["schema"] == "mltop.backups/1"
    assert bool(made["errors"]) is bool(code)


def test_the_json_of_a_wrapped_run_has_its_report(box: Box) -> None:
    code, made = box.document("backup", "create", "m")
    assert code == 0
    assert made["created"]["state"] == "verified"
    assert made["created"]["remaining"] == 1
    assert made["errors"] == []
    assert not list(Path("/tmp").glob(f"mltop-*/{box.folder.name}"))


def test_two_folders_need_no_config(box: Box, tmp_path: Path) -> None:
    box.config.unlink()
    del box.environment["MLTOP_CONFIG"]
    target = str(tmp_path / "shelf")
    assert box.code("backup", "create", "--source", str(box.models), "--target", target, "--settle", "0s") == 0
    code, made = box.document("backup", "list", "--target", target)
    (archive,) = made["targets"][0]["archives"]
    assert (code, archive["job"], archive["state"]) == (0, "models", "verified")
    assert box.code("backup", "verify", "--target", target, archive["id"]) == 0
    assert box.code("backup", "restore", "--target", target, "--to", str(tmp_path / "out")) == 0
    assert _is_same(box.models, tmp_path / "out" / "models")
    assert not box.state.exists(), "it has no history"


def test_listing_makes_nothing(box: Box) -> None:
    code, made = box.document("backup", "list")
    assert code == 0
    assert made["targets"][0]["status"] == "absent"
    assert not box.target.exists()
    assert not box.state.exists()


def test_archives_of_the_scripts_before_are_listed_read_and_left(box: Box, tmp_path: Path) -> None:
    box.write_backup("keep = { last = 1, min = 1 }")
    box.target.mkdir()
    foreign = box.target / "models_backup_20200101.tar.gz"
    subprocess.run(["tar", "-C", box.folder, "-czf", foreign, "models"], check=True)
    _, made = box.document("backup", "list")
    assert [each["state"] for each in made["targets"][0]["archives"]] == ["foreign"]
    assert box.code("backup", "verify", "m", "models_backup_20200101") == 0
    assert box.code("backup", "restore", "m", "models_backup_20200101", "--to", str(tmp_path / "out")) == 0
    assert _is_same(box.models, tmp_path / "out" / "models")
    box.run("backup", "create", "m")
    assert box.code("backup", "prune", "m") == 0
    assert foreign.exists()


def test_what_is_pruned_is_planned_first_and_can_be_brought_back(box: Box) -> None:
    for number in range(3):
        (box.models / "config.json").write_text(f"{number}")
        assert box.code("backup", "create", "m") == 0
    first, *_, newest = (path.name.removesuffix(".tar.zst") for path in _archives(box))
    box.write_backup("keep = { last = 1, min = 1 }")
    code, out, _ = box.run("backup", "prune", "m", "--dry-run")
    assert code == 0
    assert f"go    {first}" in out
    assert f"keep  {newest}" in out
    assert len(_archives(box)) == 3
    code, made = box.document("backup", "prune", "m")
    assert code == 0
    assert len(made["pruned"]["removed"]) == 2
    assert [path.name for path in _archives(box)] == [f"{newest}.tar.zst"]
    assert first in box.run("backup", "undelete", "m")[1]
    assert box.code("backup", "undelete", "m", first) == 0
    assert box.code("backup", "verify", "m", first) == 0


@pytest.mark.parametrize("action", ["create", "list", "verify", "restore", "prune", "drill", "undelete", "explain"])
def test_the_help_offers_a_folder_where_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], action: str
) -> None:
    def said(*words: str) -> str:
        with contextlib.suppress(SystemExit):
            main([action, *words])
        return "".join(capfd.readouterr())

    monkeypatch.setenv("MLTOP_CONFIG", str(tmp_path / "none.toml"))
    offers = "--target" in said("--help")
    to = ("--to", str(tmp_path / "to")) if action == "restore" else ()
    assert offers == (action in ("create", "list", "verify", "restore"))
    assert ("takes a job" in said("--target", str(tmp_path), *to)) == (not offers)
    if action != "list":  # that is of all jobs
        assert ("expected a job, or --target DIR" in said(*to)) == offers


@pytest.mark.integration
def test_a_target_that_answers_no_more_is_said_in_time(box: Box, tmp_path: Path) -> None:
    mount = tmp_path / "dead"
    with hung_mount(mount) as server:
        try:
            server.send_signal(signal.SIGSTOP)
            box.write(f'[jobs.m]\nkind = "backup"\nsource = "{box.models}"\ntarget = "{mount}"\nsettle = "0s"')
            code, made = box.document("backup", "list")
            assert code == 1
            assert made["targets"][0]["status"] == "timeout", made
            for action in ("verify", "explain"):
                code, _, err = box.run("backup", action, "m")
                assert (code, "does not answer within" in err) == (1, True), action
            box.write_backup()
            box.config.write_text(box.config.read_text().replace(str(box.target), str(mount)) + 'timeout = "1s"\n')
            box.config.write_text(box.config.read_text() + 'kill_grace = "1s"\n')
            assert box.code("run", "m") in (124, 125), "what the schedule starts is ended, or left and told"
            assert box.runs()[0].state in (RunState.TIMEOUT, RunState.STUCK)
        finally:
            server.send_signal(signal.SIGCONT)


def _at_work(box: Box) -> bool:
    return box.target.is_dir() and any(path.stat().st_size > 100_000 for path in box.target.glob(".*.partial"))


def _slow(box: Box) -> None:
    (box.models / "big.bin").write_bytes(os.urandom(1 << 20) * 24)
    box.write_backup("level = 19\n")


def _fast(box: Box) -> None:
    box.write_backup()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_nothing_half_done(box: Box, number: signal.Signals) -> None:
    _slow(box)
    process = box.start("task", "backup", "m")
    box.wait_until(lambda: _at_work(box), "an archive at work")
    process.send_signal(number)
    process.communicate(timeout=10)
    assert process.returncode == 128 + number
    assert not list(box.target.glob("*.tar.zst"))
    assert not list(box.target.glob(".*.partial"))


def test_a_wrapper_that_is_ended_is_aborted(box: Box) -> None:
    _slow(box)
    process = box.start("backup", "create", "m")
    box.wait_until(lambda: _at_work(box), "an archive at work")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 143
    assert box.runs()[0].state is RunState.ABORTED
    assert not list(box.target.glob(".*.partial"))


def test_kill_9_in_the_middle_leaves_no_archive_that_lies_and_a_lost_run(box: Box) -> None:
    _slow(box)
    process = box.start("run", "m")
    box.wait_until(lambda: _at_work(box), "an archive at work")
    process.kill()
    process.communicate(timeout=10)
    box.wait_until(lambda: box.runs()[0].state is RunState.LOST, "the run is lost")
    _, made = box.document("backup", "list", "m")
    assert made["targets"][0]["archives"] == []
    _fast(box)
    # the task dies with its wrapper, by the kernel; its lock goes with it
    box.wait_until(lambda: box.code("backup", "create", "m") == 0, "the next run, with no step by hand")
    assert not list(box.target.glob(".*.partial"))
    assert box.code("backup", "verify", "m") == 0


def test_on_a_terminal_there_is_a_bar_and_then_the_report(box: Box) -> None:
    pid, master = pty.fork()
    if pid == 0:
        os.execve(
            sys.executable,
            [sys.executable, "-m", "mltop", "backup", "create", "m"],
            box.environment | {"TERM": "xterm-256color", "COLUMNS": "80"},
        )
    said = b""
    try:
        while block := os.read(master, 65536):
            said += block
    except OSError:  # the terminal's other end is closed
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(master)
    text = said.decode()
    assert "━" in text, "a bar"
    assert "backup m: verified" in text
    assert text.rstrip().splitlines()[-1].startswith("mltop: m: ok")
