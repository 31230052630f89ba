"""A box in UTC, whatever the zone of the one that runs the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltop.jobs.schedule import schedule


@pytest.fixture(autouse=True)
def box_in_utc(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Schedules are in the zone that /etc/localtime names (`local_zone`)."""
    link: Path = tmp_path_factory.mktemp("etc") / "localtime"
    link.symlink_to("/usr/share/zoneinfo/Etc/UTC")
    monkeypatch.setattr(schedule, "_LOCALTIME", link)
