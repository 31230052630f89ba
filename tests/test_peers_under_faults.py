"""Where other GPU monitors fail their operator, and what mltop does instead.

Each case was seen to go wrong in nvitop 1.7, gpustat 1.1, glances 4.5, nvtop 3.0 and 3.2 or btop 1.3 on the same fake
driver; its id says how. The real program runs on a real pseudo-terminal (M1, M2, M6, M8-M10, M15-M21).
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from driver import DGX_BUS_IDS, FakeNvml, make_driver_version, make_sysfs
from terminal import ROOT, Terminal, read_all

_SETTLED_S = 30.0
_QUIT_S = 1.0
_KEY_S = 1.0
"""A key is answered in a tenth of that on a machine that does nothing else."""
_HELD = 6
"""Processes that the scenarios know as `@0` to `@5`."""
Screen = list[str]


@dataclasses.dataclass(frozen=True)
class Case:
    """A fault, and what is on mltop's screen."""

    id: str
    scenario: str
    shows: tuple[str, ...]
    """All of these are on the screen at the same time, at last."""
    size: tuple[int, int] = (80, 24)
    hides: tuple[str, ...] = ()
    """None of these is then on it."""
    then: str = ""
    """Put after the scenario once its numbers are on the screen."""
    at_last: str | None = None
    """A scenario that is played once the fault has shown, and is over."""
    check: Callable[[Screen], None] | None = None
    has_cards: bool = True
    """Whether sysfs has the eight cards."""
    moves: str = ""
    """A pattern on the screen whose number still moves."""
    end: bytes = b"q"
    """The key that ends it."""


def gpu_row(screen: Screen, index: int) -> str:
    """The row of a GPU where each has a line of its own."""
    (row,) = [line for line in screen if re.match(rf"[ │]*{index}  +(\d+C|LOST|-|no |not )", line.replace("│", " "))]
    return row


def process_rows(screen: Screen) -> list[str]:
    """The rows below the process list's head."""
    (head,) = [number for number, line in enumerate(screen) if "PID USER" in line]
    return [line for line in screen[head + 1 : -1] if re.match(r"[ │]*(\d+|-) +\S+ ", line)]


def has_all_eight_and_processes(screen: Screen) -> None:
    """M1: eight GPUs, a line each, in order, and at least three processes."""
    for index in range(8):
        assert "/79.6G" in gpu_row(screen, index)
    assert len(process_rows(screen)) >= 3
    assert "q Quit" in screen[-1]


def has_all_sixteen_and_processes(screen: Screen) -> None:
    """M2: sixteen GPUs, those in trouble by word, and at least two processes."""
    text = "\n".join(screen)
    for index in range(16):
        assert re.search(rf"(?:^|[ │]){index} +(?:\d+C|LOST)", text, re.MULTILINE), index
    assert re.search(r"\b14 +LOST", text)
    assert "HOT" in text
    assert len(process_rows(screen)) >= 2
    assert "q Quit" in screen[-1]


def keeps_its_place(screen: Screen) -> None:
    """M18: the lost GPU is GPU 3, and the others have the numbers that they had."""
    assert "LOST" in gpu_row(screen, 3)
    assert "41C" in gpu_row(screen, 2)
    assert "64C" in gpu_row(screen, 4)
    assert "32C" in gpu_row(screen, 7)


def keeps_its_processes(screen: Screen) -> None:
    """M18: the processes of the lost GPU stay."""
    keeps_its_place(screen)
    assert any(re.search(r" 3 +70\.0G ", row) for row in process_rows(screen))


def says_what_is_sick(screen: Screen) -> None:
    """M21: every illness by its word, in the row of its card."""
    words = {
        1: ("ECC 3", "remap pending"),
        2: ("remap failed",),
        3: ("HOT", "thermal"),
        4: ("x4 of x16",),
        5: ("links 12/18",),
        6: ("power brake",),
        7: ("persistence off",),
    }
    for index, signs in words.items():
        for sign in signs:
            assert sign in gpu_row(screen, index)
    assert len(process_rows(screen)) >= 3


