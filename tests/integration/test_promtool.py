"""Prometheus's own tool on what `mltop --check -f prometheus` writes: a GPU box, a bare one, one in trouble."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import driver
import pytest

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "scenario", ["8xh100", "8xh100-sick", "8xh100-lost-at-start", "mig-a100", "4090", "garbage", None]
)
def test_promtool_has_nothing_to_say(fake_nvml: driver.FakeNvml, tmp_path: Path, scenario: str | None) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        (pytest.fail if os.environ.get("MLTOP_TESTS_SKIP_NOTHING") else pytest.skip)("no promtool: install prometheus")
    environment = {**os.environ, "MLTOP_KMSG": os.devnull, "MLTOP_STATE_DIR": str(tmp_path / "state")}
    if scenario is not None:
        fake_nvml.scenario(scenario)
        driver.make_sysfs(tmp_path / "sys", driver.DGX_BUS_IDS)
        environment |= {**fake_nvml.env, "MLTOP_SYSFS": str(tmp_path / "sys")}
    target = tmp_path / "mltop.prom"
    command = [sys.executable, "-m", "mltop", "--check", "-f", "prometheus", "-o", str(target)]
    for _ in range(2):  # the second knows the first
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, timeout=40, check=False)
        assert done.returncode in (0, 1, 2, 3)
        checked = subprocess.run(
            [promtool, "check", "metrics"], input=target.read_bytes(), capture_output=True, timeout=30, check=False
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    assert target.stat().st_mode & 0o777 == 0o644
    series = [line.rpartition(" ")[0] for line in target.read_text().splitlines() if not line.startswith("#")]
    assert len(set(series)) == len(series)  # promtool does not see a series that is there twice
    assert any(line.startswith("mltop_gpu_info") for line in series) == (scenario is not None)
