"""`mltop init` and `mltop config` from outside: files, output, codes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import pytest
from patience import assert_within

from mltop.config.starter import Starter

STANDARD = ["models-backup", "temp-cleanup", "health-check", "gpu-metrics", "logs"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


def mltop(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "MLTOP_SYSFS": str(home / "no-sys"), **more}
    environment.setdefault("MLTOP_STATE_DIR", str(home.parent / "state"))  # never root's own
    command = [sys.executable, "-m", "mltop", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, env=environment, check=False
    )


def test_init_writes_the_standard_jobs_and_schedules_nothing(home: Path) -> None:
    models, file = home / "models", home / "a/b/config.toml"
    models.mkdir()
    done = mltop(home, "init", "--config", str(file), "--models", str(models), "--backups", str(home / "backups"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"wrote {file}"
    assert f"  mltop jobs plan --config {file}" in done.stdout.splitlines()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in home.iterdir()) == ["a", "models"]
    jobs = tomllib.loads(file.read_text())["jobs"]
    assert list(jobs) == STANDARD
    assert jobs["models-backup"]["source"] == str(models)
    assert [jobs[name]["schedule"] for name in STANDARD] == [
        "0 2 * * *", "0 */6 * * *", "0 * * * *", "*/5 * * * *", "@daily"
    ]  # fmt: skip
    assert jobs["models-backup"]["enabled"]
    checked = mltop(home, "config", "check", "--config", str(file))
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, f"{file}: no fault in 5 jobs\n", "")


def test_a_job_that_cannot_run_here_is_disabled_with_the_line_to_fill(home: Path) -> None:
    file = home / "config.toml"
    done = mltop(home, "init", "--config", str(file), "--models", str(home / "none"))
    assert done.returncode == 0
    assert f"disabled: {home}/none is not there\n" in done.stdout
    jobs = tomllib.loads(file.read_text())["jobs"]
    assert not jobs["models-backup"]["enabled"]
    assert f"# {home}/none is not there: fill in source, then set this to true" in file.read_text()
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        assert not jobs["gpu-metrics"]["enabled"]
    assert jobs["health-check"]["enabled"]


def test_a_config_that_is_there_stays(home: Path) -> None:
    file = home / "config.toml"
    file.write_text("# mine\n")
    done = mltop(home, "init", MLTOP_CONFIG=str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{file} is there and stays as it is")
    assert file.read_text() == "# mine\n"
    forced = mltop(home, "init", "--force", MLTOP_CONFIG=str(file))
    assert forced.returncode == 0
    assert "[jobs.logs]" in file.read_text()
    assert (home / "config.toml.bak").read_text() == "# mine\n"


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("kind", ["folder", "device", "link"])
def test_what_is_no_config_is_not_called_one(home: Path, kind: str, force: tuple[str, ...]) -> None:
    file = Path(os.devnull) if kind == "device" else home / "config.toml"
    if kind == "folder":
        file.mkdir()
    elif kind == "link":
        file.symlink_to(home / "gone" / "config.toml")
    done = mltop(home, "init", "--config", str(file), *force)
    assert (done.returncode, done.stdout) == (1, "")
    said = "which is not there: make that, or take the link away" if kind == "link" else "not a file: give the config"
    assert f"mltop init: {file}: " in done.stderr
    assert said in done.stderr
    assert not (home / "gone").exists()


def operations(state: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (state / "operations.jsonl").read_text().splitlines()]


def test_a_new_config_is_noted_among_the_operations(home: Path) -> None:
    file, state = home / "config.toml", home / "new" / "state"
    assert mltop(home, "init", "--config", str(file), "--state-dir", str(state)).returncode == 0
    (first,) = operations(state)
    assert (first["operation"], first["target"], first["uid"]) == ("init", str(file), os.geteuid())
    mltop(home, "init", "--config", str(file), "--state-dir", str(state))
    assert operations(state) == [first]  # nothing was written
    mltop(home, "init", "--config", str(file), "--state-dir", str(state), "--force")
    assert len(operations(state)) == 2
    mltop(home, "init", "--sandbox", str(home / "box"))
    assert [one["target"] for one in operations(home / "box" / "state")] == [str(home / "box" / "config.toml")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root's state is the system's, which no test may touch")
def test_a_config_somewhere_makes_no_state_for_its_sake(home: Path) -> None:
    nowhere = {"MLTOP_STATE_DIR": "", "XDG_STATE_HOME": str(home / "xdg")}
    done = mltop(home, "init", "--config", str(home / "config.toml"), **nowhere)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (home / "xdg").exists()


def test_a_note_that_cannot_be_written_is_said_and_the_config_stays(home: Path) -> None:
    (home / "state").touch()
    done = mltop(home, "init", "--config", str(home / "config.toml"), "--state-dir", str(home / "state"))
    assert done.returncode == 0
    assert done.stderr == f"mltop init: not noted in {home}/state/operations.jsonl: Not a directory\n"
    assert (home / "config.toml").exists()


def test_a_sandbox_has_work_for_every_job_in_its_own_paths(home: Path) -> None:
    box = home / "box"
    done = mltop(home, "init", "--sandbox", str(box))
    assert (done.returncode, done.stderr) == (0, "")
    where = f"--config {box}/config.toml --state-dir {box}/state"
    assert done.stdout.splitlines()[-2:] == [f"  mltop run models-backup {where}", f"  mltop {where}"]
    jobs = tomllib.loads((box / "config.toml").read_text())["jobs"]
    assert all(job["enabled"] for job in jobs.values())
    paths = [jobs["models-backup"]["source"], jobs["models-backup"]["target"], *jobs["temp-cleanup"]["paths"]]
    paths += [path for rule in jobs["logs"]["rules"] for path in rule["paths"]]
    assert all(path.startswith(f"{box}/") for path in paths)
    assert (box / "models/models--tiny--llm/snapshots/main/model.safetensors").stat().st_size > 1000
    assert [path.name for path in home.iterdir()] == ["box"]
    again = mltop(home, "init", "--sandbox", str(box))
    assert again.returncode == 0
    assert again.stdout.splitlines()[-2:] == done.stdout.splitlines()[-2:]


def test_the_jobs_of_a_sandbox_run(home: Path) -> None:
    box = home / "box"
    mltop(home, "init", "--sandbox", str(box))
    where = ("--config", str(box / "config.toml"), "--state-dir", str(box / "state"))
    newest = max(path.lstat().st_ctime for path in (box / "cache").rglob("*"))
    while time.time() - newest < 1.5:  # the sandbox cleans what is older than a second
        time.sleep(0.05)
    assert {name: mltop(home, "run", name, *where).returncode for name in STANDARD} == dict.fromkeys(STANDARD, 0)
    assert list((box / "backups").glob("models-backup_*.tar.zst"))
    assert not (box / "cache/compiled").exists()
    assert list((box / "logs").glob("training.log-*"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--sandbox", "full"), 1, "is not empty"),
        (("--sandbox", "new", "--models", "x"), 2, "--sandbox has its own"),
        (("--config", "full/file/config.toml"), 1, "Not a directory"),
        (("--bogus",), 2, "unrecognized arguments"),
        (("--models", ""), 2, "expected a folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(home: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    (home / "full").mkdir()
    (home / "full/file").write_text("x")
    named = [str(home / one) if "/" in one or one in ("full", "new") else one for one in arguments]
    done = mltop(home, "init", *named)
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("mltop init: ")
    assert said in line
    assert not (home / "new").exists()


def test_init_without_a_home_says_what_to_name(home: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root's config needs no HOME")
    done = mltop(home, "init", HOME="")
    assert (done.returncode, done.stdout) == (1, "")
    assert "--config" in done.stderr


def test_a_job_of_another_file_is_left_out() -> None:
    text = Starter(elsewhere={"logs": "/etc/mltop/config.toml"}, answering=frozenset({"redis"})).text()
    raw = tomllib.loads(text)
    assert list(raw["jobs"]) == STANDARD[:-1]
    assert "# logs is a job of /etc/mltop/config.toml already.\n" in text
    assert raw["services"] == {"redis": [{"name": "redis", "port": 6379}]}


def test_every_example_is_good_when_its_mark_is_taken_away(home: Path) -> None:
    """A comment that holds a line of TOML, or none: whoever takes the marks away has a config that holds."""
    text = Starter(operations=str(home / "operations.log"), gpus=8).text()
    example = re.compile(r'^# (?=\[|[\w."]+ = )', re.MULTILINE)
    assert len(example.findall(text)) > 40
    config = home / "all.toml"
    config.write_text(example.sub("", text))
    done = mltop(home, "config", "check", "--config", str(config))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    services = tomllib.loads(config.read_text())["services"]
    assert {kind: len(entries) for kind, entries in services.items()} == {
        "http": 2, "redis": 2, "postgres": 2, "unit": 1, "docker": 1, "tcp": 1,
    }  # fmt: skip
    assert all(len(line.replace(str(home), "~")) <= 100 for line in text.splitlines())


def test_a_port_that_drips_does_not_hold_init_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mltop.commands import loopback

    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def dripping() -> None:
            with contextlib.suppress(OSError):
                while not done.is_set():
                    with listener.accept()[0] as connection, contextlib.suppress(OSError):
                        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                        while not done.wait(0.05):
                            connection.sendall(b"x")

        threading.Thread(target=dripping, daemon=True).start()
        monkeypatch.setattr(loopback, "_API_PORT", listener.getsockname()[1])
        started = time.monotonic()
        assert "http" not in loopback.answering()
        assert_within(1.5, started)
        done.set()


def test_odd_names_are_quoted() -> None:
    odd = '/a "b" \\c é\x7f'
    raw = tomllib.loads(Starter(models=odd, operations=odd, caches=(odd,)).text())
    assert raw["jobs"]["models-backup"]["source"] == odd


def test_what_holds_and_where_it_came_from(home: Path) -> None:
    file = home / "config.toml"
    file.write_text(
        '[ui]\ninterval = 3\n[limits]\n"disk.space" = 70\nmem.swap = 50\n[[services.tcp]]\nname = "x"\nport = 1\n'
        '[jobs.a]\nkind = "check"\nschedule = "@daily"\nenv = { TOKEN = "hush" }\n'
    )
    done = mltop(home, "config", "show", "--json", "--config", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert set(document) == {"schema", "files", "settings", "jobs", "errors"}
    assert (document["schema"], document["files"], document["errors"]) == ("mltop.config/1", [str(file)], [])
    settings = {one["key"]: (one["value"], one["source"]) for one in document["settings"]}
    assert settings["ui.interval"] == (3.0, f"{file}:2")
    assert settings["ui.theme"] == ("terminal", None)
    assert settings['limits."disk.space"'][1] == f"{file}:4"
    assert settings['limits."mem.swap"'][1] == f"{file}:5"
    assert settings['limits."gpu.temp"'] == (
        {"warn": "@85:", "crit": "@90:", "clear": "@82:", "clear_crit": "@88:", "for_s": 120.0}, None
    )  # fmt: skip
    assert settings["services.tcp"][1] == f"{file}:6"
    (job,) = document["jobs"]
    assert (job["id"], job["source"], job["schedule"]) == ("a", f"{file}:9", ["@daily"])
    assert "hush" not in done.stdout
    shown = mltop(home, "config", "show", "--config", str(file))
    assert "ui.interval" in shown.stdout
    assert "warn 85, crit 90, clear 82" in shown.stdout


def test_every_fault_is_said_once(home: Path) -> None:
    file = home / "config.toml"
    file.write_text(
        '[ui]\nintervall = 3\n[jobs.a]\nkind = "chekc"\n[jobs.b]\nkind = "check"\nschedule = "99 * * * *"\n'
    )
    done = mltop(home, "config", "check", "--config", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(": ")[1:3] for line in done.stderr.splitlines()] == [
        [f"{file}:2", "ui.intervall"], [f"{file}:4", "jobs.a.kind"], [f"{file}:7", "jobs.b.schedule"]
    ]  # fmt: skip
    document = json.loads(mltop(home, "config", "check", "--json", "--config", str(file)).stdout)
    assert [error["where"] for error in document["errors"]] == [f"{file}:2", f"{file}:4", f"{file}:7"]
    missing = json.loads(mltop(home, "config", "check", "--json", "--config", str(home / "none")).stdout)
    assert missing["errors"] == [{"message": "no such file", "where": str(home / "none"), "remedy": None}]