def says_how_old(screen: Screen) -> None:
    """M8, M13: the GPU that hangs and how long; nothing old without a mark; the rest of the box goes on."""
    assert "no answer" in gpu_row(screen, 2)
    assert any("psi" in line for line in screen)
    assert len(process_rows(screen)) >= 3


def is_marked_as_old(screen: Screen) -> None:
    """M13: the card whose call ended the probe has no new values, and its last ones say how old they are."""
    assert "stale" in gpu_row(screen, 4)


def has_no_absurd_number(screen: Screen) -> None:
    """M16."""
    text = "\n".join(screen)
    assert not re.search(r"42949672\d\d|18446744|-3C|\d{4,}%|1(?!00%)[0-9][0-9]%", text)  # a busy box has 100 %


def has_instances(screen: Screen) -> None:
    """M6: a row an instance with its own memory; the parent is not counted twice."""
    for profile, memory in (("3g.40gb", "24.4/39.2G"), ("2g.20gb", "5.9/19.5G"), ("1g.10gb", "0.0/9.5G")):
        assert any(f"MIG {profile}" in line and memory in line for line in screen)
    assert "30.3/80.0G" in gpu_row(screen, 0)
    assert any(re.search(r" 0 +24\.3G ", row) for row in process_rows(screen))


BUSY = ("97%", "70.0/79.6G")
NO_ANSWER = ("not answer", "GPU 2")
CASES = (
    # nvitop and nvtop: a row of N/A; gpustat: "(Not Supported)"; btop: the last values for ever, as if all were well
    Case("lost-without-the-word", "8xh100", ("LOST since", "1 CRIT"), then="fault = * 3 lost\n",
         check=keeps_its_processes),
    Case("lost-without-the-word-large", "8xh100", ("LOST since", "1 CRIT"), then="fault = * 3 lost\n",
         size=(120, 40), check=keeps_its_processes),
    # nvtop drops the card and renumbers the rest; btop exits after 2 s
    Case("lost-at-start-renumbers", "8xh100-lost-at-start", ("LOST", "1 CRIT"), check=keeps_its_place),
    Case("lost-and-back-leaves-a-trace", "8xh100", ("LOST since",), then="fault = * 3 lost\n", at_last="8xh100",
         check=has_all_eight_and_processes),
    # a frozen screen with dead keys (nvitop, gpustat, nvtop), an abort that leaves the terminal in a mess (btop)
    Case("hung-freezes", "8xh100", NO_ANSWER, then="fault = nvmlDeviceGetPowerUsage 2 hang 600s\n", check=says_how_old),
    Case("hung-driver-freezes-the-cpu-too", "8xh100", NO_ANSWER, then="lock = driver\nfault = * 2 hang\n",
         check=says_how_old, moves=r"no answer (\d+)s", end=b"\x03"),
    Case("hung-hard-cannot-be-quit", "8xh100", NO_ANSWER, then="fault = * 2 hang_hard\n", check=says_how_old),
    Case("hung-init-is-blank", "hung-init", ("driver not answering for", "nvmlInit", "CPU", "load")),
    Case("driver-crashes-the-monitor", "8xh100", ("SIGSEGV", "GPU 4"), check=is_marked_as_old,
         then="fault = nvmlDeviceGetTemperature* 4 crash\n"),
    # nothing said, or said into the alternate screen and gone with it
    Case("mismatch-says-nothing", "mismatch", ("do not match", "535.183.01", "550.90.07", "reboot, or reload")),
    Case("not-loaded-says-nothing", "none", ("NVIDIA driver not loaded", "modprobe nvidia")),
    Case("no-permission-says-nothing", "noperm", ("no permission to use the NVIDIA driver", "/dev/nvidiactl")),
    Case("no-library-says-nothing", "", ("libnvidia-ml.so.1 not found", "install the driver")),
    Case("no-gpu-ends-the-monitor", "zero", ("no NVIDIA GPU on this box", "PID USER"), has_cards=False),
    # an invented link, no memory
    Case("unified-memory-is-na", "gb10", ("GB10", "unified", "18.0G held", "41%"), hides=("x1 of", "gen1"),
         has_cards=False),
    # an assertion at start, or 429496729(6)MiB and 100 %
    Case("process-memory-na-aborts", "4090", ("RTX 4090", "20.7/24.0G", "88%"), check=has_no_absurd_number,
         has_cards=False),
    # the parent alone, processes "0 %", an exit
    Case("mig-shows-the-parent-only", "mig-a100", ("by instance",), check=has_instances, has_cards=False),
    Case("mig-refused-parent-hides-its-children", "mig-noperm", ("MIG 3g.40gb", "24.4/39.2G", "no permission"),
         has_cards=False),
    Case("utilization-na-ends-the-monitor", "util-na", ("not supported", "70.0/79.6G", "64C")),
    # no room for one process; the last GPU over the footer; not all GPUs; aborts
    Case("16-gpus-large-leave-no-room", "16gpu", ("LOST", "HOT"), size=(120, 40), check=has_all_sixteen_and_processes,
         has_cards=False),
    Case("16-gpus-are-cut", "16gpu", ("LOST", "HOT"), check=has_all_sixteen_and_processes, has_cards=False),
    Case("8-gpus-large-end-the-monitor", "8xh100", BUSY, size=(120, 40), check=has_all_eight_and_processes),
    Case("8-gpus-leave-no-room", "8xh100", BUSY, check=has_all_eight_and_processes),
    # ECC, remaps, throttling, a narrow link, links down: no other monitor has a word for any
    Case("sick-looks-well", "8xh100-sick", ("CRIT", "links 12/18"), check=says_what_is_sick),
    Case("sick-looks-well-large", "8xh100-sick", ("CRIT", "links 12/18"), size=(120, 40), check=says_what_is_sick),
    Case("sick-looks-well-huge", "8xh100-sick", ("CRIT", "links 12/18"), size=(200, 60), check=says_what_is_sick),
    Case("hot-is-red-for-another-reason", "hot", ("92C", "HOT", "1 CRIT"), has_cards=False),
    # "No running processes found", "(Not Supported)", an empty list
    Case("refused-processes-are-none", "noperm-partly", ("processes not permitted", "97%"), hides=("No running",)),
    # a traceback over the screen, exits, a segmentation fault
    Case("odd-pid-ends-the-monitor", "pid-garbage", BUSY, check=has_no_absurd_number, hides=("4294967295",)),
    Case("used-above-total-ends-the-monitor", "used-over-total", BUSY, check=has_no_absurd_number, hides=("97.2",)),
    Case("garbage-ends-the-monitor", "garbage", BUSY, check=has_no_absurd_number),
    Case("garbage-ends-the-monitor-huge", "garbage", BUSY, size=(200, 60), check=has_no_absurd_number),
    Case("old-driver", "lib-old", ("470.256.02", "97%", "70.6/79.6G"), check=has_all_eight_and_processes),
    Case("slow-driver-makes-slow-keys", "slow", ("8x H100", "97%"), check=has_all_eight_and_processes),
)  # fmt: skip


