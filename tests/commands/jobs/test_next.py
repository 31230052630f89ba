"""`mltop jobs next`: what runs next on the box, own jobs and foreign entries in one order of time."""

from __future__ import annotations

import re

from jobs_command import Here

CROWDED = """\
version = 1
[jobs.often]
kind = "command"
command = "true"
schedule = "*/10 * * * *"
backend = "cron"
[jobs.nightly]
kind = "command"
command = "true"
schedule = ["30 3 * * *", "30 15 * * *"]
backend = "cron"
[jobs.off]
kind = "command"
command = "true"
schedule = "* * * * *"
enabled = false
backend = "cron"
[jobs.by-hand]
kind = "command"
command = "true"
"""
FOREIGN = b"0 1 * * * /usr/bin/report\n"


def test_all_of_the_box_in_one_order_of_time(here: Here) -> None:
    here.config.write_text(CROWDED)
    here.box.tab.write_bytes(FOREIGN)
    found = here.json("next", "-n", "200")
    times = [slot["at"] for slot in found["upcoming"]]
    assert times == sorted(times)
    assert len(times) == 200
    ours = [slot for slot in found["upcoming"] if slot["scope"] == "user"]  # the box has a crontab of its own
    assert {slot["job"].split("-")[0] for slot in ours} == {"often", "nightly", "crontab"}
    assert {slot["origin"] for slot in ours} == {"mltop", "crontab"}
    by_id = {job["id"]: job["next_runs"] for job in found["jobs"]}
    assert [job["next_runs"][0] for job in found["jobs"]] == sorted(runs[0] for runs in by_id.values())
    assert sorted(time for runs in by_id.values() for time in runs) == times
    assert found["schema"] == "mltop.jobs/1"
    assert found["errors"] == []


def test_few_of_each_are_enough_for_the_first_of_all(here: Here) -> None:
    """The same as of as many of each, though some run often and some seldom."""
    here.config.write_text(CROWDED)
    all_of_them = here.json("next", "-n", "300")["upcoming"]
    for number in (1, 9, 40, 100):
        found = here.json("next", "-n", str(number))["upcoming"]
        assert found == [slot for slot in all_of_them if slot["at"] >= found[0]["at"]][:number]  # time goes on


def test_as_many_lines_as_asked_for_with_zone_distance_and_place(here: Here) -> None:
    here.config.write_text(CROWDED)
    head, *lines = here("next", "-n", "3").splitlines()
    assert head.split() == ["WHEN", "IN", "NAME", "SOURCE", "COMMAND"]
    assert len(lines) == 3
    slots = here.json("next", "-n", "3")["upcoming"]
    assert [line.split(")")[1].split()[2] for line in lines] == [slot["job"] for slot in slots]
    assert all(re.match(r"\w{3} \d{4}-\d\d-\d\d \d\d:\d\d \S+ \([+-]\d\d:\d\d\)  ", line) for line in lines)
    assert len(here("next").splitlines()) == 11


def test_a_job_that_was_never_applied_is_said_to_run_nowhere(here: Here) -> None:
    here.config.write_text(
        here.config.read_text().replace("0 2 * * *", "* * * * *")
    )  # among the next at any time of day
    said = "not in the scheduler: mltop jobs apply"
    assert {slot["note"] for slot in here.json("next")["upcoming"] if slot["job"] == "hello"} == {said}
    assert said in here("next")
    here("apply")
    assert {slot["note"] for slot in here.json("next")["upcoming"]} == {None}


def test_what_runs_by_hand_only_has_no_next_run(here: Here) -> None:
    here.config.write_text('version = 1\n[jobs.a]\nkind = "command"\ncommand = "true"\n')
    here.box.tab.write_bytes(b"")
    assert [slot for slot in here.json("next")["upcoming"] if slot["scope"] == "user"] == []


def test_a_faulty_config_is_told_as_far_as_it_goes(here: Here) -> None:
    here.config.write_text(CROWDED + '[jobs.broken]\nkind = "nonsense"\n')
    assert " often " in here("next", code=2)
    assert "jobs.broken" in here.said
    assert here.json("next", code=2)["errors"]


def test_show_and_plan_tell_how_a_job_is_tried_again(here: Here) -> None:
    """J35: the waits double, and are those that the wrapper keeps to."""
    here.config.write_text(
        'version = 1\n[jobs.a]\nkind = "command"\ncommand = "true"\nschedule = "@daily"\nbackend = "cron"\n'
        'retries = 3\nretry_wait = "1m"\nretry_wait_max = "2m"\n'
    )
    said = "3: after 1 min, then 2 min each"
    assert f"retries      {said}" in here("show", "a").splitlines()
    assert f"missing    a (cron), retries {said}" in here("plan").splitlines()
    assert here.json("plan")["steps"][0]["retry_waits_s"] == [60.0, 120.0, 120.0]
