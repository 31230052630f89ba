"""`python tests/pictures`: the pictures in `screenshots/`, SVG and PNG, taken of the real app on a scripted box."""

from __future__ import annotations

import asyncio
import atexit
import io
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ |= {"TZ": "UTC", "COLORTERM": "truecolor", "TERM": "xterm-256color", "USER": "mlu1"}
os.environ.pop("NO_COLOR", None)
time.tzset()
HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "fakes")]

import msgspec
import scheduled
from box import NOW, G, lost_gpu, make_gpu, make_snapshot
from cells import DARK, LIGHT, Picture
from rich.console import Console

from mltop.checks.event import changes
from mltop.checks.judge import Memory, judge
from mltop.commands.demo.process import detail
from mltop.config.limits import Limits
from mltop.model.history import History
from mltop.model.request import Request
from mltop.model.snapshot import Driver, Gpu, Snapshot, Status
from mltop.ui.app import Dashboard
from mltop.ui.ask import Ask
from mltop.ui.line import text_of
from mltop.ui.screens.job_form import JobForm
from mltop.ui.screens.jobs import JobsScreen
from mltop.ui.session import Session
from mltop.ui.view import View
from mltop.ui.widgets.line_pane import LinePane

TARGET = HERE.parent.parent / "screenshots"
PATIENCE_S = 20.0
TRAINER = 412201
"""The process that is first on the list."""
AT = datetime.fromtimestamp(NOW, UTC)
"""When the pictures are taken."""