class Dashboard:
    """The real dashboard before one fault."""

    def __init__(self, case: Case, library: Path, directory: Path, pids: list[int]) -> None:
        self.case = case
        self._fake = FakeNvml(library, directory)
        self._pids = pids
        self._step = 0
        if case.scenario:
            self._fake.scenario(case.scenario, pids)
        env = {**self._fake.env} if case.scenario else {}
        self.terminal = Terminal(
            [sys.executable, "-m", "mltop"], size=case.size, env={**env, **surroundings(directory, case)}
        )

    def is_settled(self) -> bool:
        """Whether the screen is what the case waits for; takes the case's next step when it is time."""
        text = self.terminal.text()
        if self._step == 0 and self.case.then:
            if all(sign in text for sign in BUSY):
                self._fake.scenario(self.case.scenario, self._pids, self.case.then)
                self._step = 1
            return False
        if self._step <= 1 and self.case.at_last is not None:
            if all(sign in text for sign in self.case.shows):
                self._fake.scenario(self.case.at_last, self._pids)
                self._step = 2
            return False
        if self._step == 2:
            return not any(sign in text for sign in self.case.shows) and has_numbers(self.terminal)
        return all(sign in text for sign in self.case.shows) and self._passes()

    def _passes(self) -> bool:
        try:
            self.check()
        except (AssertionError, ValueError):
            return False
        return True

    def check(self) -> None:
        """What the case asks of the screen, now."""
        screen = self.terminal.lines()
        for sign in self.case.hides:
            assert sign not in self.terminal.text()
        if self.case.check is not None:
            self.case.check(screen)


