"""Two processes that add fifty jobs each at the same time: a hundred are there (J11)."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobs_command import Mltop, add_at_once
from scheduler_box import Box

pytestmark = pytest.mark.integration


def test_two_processes_that_add_fifty_jobs_each_end_with_a_hundred(tmp_path: Path) -> None:
    add_at_once(Mltop(Box(tmp_path)), 50)
