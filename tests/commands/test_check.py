"""`mltop --check` as a script meets it: exit codes, documents, deadlines."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import driver
import pytest
from patience import assert_within

from mltop.config.limits import TABLE

CHECK = [sys.executable, "-m", "mltop", "--check"]
GPU_ONLY = ("--only", "gpu.*")
ENDED = 0.6
"""Beyond `-t`: half a second by the contract, and what this machine's other work takes."""


class Box:
    """A home of its own, and a bus without GPUs until a driver is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        (folder / "sys/bus/pci/devices").mkdir(parents=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "MLTOP_SYSFS": str(folder / "sys"),
            "MLTOP_KMSG": os.devnull,
            "MLTOP_STATE_DIR": str(folder / "state"),
            "LANG": "C.UTF-8",
        }

    def play(self, fake: driver.FakeNvml, scenario: str, cards: bool = True) -> None:
        fake.scenario(scenario)
        self.environment |= fake.env
        if cards:
            driver.make_sysfs(self.folder / "sys", driver.DGX_BUS_IDS)

    def check(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        values: dict[str, Any] = {"env": self.environment, "stdin": subprocess.DEVNULL, "timeout": 30, **more}
        if not {"stdout", "stderr"} & set(more):
            values["capture_output"] = True
        return subprocess.run([*CHECK, *arguments], text=True, check=False, cwd=self.folder, **values)

    def document(self, *arguments: str, **more: Any) -> dict[str, Any]:
        done = self.check(*arguments, "--json", **more)
        made: dict[str, Any] = json.loads(done.stdout)
        assert made["exit_code"] == done.returncode
        return made


@pytest.fixture
def box(tmp_path: Path) -> Box:
    folder = tmp_path / "box"
    folder.mkdir()
    return Box(folder)


def states(made: Mapping[str, Any], check: str) -> dict[str, str]:
    return {one["target_name"]: one["state"] for one in made["results"] if one["check"] == check}


# --- verdicts


def test_a_bare_box_has_no_gpu_and_no_service_and_that_is_ok(box: Box) -> None:
    done = box.check("--skip", "disk.*,mem.*,cpu.*", "-f", "human")
    assert (done.returncode, done.stderr) == (0, "")
    assert "SKIP     gpu      no NVIDIA GPU on this box" in done.stdout
    assert not (box.folder / ".local").exists()  # looking creates nothing


def test_the_document_of_the_whole_box_agrees_with_its_exit_code(box: Box) -> None:
    made = box.document()
    assert made["complete"]
    assert made["errors"] == []
    assert states(made, "disk.space")["/"] in ("OK", "WARNING", "CRITICAL")
    assert states(made, "mem.available")["memory"] in ("OK", "WARNING", "CRITICAL")
    assert len({(one["check"], one["target"]) for one in made["results"]}) == len(made["results"])


@pytest.mark.parametrize(
    ("scenario", "code", "check", "who"),
    [
        ("8xh100", 0, "gpu.temp", "GPU 0"),
        ("8xh100-lost-at-start", 2, "gpu.count", "GPU 3"),
        ("8xh100-sick", 2, "gpu.row_remap", "GPU 2"),
        ("hot", 2, "gpu.temp", "GPU 0"),
        ("mismatch", 2, "gpu.driver", "driver"),
        ("noperm", 3, "gpu.driver", "driver"),
        ("garbage", 3, "gpu.temp", "GPU 0"),
        ("4090", 0, "gpu.temp", "GPU 0"),
        ("gb10", 0, "gpu.temp", "GPU 0"),
        ("mig-a100", 0, "gpu.temp", "GPU 0"),
    ],
)
def test_what_the_driver_says_is_judged(
    box: Box, fake_nvml: driver.FakeNvml, scenario: str, code: int, check: str, who: str
) -> None:
    box.play(fake_nvml, scenario, cards=scenario.startswith("8x"))
    made = box.document(*GPU_ONLY)
    assert made["exit_code"] == code, [one for one in made["results"] if one["state"] != "OK"]
    expected = {0: "OK", 1: "WARNING", 2: "CRITICAL", 3: "UNKNOWN"}[code]
    assert states(made, check)[who] == expected
    assert "9223372036854775794" not in json.dumps(made)


def test_a_lost_gpu_is_named_and_the_seven_others_are_told_in_full(box: Box, fake_nvml: driver.FakeNvml) -> None:
    box.play(fake_nvml, "8xh100-lost-at-start")
    made = box.document(*GPU_ONLY)
    (lost,) = [one for one in made["results"] if one["check"] == "gpu.count"]
    assert lost["data"]["pci_bus_id"] == driver.DGX_BUS_IDS[3]
    for check in ("gpu.temp", "gpu.ecc_uncorrected", "gpu.nvlink", "gpu.persistence"):
        assert len(states(made, check)) == 7


def test_a_card_without_its_driver_is_critical(box: Box) -> None:
    driver.make_sysfs(box.folder / "sys", driver.DGX_BUS_IDS[:1])
    made = box.document(*GPU_ONLY)
    # a container that was given no device node is not to blame, but it was asked for
    assert states(made, "gpu.driver")["driver"] in ("CRITICAL", "UNKNOWN")
    assert made["exit_code"] in (2, 3)


def test_the_seed_profile_exits_1_for_critical_only(box: Box, fake_nvml: driver.FakeNvml) -> None:
    box.play(fake_nvml, "8xh100-lost-at-start")
    assert box.check(*GPU_ONLY, "--profile", "seed").returncode == 1
    fake_nvml.scenario("8xh100")
    done = box.check("--only", "gpu.mem", "--profile", "seed", "-w", "gpu.mem=1")
    assert done.returncode == 0
    assert "mltop WARNING (profile seed): 7 warning" in done.stdout


# --- deadlines


@pytest.mark.parametrize(("scenario", "code"), [("hung-init", 2), ("hung-hard-init", 2), ("slow", 3)])
def test_a_driver_that_hangs_ends_the_run_in_its_time(
    box: Box, fake_nvml: driver.FakeNvml, scenario: str, code: int
) -> None:
    box.play(fake_nvml, scenario)
    started = time.monotonic()
    made = box.document("-t", "1.5", "--skip", "disk.*,mem.*,cpu.*")
    assert_within(1.5 + ENDED, started)
    assert made["exit_code"] == code
    assert states(made, "gpu.responsive")["driver"] in ("CRITICAL", "UNKNOWN")
    assert "OK" not in states(made, "gpu.ecc_uncorrected").values()


def test_a_substitution_returns_though_the_driver_hangs(box: Box, fake_nvml: driver.FakeNvml) -> None:
    box.play(fake_nvml, "hung-init")
    command = f'out=$({" ".join(CHECK)} -t 1 --only gpu.responsive -f nagios); echo "$? $out"'
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=box.environment, capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.startswith("2 MLTOP CRITICAL - driver driver not answering")


# --- what is no verdict


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nope"], "unrecognized arguments: --nope"),
        (["-f", "xml"], "invalid choice"),
        (["-t", "0"], "0.5 to 600"),
        (["--only", "nope"], "no check is called 'nope'"),
        (["--skip", "gpu"], "no check is called 'gpu'"),
        (["--profile", "x"], "--profile"),
        (["-w", "disk.space"], "ID=RANGE"),
        (["-c", "disk.space=9:1"], "range"),
        (["--unknown-as", "fine"], "expected unknown"),
        (["--config", "/none/c.toml"], "no such file"),
    ],
)
def test_a_wrong_flag_is_3_with_a_line_and_a_document(box: Box, arguments: list[str], message: str) -> None:
    done = box.check(*arguments)
    assert (done.returncode, done.stdout) == (3, "")
    assert message in done.stderr
    assert done.stderr.startswith("mltop: ")
    assert done.stderr.count("\n") == 1
    made = box.document(*arguments)
    assert (made["state"], made["complete"]) == ("UNKNOWN", False)
    assert message in made["errors"][0]["message"]


def test_a_wrong_config_is_3_with_each_of_its_faults(box: Box) -> None:
    box.config.write_text('[[services.http]]\nname = "a"\nurl = "x"\n[checks]\nprofile = "y"\n')
    done = box.check("--config", str(box.config))
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 2
    assert len(box.document("--config", str(box.config))["errors"]) == 2
    box.config.write_text('[checks]\ndisabled = ["nope"]\n')
    assert "checks.disabled: no check is called 'nope'" in box.check("--config", str(box.config)).stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_3(box: Box, fake_nvml: driver.FakeNvml, number: signal.Signals) -> None:
    box.play(fake_nvml, "hung-init")
    run = subprocess.Popen(
        [*CHECK, "--json", "-t", "20"],
        env=box.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with run:
        deadline = time.monotonic() + 10
        while not fake_nvml.calls() and time.monotonic() < deadline:  # it waits for the driver by now
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(0.02)
        run.send_signal(number)
        out, err = run.communicate(timeout=10)
    assert run.returncode == 3
    assert err == f"mltop: ended by {number.name}\n"
    assert json.loads(out)["complete"] is False


def test_output_that_cannot_be_written_is_3(box: Box) -> None:
    with Path("/dev/full").open("w") as full:
        done = box.check(*GPU_ONLY, stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (3, "mltop: standard output: No space left on device\n")
    read, write = os.pipe()
    os.close(read)
    done = box.check("--only", "self.*", stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (3, "mltop: standard output: Broken pipe\n")
    done = box.check("--only", "self.*", "-o", "/nowhere/x")
    assert (done.returncode, done.stderr) == (3, "mltop: /nowhere/x: No such file or directory\n")


def test_an_import_that_fails_is_3(box: Box) -> None:
    code = "import sys; sys.modules['mltop.sampling.look'] = None; from mltop.commands.check.command import main; "
    code += "sys.exit(main([]))"
    done = subprocess.run([sys.executable, "-c", code], env=box.environment, capture_output=True, text=True, timeout=20)
    assert done.returncode == 3
    assert done.stderr.startswith("mltop: cannot judge: ModuleNotFoundError")
    assert "Traceback" not in done.stderr


def test_nothing_that_ran_is_3(box: Box) -> None:
    done = box.check("--only", "redis,pg")
    assert done.returncode == 3
    assert "UNKNOWN" in done.stdout


# --- the surroundings


def test_the_environment_changes_nothing(box: Box) -> None:
    def stable(**more: Any) -> list[tuple[str, ...]]:
        made = box.document(**more)
        found = [one for one in made["results"] if one["check"] not in ("cpu.load", "cpu.psi", "mem.psi")]
        found = [one for one in found if not one["target"].startswith(tempfile.gettempdir())]  # mounts of other tests
        return [(one["check"], one["target"], one["target_name"], one["state"]) for one in found]

    usual = stable()
    bare = {name: text for name, text in box.environment.items() if name.startswith("MLTOP_")}
    assert stable(env={**bare, "LC_ALL": "de_DE.UTF-8", "PATH": ""}) == usual
    assert stable(preexec_fn=lambda: os.close(0), stdin=None) == usual


def test_a_plain_user_gets_a_verdict_without_a_traceback(box: Box) -> None:
    if os.geteuid() != 0:
        pytest.skip("runs as a plain user anyway")
    code = (
        "import sys, os; sys.path[:0] = sys.argv[1].split(os.pathsep); "
        "from mltop.commands.check.command import main; os.setgroups([]); os.setgid(65534); os.setuid(65534); "
        "import mltop.sampling.look, mltop.sampling.host.cpu, mltop.sampling.host.memory, mltop.sampling.host.disk; "
        "sys.exit(main(['--json']))"
    )
    warm = "import mltop.checks.verdict, mltop.checks.judge, mltop.checks.service.probe, mltop.config.load; "
    warm += "import mltop.checks.override, mltop.checks.profile, mltop.reports.json, mltop.sampling.look; "
    warm += (
        "import mltop.sampling.host.cpu, mltop.sampling.host.memory, mltop.sampling.host.disk, mltop.checks.selection; "
    )
    done = subprocess.run(
        [sys.executable, "-c", warm + code, os.pathsep.join(sys.path)],
        env={**box.environment, "MLTOP_KMSG": ""}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    made = json.loads(done.stdout)
    assert made["exit_code"] == done.returncode
    assert made["counts"]["unknown"] == 0


def test_a_file_is_written_whole_and_readable_for_all(box: Box) -> None:
    target = box.folder / "mltop.prom"
    done = box.check("-f", "prometheus", "-o", str(target), "--only", "self.*")
    assert (done.returncode, done.stdout) == (0, "")
    assert target.read_text().endswith('mltop_build_info{version="' + __import__("mltop").__version__ + '"} 1\n')
    assert target.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in box.folder.glob("*mltop.prom*")] == ["mltop.prom"]


def test_it_loads_neither_a_screen_nor_a_loop(box: Box) -> None:
    code = (
        "import sys; from mltop.commands.check.command import main; main(['--only', '*', '-f', 'human']);"
        "print(sorted({name.partition('.')[0] for name in sys.modules} "
        "& {'textual', 'rich', 'asyncio', 'apprise', 'psutil', 'pynvml', 'subprocess', 'ssl'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=box.environment, capture_output=True, text=True, timeout=20)
    assert done.stderr == "[]\n"


# --- services


def test_services_are_asked_side_by_side_and_none_holds_the_run(box: Box) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        entries = [f'[[services.redis]]\nname = "r{n}"\nport = {port}\ntimeout = "0.8s"\n' for n in range(8)]
        entries.append(f'[[services.tcp]]\nname = "open"\nport = {port}\n')
        entries.append('[[services.http]]\nname = "gone"\nurl = "http://127.0.0.1:1/health"\n')
        entries.append(f'[[services.postgres]]\nname = "slow"\nport = {port}\ntimeout = "60s"\n')
        box.config.write_text("".join(entries))
        started = time.monotonic()
        made = box.document("--only", "redis,pg,tcp,api", "--config", str(box.config), "-t", "2")
        assert_within(2 + ENDED, started)
    assert states(made, "redis") == {f"r{n}": "CRITICAL" for n in range(8)}
    assert states(made, "tcp") == {"open": "OK"}
    assert states(made, "api") == {"gone": "CRITICAL"}
    assert states(made, "pg") == {"slow": "CRITICAL"}
    assert made["exit_code"] == 2


def test_a_password_file_that_is_a_fifo_holds_nobody(box: Box) -> None:
    fifo = box.folder / "fifo"
    os.mkfifo(fifo)
    box.config.write_text(f'[[services.redis]]\nname = "r"\npassword_file = "{fifo}"\ntimeout = "0.5s"\n')
    started = time.monotonic()
    made = box.document("--only", "redis", "--config", str(box.config), "-t", "5")
    assert_within(3, started)
    assert states(made, "redis")["r"] in ("CRITICAL", "UNKNOWN")


def test_the_list_and_the_schema(box: Box) -> None:
    listed = box.check("--list").stdout
    assert "disk.space" in listed
    assert "@85:" in listed
    made = json.loads(box.check("--list", "--json").stdout)
    assert made["schema"] == "mltop.check/1"
    ids = {row["id"] for one in made["checks"] for row in (one, *one["limits"])}
    assert set(TABLE) <= ids, "every limit that the config takes is listed"
    assert ids <= {line.split()[0] for line in listed.splitlines()}
    assert "$defs" in json.loads(box.check("--schema").stdout)
    done = box.check("--help")
    assert (done.returncode, done.stderr) == (0, "")