def has_numbers(terminal: Terminal) -> bool:
    return all(sign in terminal.text() for sign in BUSY)


def surroundings(directory: Path, case: Case | Once) -> dict[str, str]:
    """A box of files, so that the machine that runs the tests does not matter; no kernel log, a state of its own."""
    make_sysfs(directory / "sys", DGX_BUS_IDS if case.has_cards else ())
    env = {
        "MLTOP_SYSFS": str(directory / "sys"),
        "MLTOP_KMSG": os.devnull,
        "MLTOP_STATE_DIR": str(directory / "state"),
        "XDG_CONFIG_HOME": str(directory / "config"),
        "LANG": "C.UTF-8",
    }
    if case.scenario == "mismatch":
        proc = directory / "proc"
        proc.mkdir()
        for entry in Path("/proc").iterdir():
            if entry.name in (str(os.getpid()), "self") or not (entry.name.isdigit() or entry.name == "driver"):
                (proc / entry.name).symlink_to(entry)
        make_driver_version(proc, "535.183.01")
        env["MLTOP_PROCFS"] = str(proc)
    return env


@pytest.fixture(scope="module")
def pids() -> Iterator[list[int]]:
    """Processes that hold the GPUs."""
    holders = [subprocess.Popen(["sleep", "600"]) for _ in range(_HELD)]
    yield [holder.pid for holder in holders]
    for holder in holders:
        holder.kill()
        holder.wait()


@pytest.fixture(scope="module")
def dashboards(
    fake_nvml_library: Path, tmp_path_factory: pytest.TempPathFactory, pids: list[int]
) -> Iterator[dict[str, Dashboard]]:
    """All of them at once, each at the end of its story or of its time."""
    started = {case.id: Dashboard(case, fake_nvml_library, tmp_path_factory.mktemp("box"), pids) for case in CASES}
    waiting = list(started.values())

    def all_settled() -> bool:
        waiting[:] = [each for each in waiting if not each.is_settled()]
        return not waiting

    read_all([each.terminal for each in started.values()], all_settled, _SETTLED_S)
    yield started
    for each in started.values():
        each.terminal.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_screen(case: Case, dashboards: dict[str, Dashboard]) -> None:
    """The words are there, keys answer, and it ends at once, with 0 and the terminal as it was."""
    dashboard = dashboards[case.id]
    terminal = dashboard.terminal
    if case.at_last is None:
        for sign in case.shows:
            terminal.shows(sign, 2.0)
    terminal.until(dashboard._passes, case.id, 2.0)
    dashboard.check()
    if case.moves:
        (before,) = re.findall(case.moves, terminal.text())
        terminal.until(lambda: re.findall(case.moves, terminal.text()) not in ([], [before]), case.moves)
    terminal.key(b"?")
    terminal.shows("mltop: keys", _KEY_S)
    if case.at_last is not None:
        terminal.key(b"\x1b")
        terminal.shows("? Help", _KEY_S)
        terminal.key(b"e")
        terminal.shows("GPU 3", _KEY_S)
        assert "lost" in terminal.text().lower()
    terminal.key(case.end)
    assert terminal.wait(_QUIT_S) == 0
    assert terminal.is_restored()
    assert b"Traceback" not in terminal.output


