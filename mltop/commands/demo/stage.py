"""Setting up the demo: its folder of config and logs, its sampler, and who answers its screens."""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from mltop.commands.dashboard import Box
from mltop.commands.demo import kept
from mltop.commands.demo.box import past
from mltop.commands.demo.sampler import DemoSampler
from mltop.sampling.local import LocalSource


def stage(interval_s: float) -> Box:
    """The demo's box. Its folder goes with its sampler, which sees any end of the dashboard."""
    folder = Path(tempfile.mkdtemp(prefix="mltop-demo-"))
    (folder / kept.CONFIG).write_text(kept.config_text())
    kept.write_logs(folder, datetime.now(UTC))

    return Box(
        LocalSource(interval_s, lambda: DemoSampler(folder)),
        ask=(sys.executable, "-P", "-m", "mltop.commands.demo.answer", str(folder)),
        history=past(time.time()),
    )
