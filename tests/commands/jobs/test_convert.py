"""`mltop jobs convert` where a manager is missing, and what it refuses (J24); with a real one: integration."""

from __future__ import annotations

import shutil

import pytest
from jobs_command import CONFIG, MINE, Here

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("hello", "--to", "systemd"), 1, "hello stays where it is: no systemd runs on this box"),
        (("other", "--to", "cron"), 1, "no schedule"),
        (("nosuch", "--to", "cron"), 1, "no job 'nosuch'"),
        (("hello", "--to", "at"), 2, "invalid choice"),
        (("hello",), 2, "required"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(here: Here, words: tuple[str, ...], code: int, said: str) -> None:
    here("convert", *words, code=code)
    assert said in here.said
    assert (here.config.read_text(), here.box.tab.read_bytes()) == (CONFIG, MINE)
    assert not here.box.state.exists()


@pytest.mark.parametrize(
    ("to", "schedule", "said"),
    [
        ("systemd", "0 1 * * *", "no systemd runs on this box"),
        ("systemd", "@reboot", "OnCalendar has no @reboot"),
        ("systemd", "5-1 1 * * *", "runs backwards"),
        ("cron", "0 1 * * *", "is cron's already: mltop jobs adopt"),
    ],
)
def test_a_line_of_somebodys_stays_where_it_cannot_go(here: Here, to: str, schedule: str, said: str) -> None:
    here.box.tab.write_text(f"{schedule} true\n")
    id = here.json("list")["jobs"][2]["id"]
    here("convert", id, "--to", to, code=1)
    assert said in here.said
    assert len(here.said.splitlines()) == 1
    assert (here.config.read_text(), here.box.tab.read_text()) == (CONFIG, f"{schedule} true\n")
    here("convert", "hello", "--to", to, "--as", "other-name", code=2)
    assert "has its name already" in here.said


def test_to_where_it_is_already_needs_no_scheduler(here: Here) -> None:
    here("apply")
    before = here.box.tab.read_bytes()
    assert here("convert", "hello", "--to", "cron") == "nothing to do\n"
    assert (here.config.read_text(), here.box.tab.read_bytes()) == (CONFIG, before)


def test_a_job_of_the_clock_goes_to_cron_as_one_operation(here: Here) -> None:
    text = CONFIG.replace('"0 2 * * *"', '["Mon..Fri 03:30", "Sat,Sun 05:00"]').replace('backend = "cron"\n', "")
    here.config.write_text(text)
    here("convert", "hello", "--to", "cron")
    assert [line[:11] for line in here.box.tab.read_text().splitlines() if " run hello " in line] == [
        "30 3 * * 1-", "0 5 * * 0,6",
    ]  # fmt: skip
    assert 'backend = "cron"' in here.config.read_text()
    here("undo")
    assert (here.config.read_text(), here.box.tab.read_bytes()) == (text, MINE)


def test_seconds_are_refused_towards_cron(here: Here) -> None:
    here.config.write_text(CONFIG.replace('"0 2 * * *"', '"*-*-* *:*:30"').replace('backend = "cron"\n', ""))
    here("convert", "hello", "--to", "cron", code=1)
    assert "seconds" in here.said
    assert here.box.tab.read_bytes() == MINE