@dataclasses.dataclass(frozen=True)
class Once:
    """A fault, and what is in the JSON of `--once`."""

    id: str
    scenario: str
    check: Callable[[dict[str, Any]], object]
    has_cards: bool = True


def gpu_of(snapshot: dict[str, Any], index: int) -> dict[str, Any]:
    (gpu,) = [each for each in snapshot["gpus"] if each["index"] == index]
    return dict(gpu)


def is_not_renumbered(snapshot: dict[str, Any]) -> None:
    """M18."""
    assert [gpu["index"] for gpu in snapshot["gpus"]] == list(range(8))
    assert gpu_of(snapshot, 3)["status"] == "lost"
    assert gpu_of(snapshot, 4)["processes"][0]["sm_percent"] == 50
    assert gpu_of(snapshot, 3)["temperature_c"] is None


def names_the_missing_card(snapshot: dict[str, Any]) -> None:
    """M19."""
    assert snapshot["driver"]["gpu_count"] == 7
    assert snapshot["driver"]["pci_count"] == 8
    (gone,) = [gpu for gpu in snapshot["gpus"] if gpu["index"] is None]
    assert gone["pci_bus_id"] == DGX_BUS_IDS[3]
    assert gone["status"] == "lost"
    assert DGX_BUS_IDS[3] in snapshot["driver"]["reason"]


def driver_is(status: str, *words: str) -> Callable[[dict[str, Any]], None]:
    """M20: a status, the remedy, and the rest of the box."""

    def check(snapshot: dict[str, Any]) -> None:
        assert snapshot["driver"]["status"] == status
        for word in words:
            assert word in (snapshot["driver"]["reason"] or "")
        assert snapshot["cpu"]["status"] == snapshot["memory"]["status"] == snapshot["processes"]["status"] == "ok"
        assert snapshot["disks"]

    return check


def is_stuck_at_two(snapshot: dict[str, Any]) -> None:
    """M8: those that answered are whole."""
    driver_is("timeout", "not answer", "GPU 2")(snapshot)
    assert [gpu["status"] for gpu in snapshot["gpus"][:2]] == ["ok", "ok"]
    assert gpu_of(snapshot, 2)["status"] == "timeout"


def knows_not(index: int, **reasons: str) -> Callable[[dict[str, Any]], None]:
    """M15, M16: null, never zero, with a reason."""

    def check(snapshot: dict[str, Any]) -> None:
        gpu = gpu_of(snapshot, index)
        for key, word in reasons.items():
            assert gpu[key] is None
            assert word in gpu["reason"]

    return check


def refuses_processes(snapshot: dict[str, Any]) -> None:
    """M20: not permitted is not none."""
    assert {gpu["processes_status"] for gpu in snapshot["gpus"]} == {"no-permission"}
    assert {gpu["status"] for gpu in snapshot["gpus"]} == {"ok"}
    assert {gpu["unattributed_bytes"] for gpu in snapshot["gpus"]} == {None}


def has_no_odd_pid(snapshot: dict[str, Any]) -> None:
    """M16."""
    pids = {process["pid"] for gpu in snapshot["gpus"] for process in gpu["processes"]}
    assert not pids & {0, 4294967295}
    assert "pid" in gpu_of(snapshot, 0)["reason"]


def process_memory_is_unknown(snapshot: dict[str, Any]) -> None:
    memory = [process["gpu_memory_bytes"] for process in snapshot["gpus"][0]["processes"]]
    assert sorted(memory, key=str) == [212 << 20, None]