class PipeSource:
    """A source that gives one snapshot and then nothing."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._out, self._in = os.pipe()
        os.set_blocking(self._in, False)
        data = msgspec.json.encode(snapshot) + b"\n"
        assert os.write(self._in, data) == len(data), "the snapshot is larger than a pipe"

    def fileno(self) -> int:
        return self._out

    def send(self, request: Request) -> None:
        del request

    def trouble(self) -> str | None:
        return None

    def close(self) -> None:
        os.close(self._out)


def replaced(gpu: Gpu, **values: Any) -> Gpu:
    return msgspec.structs.replace(gpu, **values)


def healthy() -> tuple[Gpu, ...]:
    """Eight cards as a busy box has them: one at its power cap, one held idle."""
    cards = [make_gpu(index) for index in range(8)]
    cards[0] = replaced(cards[0], clock_event_reasons=("sw-power-cap",), power_w=698.0)
    cards[6] = replaced(cards[6], memory_used_bytes=71 * G, idle_held_s=2520.0, utilization_percent=0, power_w=118.0)
    return tuple(cards)


def troubled() -> tuple[Gpu, ...]:
    """One card lost, one hot and slowed, one with a pending row remap, one with a narrow link."""
    cards = list(healthy())
    cards[1] = replaced(cards[1], temperature_c=91, clock_event_reasons=("hw-thermal-slowdown",), clock_sm_mhz=1065)
    cards[3] = lost_gpu(3)
    cards[4] = replaced(cards[4], remap_pending=True, ecc_uncorrected_volatile=2)
    cards[7] = replaced(cards[7], pcie_width=4)
    return tuple(cards)


def history(snapshot: Snapshot, samples: int = 150) -> History:
    """The five minutes before: training steps with a pause for each checkpoint, memory filling up."""
    past = History()
    for step in range(samples):
        dip = 0.12 if step % 38 < 3 else 1.0
        ripple = 0.93 + 0.07 * math.sin(step / 2.3) + 0.03 * math.sin(step * 1.7)
        filled = min(1.0, 0.35 + step / 60)
        gpus = tuple(
            replaced(
                gpu,
                utilization_percent=min(100, round((gpu.utilization_percent or 0) * dip * ripple)),
                memory_used_bytes=round((gpu.memory_used_bytes or 0) * filled),
                temperature_c=round((gpu.temperature_c or 0) * (0.86 + 0.14 * min(1.0, step / 70)) - 2 * (dip < 1)),
                power_w=(gpu.power_w or 0) * dip * ripple,
            )
            if gpu.status is Status.OK
            else gpu
            for gpu in snapshot.gpus
        )
        load = 0.55 + 0.35 * math.sin(step / 9) ** 2 + 0.1 * math.sin(step * 1.3)
        cpu = msgspec.structs.replace(snapshot.cpu, usage_percent=(snapshot.cpu.usage_percent or 0) * 1.4 * load)
        net = tuple(
            msgspec.structs.replace(
                each,
                receive_bytes_per_s=(each.receive_bytes_per_s or 0) * load * ripple,
                transmit_bytes_per_s=(each.transmit_bytes_per_s or 0) * dip * ripple,
            )
            for each in snapshot.network
        )
        moment = msgspec.structs.replace(snapshot, gpus=gpus, cpu=cpu, network=net)
        past.add(moment, NOW - (samples - step) * 2.0)
    return past


def hung() -> Snapshot:
    """The driver has not answered for 14 s: the values are the last ones."""
    why = "driver not answering for 14 s (GPU 2: nvmlDeviceGetPowerUsage)"
    stale = tuple(
        replaced(gpu, status=Status.TIMEOUT if gpu.index == 2 else Status.STALE, reason=why, age_s=14.0)
        for gpu in healthy()
    )
    driver = Driver(
        status=Status.TIMEOUT,
        reason=why,
        age_s=14.0,
        version="550.54.15",
        gpu_count=8,
        pci_count=8,
        cuda_version="12.4",
    )
    return make_snapshot(stale, driver=driver, processes=40)


@dataclass
class Shot:
    """One picture: what the box is like, how large the terminal, which keys were pressed."""

    name: str
    snapshot: Callable[[], Snapshot]
    size: tuple[int, int]
    keys: tuple[str, ...] = ()
    """`~TEXT` waits until that is on the screen."""
    theme: str = "terminal"
    colours: tuple[str, str] = DARK
    view: dict[str, Any] = field(default_factory=dict)


EDIT = (
    "3",
    "~certbot",
    "down",
    "down",
    "down",
    "down",
    "e",
    "~Next runs",
    "ctrl+u",
    *"0 4 * * *",
    "~Tue 2026-03-03 04:00",
)


def screens() -> Iterator[Shot]:
    """Health, Jobs, Logs and the form, each on a small and on a large terminal."""
    wanted = {
        "health": ("2", "~inference"),
        "jobs": ("3", "~certbot", "down", "down", "down"),
        "logs": ("4", "~took 254 s", *["down"] * 5),
        "job-edit": EDIT,
        "job-edit-diff": (*EDIT, "ctrl+s", "~@@"),
    }
    for name, keys in wanted.items():
        for size in ((80, 24), (200, 60)):
            line = "✗ gpu-metrics 13:59 exit 3  ✓ health-check 13:38  next gpu-metrics 14:04"
            box = lambda: make_snapshot(healthy(), processes=40)  # noqa: E731
            yield Shot(f"{name}-{size[0]}x{size[1]}", box, size, keys, view={"jobs_line": line})


SHOTS = (
    Shot("dashboard-80x24", lambda: make_snapshot(healthy(), processes=40), (80, 24)),
    Shot("dashboard-120x40", lambda: make_snapshot(healthy(), processes=40), (120, 40)),
    Shot("dashboard-200x60", lambda: make_snapshot(troubled(), processes=40), (200, 60)),
    Shot("gpu-lost-80x24", lambda: make_snapshot(troubled(), processes=40), (80, 24)),
    Shot(
        "gpu-detail-120x40",
        lambda: make_snapshot(troubled(), processes=40),
        (120, 40),
        ("tab", "down", "enter"),
    ),
    Shot("driver-hung-80x24", hung, (80, 24)),
    Shot("no-gpu-80x24", lambda: make_snapshot(0, cores=16, processes=40), (80, 24)),
    Shot("light-120x40", lambda: make_snapshot(healthy(), processes=40), (120, 40), theme="light", colours=LIGHT),
    Shot("ascii-80x24", lambda: make_snapshot(troubled(), processes=40), (80, 24), view={"graphs": "ascii"}),
    Shot("help-80x24", lambda: make_snapshot(healthy(), processes=40), (80, 24), ("?",)),
    Shot("process-80x24", lambda: make_snapshot(healthy(), processes=40), (80, 24), ("enter", "~program")),
    Shot("process-120x40", lambda: make_snapshot(healthy(), processes=40), (120, 40), ("enter", "~program")),
    Shot("signal-80x24", lambda: make_snapshot(healthy(), processes=40), (80, 24), ("K",)),
    *screens(),
)


async def until(is_true: Callable[[], Any], wait: Callable[[], Awaitable[Any]]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError("the app never came to show its snapshot")
        await wait()


async def take(shot: Shot) -> None:
    """Run the app headless at the size, press the keys, and save what the screen shows."""
    snapshot = shot.snapshot()
    memory = Memory()
    view = View(history=history(snapshot), **shot.view)
    session = Session(view, lambda taken: judge(taken, Limits(), memory), changes, at=time.monotonic())
    app = Dashboard(PipeSource(snapshot), session, theme=shot.theme, ask=Ask(command(shot)))
    async with app.run_test(size=shot.size) as pilot:
        await until(lambda: view.processes.cursor is not None, pilot.pause)
        for key in shot.keys:
            if key.startswith("~"):
                await until(lambda text=key[1:]: text in written(app), pilot.pause)  # type: ignore[misc]
            else:
                await pilot.press(key)
                await pilot.pause()
        await pilot.pause()
        (TARGET / f"{shot.name}.svg").write_text(app.export_screenshot(title=f"mltop {shot.size[0]}x{shot.size[1]}"))
        Picture(shot.colours).save(ansi(app), *shot.size, TARGET / f"{shot.name}.png")
        app.exit()


def command(shot: Shot) -> tuple[str, ...]:
    """What answers the screens in mltop's place."""
    folder = Path(tempfile.mkdtemp(prefix="mltop-pictures-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    scheduled.write(folder, AT)
    (folder / f"process-{TRAINER}.json").write_bytes(msgspec.json.encode(detail(TRAINER, NOW)))
    JobsScreen.now = JobForm.now = staticmethod(lambda: AT)
    return sys.executable, str(HERE.parent / "fakes" / "scripted_mltop.py"), str(folder)


def written(app: Dashboard) -> str:
    """The text on the screen."""
    return "\n".join(text_of(line) for pane in app.screen.query(LinePane) for line in pane.lines)


def ansi(app: Dashboard) -> str:
    """The screen as a terminal would be sent it."""
    width, height = app.size
    console = Console(
        width=width, height=height, file=io.StringIO(), force_terminal=True, color_system="truecolor", record=True,
        legacy_windows=False, no_color=False,
    )  # fmt: skip
    console.print(app.screen._compositor.render_update(full=True))
    return console.export_text(styles=True)


def main(names: list[str]) -> None:
    """Take the pictures named, or all."""
    TARGET.mkdir(exist_ok=True)
    for shot in SHOTS:
        if not names or shot.name in names:
            asyncio.run(take(shot))
            print(f"{shot.name}.svg .png")


if __name__ == "__main__":
    main(sys.argv[1:])
