"""What one `mltop --check` leaves for the next one, as a script meets it."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import driver
import msgspec
import pytest
from patience import assert_within

from mltop.checks.remembered import Found, Held, KnownGpu, Remembered
from mltop.commands.check.keeper import MAX_BYTES
from mltop.commands.check.state import encoded
from mltop.model.finding import Level
from mltop.model.verdict import State

CHECK = [sys.executable, "-m", "mltop", "--check", "--json"]


class Box:
    """A home, a state and a bus of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.file = self.state / "check.json"
        (folder / "sys/bus/pci/devices").mkdir(parents=True)
        (folder / "run").mkdir(mode=0o700)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "MLTOP_STATE_DIR": str(self.state),
            "MLTOP_SYSFS": str(folder / "sys"),
            "MLTOP_KMSG": os.devnull,
        }

    def run(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        values: dict[str, Any] = {"env": self.environment, "stdin": subprocess.DEVNULL, "timeout": 30, **more}
        return subprocess.run([*CHECK, *arguments], text=True, capture_output=True, check=False, **values)

    def check(self, *arguments: str, **more: Any) -> dict[tuple[str, str], dict[str, Any]]:
        """One run's results by check and target."""
        done = self.run(*arguments, **more)
        made = json.loads(done.stdout)
        assert made["exit_code"] == done.returncode, done.stderr
        return {(one["check"], one["target"]): one for one in made["results"]}

    def files(self) -> list[str]:
        found = (path for path in self.folder.rglob("*") if path.is_file() or path.is_symlink())
        return sorted(str(path.relative_to(self.folder)) for path in found if "sys" not in path.parts)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


MEMORY = ("mem.available", "")
STATE = ("self.state", "")
BAD = ("-w", "mem.available=@0:")


def test_a_run_creates_its_one_file_and_without_a_state_none(box: Box) -> None:
    off = box.check("--no-state")
    assert (off[STATE]["state"], off[MEMORY]["since"]) == ("SKIP", None)
    assert box.files() == []
    assert box.run("--only", "nope").returncode == 3
    assert box.run("--list").returncode == 0
    assert box.files() == []
    made = box.check()
    assert made[STATE]["state"] == "OK"
    assert made[STATE]["summary"] == f"kept in {box.state}"
    assert box.files() == ["state/check.json"]
    assert box.file.stat().st_mode & 0o777 == 0o600
    assert {one["state"] for one in made.values() if one["check"].startswith(("self.", "host."))} <= {"OK", "SKIP"}
    box.file.write_bytes(b"not looked at")
    box.check("--no-state")
    assert box.file.read_bytes() == b"not looked at"


def test_a_state_has_a_beginning_that_the_next_runs_know(box: Box) -> None:
    first = box.check()[MEMORY]
    wrong = box.check(*BAD)[MEMORY]
    again = box.check(*BAD)[MEMORY]
    well = box.check()[MEMORY]
    assert [one["state"] for one in (first, wrong, again, well)] == ["OK", "WARNING", "WARNING", "OK"]
    assert first["since"] <= wrong["since"] == again["since"] <= well["since"]
    kept = json.loads(box.file.read_bytes())
    kept["found"]["mem.available"][""][1] -= 7200
    box.file.write_text(json.dumps(kept))
    old = box.check()[MEMORY]
    assert old["since"] < first["since"]


def test_a_filtered_run_forgets_nothing(box: Box) -> None:
    box.check(*BAD)
    kept = json.loads(box.file.read_bytes())
    kept["found"]["mem.available"][""][1] -= 7200
    box.file.write_text(json.dumps(kept))
    for only in ("disk.*", "mem.psi,mem.swap"):
        box.check("--only", only)
        later = json.loads(box.file.read_bytes())
        assert later["found"]["mem.available"] == kept["found"]["mem.available"]
        assert later["time"] > kept["time"]
        if only == "disk.*":
            assert later["held"]["mem.available"] == kept["held"]["mem.available"]


def test_a_gpu_that_is_gone_since_the_last_run_is_critical_until_it_is_back(
    box: Box, fake_nvml: driver.FakeNvml
) -> None:
    box.environment |= fake_nvml.env
    gpus, uuid = ("--only", "gpu.*"), None
    driver.make_sysfs(box.folder / "sys", driver.DGX_BUS_IDS)
    for _ in range(2):
        assert box.check(*gpus)[("gpu.count", "")]["state"] == "OK"
    for path in (box.folder / "sys/bus/pci/devices").glob(f"*{driver.DGX_BUS_IDS[3]}"):
        path.rename(box.folder / "off-the-bus")
    fake_nvml.scenario("8xh100-missing")
    box.check("--only", "disk.*")  # which does not look at them
    for _ in range(2):
        done = box.run(*gpus)
        (lost,) = [one for one in json.loads(done.stdout)["results"] if one["reason"] == "gone"]
        assert (done.returncode, lost["check"], lost["state"], lost["target_name"]) == (
            2,
            "gpu.count",
            "CRITICAL",
            "GPU 3",
        )
        assert lost["data"]["pci_bus_id"] == driver.DGX_BUS_IDS[3]
        assert lost["data"]["uuid"] == lost["target"] != ""
        assert uuid in (None, lost["target"])
        uuid = lost["target"]
    config = box.folder / "config.toml"
    config.write_text("[expect]\ngpus = 8\n")
    assert box.check(*gpus, "--config", str(config))[("gpu.count", str(uuid))]["state"] == "CRITICAL"
    config.write_text("[expect]\ngpus = 7\n")
    assert ("gpu.count", str(uuid)) not in box.check(*gpus, "--config", str(config))
    assert ("gpu.count", str(uuid)) not in box.check(*gpus)


def test_a_box_that_is_looked_at_through_other_roots_is_another_box(box: Box, fake_nvml: driver.FakeNvml) -> None:
    box.environment |= fake_nvml.env
    box.check("--only", "gpu.*")
    assert len(json.loads(box.file.read_bytes())["gpus"]) == 8
    other = box.folder / "other"
    (other / "bus/pci/devices").mkdir(parents=True)
    fake_nvml.scenario("none")
    box.environment["MLTOP_SYSFS"] = str(other)
    assert not [one for one in box.check("--only", "gpu.*").values() if one["state"] == "CRITICAL"]


@pytest.mark.parametrize(
    "content",
    [b"", b'{"version": 1, "fou', b'{"version": 99}', b'{"found": {"a": {"": ["GREAT", 1]}}}', b" " * (2 << 20)],
    ids=["empty", "torn", "newer", "no-state", "huge"],
)
def test_what_is_no_state_is_set_aside_and_said_once(box: Box, content: bytes) -> None:
    box.state.mkdir()
    box.file.write_bytes(content)
    one = box.check("--only", "self.*")[STATE]
    assert (one["state"], one["reason"]) == ("WARNING", "parse")
    assert (box.state / "check.json.bad").read_bytes() == content
    assert box.check("--only", "self.*")[STATE]["state"] == "OK"
    assert box.files() == ["state/check.json", "state/check.json.bad"]


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_what_is_no_file_holds_nobody_up(box: Box, kind: str) -> None:
    box.state.mkdir()
    {"fifo": os.mkfifo, "folder": os.mkdir}[kind](box.file)
    started = time.monotonic()
    assert box.check("--only", "self.*")[STATE]["state"] == "WARNING"
    assert_within(5, started)
    assert box.check("--only", "self.*")[STATE]["state"] == "OK"


def test_where_nothing_can_be_written_it_is_kept_in_memory(box: Box) -> None:
    nowhere = ("--state-dir", "/proc/mltop")  # not even root can
    first = box.check(*nowhere, *BAD)
    assert first[STATE]["state"] == "OK"
    assert first[STATE]["summary"].startswith(f"kept in {box.folder}/run/mltop: /proc/mltop: ")
    second = box.check(*nowhere, *BAD)
    assert second[MEMORY]["since"] == first[MEMORY]["since"]
    (kept,) = (box.folder / "run/mltop").iterdir()
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    del box.environment["MLTOP_STATE_DIR"], box.environment["HOME"]
    if os.geteuid() != 0:
        assert box.check("--only", "self.*")[STATE]["summary"].endswith("no HOME to keep it in")


def test_what_was_kept_in_memory_goes_home_when_it_can(box: Box) -> None:
    blocked = box.folder / "blocked"
    blocked.write_bytes(b"")
    state = ("--state-dir", str(blocked / "state"))
    first = box.check(*state, *BAD)
    assert "Not a directory" in first[STATE]["summary"]
    assert len(box.files()) == 2
    blocked.unlink()
    second = box.check(*state, *BAD)
    assert second[STATE]["summary"] == f"kept in {blocked}/state"
    assert second[MEMORY]["since"] == first[MEMORY]["since"]
    assert box.files() == ["blocked/state/check.json"]


def test_a_private_folder_that_is_not_ours_is_not_used(box: Box) -> None:
    (box.folder / "run/mltop").mkdir(mode=0o755)
    one = box.check("--state-dir", "/proc/mltop", "--only", "self.*")[STATE]
    assert f"{box.folder}/run" not in one["summary"]
    assert not list((box.folder / "run/mltop").iterdir())


def test_no_room_for_it_is_a_warning_and_the_verdict_is_there(box: Box) -> None:
    box.check()
    before = box.file.read_bytes()
    box.environment["PYTHONDONTWRITEBYTECODE"] = "1"  # Python takes a write that was cut for a whole one
    made = box.check(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)))
    assert made[STATE]["state"] == "WARNING"
    assert "File too large" in made[STATE]["summary"]
    assert made[MEMORY]["state"] == "OK"
    assert box.file.read_bytes() == before