def is_unified(snapshot: dict[str, Any]) -> None:
    """M17."""
    gpu = snapshot["gpus"][0]
    assert gpu["memory_is_unified"] is True
    assert gpu["memory_total_bytes"] == snapshot["memory"]["total_bytes"]
    assert gpu["processes"][0]["gpu_memory_bytes"] == 18 << 30


def has_three_instances(snapshot: dict[str, Any]) -> None:
    """M6."""
    assert [mig["profile"] for mig in gpu_of(snapshot, 0)["mig"]] == ["3g.40gb", "2g.20gb", "1g.10gb"]
    assert [mig["memory_used_bytes"] for mig in gpu_of(snapshot, 0)["mig"]] == [n << 20 for n in (25000, 6000, 12)]
    assert gpu_of(snapshot, 0)["utilization_percent"] is None
    assert len(gpu_of(snapshot, 0)["processes"]) == 2


ONCE = (
    Once("lost-renumbers", "8xh100-lost-at-start", is_not_renumbered),
    Once("missing-is-not-missed", "8xh100-missing", names_the_missing_card),
    Once("hung-never-ends", "stuck", is_stuck_at_two),
    Once("hung-init-never-ends", "hung-init", driver_is("timeout", "nvmlInit")),
    Once("hung-hard-init-never-ends", "hung-hard-init", driver_is("timeout", "nvmlInit")),
    Once("mismatch-is-no-gpu", "mismatch", driver_is("error", "535.183.01", "550.90.07", "reboot")),
    Once("not-loaded-is-no-gpu", "none", driver_is("error", "modprobe nvidia")),
    Once("no-permission-is-no-gpu", "noperm", driver_is("no-permission", "/dev/nvidiactl")),
    Once("no-library-is-no-gpu", "", driver_is("error", "libnvidia-ml.so.1")),
    Once("init-fails-without-a-word", "init-unknown", driver_is("error", "does not start")),
    Once("no-gpu", "zero", driver_is("absent"), has_cards=False),
    Once("unified-memory-is-na", "gb10", is_unified, has_cards=False),
    Once("process-memory-na-is-a-number", "4090", process_memory_is_unknown, has_cards=False),
    Once("mig-is-its-parent", "mig-a100", has_three_instances, has_cards=False),
    Once("refused-processes-are-none", "noperm-partly", refuses_processes),
    Once("odd-pid", "pid-garbage", has_no_odd_pid),
    Once("used-above-total", "used-over-total", knows_not(0, memory_used_bytes="above total")),
    Once(
        "garbage",
        "garbage",
        knows_not(0, utilization_percent="4294967295", temperature_c="4294967293", power_w="power"),
    ),
    Once("utilization-na", "util-na", knows_not(5, utilization_percent="utilization: not supported")),
)
_ONCE_S = 6.0
"""The driver's patience is 3 s."""


@pytest.fixture(scope="module")
def printed(
    fake_nvml_library: Path, tmp_path_factory: pytest.TempPathFactory, pids: list[int]
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """`mltop --once --json` before every fault."""
    started = {}
    for once in ONCE:
        directory = tmp_path_factory.mktemp("once")
        fake = FakeNvml(fake_nvml_library, directory)
        if once.scenario == "stuck":
            fake.scenario("8xh100", pids, "fault = nvmlDeviceGetPowerUsage 2 hang\n")
        elif once.scenario:
            fake.scenario(once.scenario, pids)
        env = {**(fake.env if once.scenario else {}), **surroundings(directory, once)}
        started[once.id] = subprocess.Popen(
            [sys.executable, "-m", "mltop", "--once", "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **env, "PYTHONPATH": ROOT},
        )
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("once", ONCE, ids=lambda once: once.id)
def test_once(once: Once, printed: dict[str, subprocess.Popen[bytes]]) -> None:
    """It ends, with 0 and one JSON object that says what is wrong, and with nothing on standard error (D8)."""
    out, error = printed[once.id].communicate(timeout=2 * _ONCE_S)
    assert (printed[once.id].returncode, error) == (0, b"")
    once.check(msgspec.json.decode(out))
