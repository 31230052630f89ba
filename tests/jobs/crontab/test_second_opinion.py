"""mltop's own lines in the eyes of another reader of crontabs."""

from __future__ import annotations

import pytest

from mltop.jobs.crontab.line import Call, catch_up, line
from mltop.jobs.crontab.second_opinion import misread

CALL = Call("/usr/local/bin/mltop", "/srv/a b.toml".replace(" ", "-"), "/var/lib/x")


@pytest.mark.parametrize(
    "schedule",
    ["0 2 * * *", "*/5 * * * *", "@daily", "@reboot", "0 0 1-31/2 * 0", "0~59 * * * *", "15 3 * jan-mar fri"],
)
def test_what_mltop_writes_is_read_as_it_is_meant(schedule: str) -> None:
    assert misread([line(schedule, CALL.argv("models-backup")), *catch_up(CALL)]) == []


def test_a_command_that_would_be_cut_is_found() -> None:
    written = line("0 2 * * *", CALL.argv("models-backup"))
    cut = written.replace(b"--config", b"# --config")
    assert misread([cut]) == [cut]


def test_the_lines_of_others_are_not_looked_at() -> None:
    assert misread([b"0 2 * * * echo # = x\n", b"MAILTO=ops\n", b"# mltop:off 0 2 * * * x\n"]) == []