def test_a_second_run_at_the_same_time_gives_its_verdict_and_writes_nothing(box: Box) -> None:
    box.check()
    before = box.file.read_bytes()
    folder = os.open(box.state, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        made = box.check(*BAD)
    finally:
        os.close(folder)
    assert made[MEMORY]["state"] == "WARNING"
    assert made[STATE]["summary"] == "another run is active: this one notes nothing"
    assert made[STATE]["state"] == "OK"
    assert box.file.read_bytes() == before


def test_six_runs_at_once_leave_a_whole_file(box: Box) -> None:
    runs = [
        subprocess.Popen([*CHECK, "--only", "self.*,mem.*"], env=box.environment, stdout=subprocess.DEVNULL)
        for _ in range(6)
    ]
    assert [run.wait(60) for run in runs] == [0] * 6
    assert json.loads(box.file.read_bytes())["found"]["mem.available"]
    assert box.files() == ["state/check.json"]


def test_killed_at_any_moment_it_leaves_a_whole_file(box: Box) -> None:
    box.check()
    took = []
    for _ in range(3):
        started = time.monotonic()
        box.check("--only", "self.*,mem.*")
        took.append(time.monotonic() - started)
    for number in range(7):
        with subprocess.Popen([*CHECK, "--only", "self.*,mem.*"], env=box.environment, stdout=subprocess.PIPE) as run:
            try:
                run.wait((0.7 + 0.06 * number) * min(took))
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
        json.loads(box.file.read_bytes())
    assert box.check("--only", "self.*")[STATE]["state"] == "OK"
    assert box.files() == ["state/check.json"]


def test_a_deadline_that_is_short_leaves_room_for_it(box: Box) -> None:
    assert box.check("-t", "0.5", "--only", "self.*,mem.*")[STATE]["state"] == "OK"
    assert box.file.exists()


@pytest.mark.parametrize("part", ["found", "held", "space", "counters"])
def test_a_state_is_bounded_and_keeps_the_gpus(part: str) -> None:
    many = range(40_000)
    whole = {
        "found": {"disk.space": {f"/{number}": Found(State.OK, 1.0) for number in many}},
        "held": {"disk.space": {f"/{number}": Held(Level.OK, 1.0) for number in many}},
        "space": {f"/{number}": [(1.0, 2.0)] for number in many},
        "counters": {"gpu.nvlink": {f"GPU-{number}": {"crc": [(1.0, 2.0)]} for number in many}},
    }
    data = encoded(Remembered(gpus=[KnownGpu(uuid="GPU-1")], **{part: whole[part]}))
    assert len(data) <= MAX_BYTES
    assert msgspec.json.decode(data, type=Remembered).gpus[0].uuid == "GPU-1"


# --- what is switched off (C16), and what is not waited for (C18)


def test_what_is_switched_off_is_listed_so_and_has_no_result(box: Box) -> None:
    config = box.folder / "config.toml"
    config.write_text('[checks]\ndisabled = ["mem.swap"]\n')
    arguments = ("--config", str(config), "--skip", "gpu.*")
    made = json.loads(box.run(*arguments).stdout)
    told = {one["check"] for one in made["results"]}
    assert {"mem.swap", "gpu.driver", "gpu.count"} <= set(made["disabled"])
    assert not told & set(made["disabled"])
    human = subprocess.run(
        [*CHECK[:-1], *arguments], env=box.environment, capture_output=True, text=True, check=False, timeout=30
    ).stdout
    assert "mem.swap" in human.partition("disabled")[2]
    assert not [line for line in human.splitlines() if " gpu " in line]
    listed = subprocess.run(
        [*CHECK[:-1], "--list", *arguments], env=box.environment, capture_output=True, text=True, check=True, timeout=30
    ).stdout
    assert "[not selected]" in next(line for line in listed.splitlines() if line.startswith("mem.swap"))


def test_a_run_sleeps_for_nothing(box: Box) -> None:
    box.check()
    code = (
        "import sys, time; real = time.sleep; naps = []; "
        "time.sleep = lambda s: (naps.append(s), real(s)); "
        "from mltop.commands.check.command import main; main(['-f', 'json']); print(sum(naps), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=box.environment, capture_output=True, text=True, timeout=30, check=True
    )
    assert float(done.stderr) < 0.05  # none but for the children that it has just ended
