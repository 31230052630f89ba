"""Seventy nasty crontabs, and whatever hypothesis makes, through every edit and back (J9, J10, J23)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasty_crontabs import BEGIN, CORPUS, END
from scheduler_box import Box, command

from mltop.jobs import scheduler
from mltop.jobs.crontab.adopted import adopted, restored
from mltop.jobs.crontab.line import Call, line
from mltop.jobs.crontab.text import BlockFault, Entry, edited, ended, entries, lines, parts, toggled, with_block
from mltop.jobs.plan import plan as planning
from mltop.jobs.plan.apply import apply
from mltop.jobs.plan.plan import Installed, plan
from mltop.jobs.systemd import place

OWN = line("0 2 * * *", Call("/opt/mltop", "/home/tester/mltop.toml").argv("own"))


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    monkeypatch.setattr(scheduler, "_BOOTED", tmp_path / "not-booted")
    monkeypatch.setattr(planning, "CRON_D", tmp_path / "cron.d" / "mltop")
    monkeypatch.setattr(place, "SYSTEM_UNITS", tmp_path / "units")
    return Box(tmp_path)


def test_there_are_enough() -> None:
    assert len(CORPUS) >= 60
    assert len(set(CORPUS.values())) == len(CORPUS)


@pytest.mark.parametrize("name", CORPUS)
def test_adding_and_removing_a_job_gives_the_bytes_back(box: Box, name: str) -> None:
    data = CORPUS[name]
    box.tab.write_bytes(data)
    site = box.site()
    apply([command("own", "0 2 * * *"), command("late", "@daily", persistent=True)], site)
    during = box.tab.read_bytes()
    assert during.count(b" run own ") == 1
    assert {ended(one) for one in lines(data)} <= set(lines(during)), "no line is lost meanwhile"
    apply([command("own", "30 4 * * 1-5")], site)
    apply([], site)
    assert box.tab.read_bytes() == ended(data)


@pytest.mark.parametrize("name", CORPUS)
def test_every_foreign_line_is_paused_and_resumed_alone(name: str) -> None:
    data = CORPUS[name]
    for entry in entries(data, "crontab")[:8]:
        off = toggled(data, entry)
        assert [pair for pair in zip(lines(data), lines(off), strict=True) if pair[0] != pair[1]] == [
            (entry.raw, toggled(entry.raw, _alone(entry.raw)))
        ]
        (again,) = [one for one in entries(off, "crontab") if one.number == entry.number]
        assert (again.schedule, again.command, again.is_enabled) == (
            entry.schedule, entry.command, not entry.is_enabled,
        )  # fmt: skip
        assert toggled(off, again) == data


def _alone(raw: bytes) -> Entry:
    return entries(raw, "crontab")[0]


@pytest.mark.parametrize("name", CORPUS)
def test_every_foreign_line_is_adopted_and_given_back_alone(name: str) -> None:
    data = CORPUS[name]
    for entry in entries(data, "crontab")[:8]:
        taken = adopted(data, entry, "own")
        assert lines(taken)[entry.number - 1] == b"# mltop:adopted:own " + entry.raw
        assert [one.number for one in entries(taken, "crontab")] == [
            one.number for one in entries(data, "crontab") if one.number != entry.number
        ]
        assert restored(taken, "own") == data
        assert restored(taken, "ow") == taken


@pytest.mark.parametrize("name", CORPUS)
def test_an_edited_line_changes_in_its_schedule_alone(name: str) -> None:
    data = CORPUS[name]
    for entry in entries(data, "crontab")[:8]:
        after = edited(data, entry, "7 7 7 7 7")
        assert after.replace(b"7 7 7 7 7", entry.schedule, 1) == data or data.count(b"7 7 7 7 7")


LINES = st.lists(
    st.one_of(
        st.sampled_from([one for data in list(CORPUS.values())[:-1] for one in lines(data)]),
        st.binary(max_size=40).filter(lambda raw: b"\n" not in raw).map(lambda raw: raw + b"\n"),
    ),
    max_size=12,
)


@settings(max_examples=250, deadline=None)
@given(made=LINES, has_end=st.booleans())
def test_whatever_is_in_it_the_block_comes_and_goes(made: list[bytes], has_end: bool) -> None:
    data = b"".join(made) if has_end else b"".join(made).removesuffix(b"\n")
    try:
        found = parts(data)
    except BlockFault:
        with pytest.raises(BlockFault):
            with_block(data, [OWN])
        return
    block = list(found.block or ())
    during = with_block(data, [*block, OWN])
    assert parts(during).block == (*block, OWN)
    back = with_block(during, block)
    assert back == (ended(found.before) + found.after if found.block is None else data if block else back)
    if found.block is not None and not block:
        assert back == found.before + found.after
    for entry in entries(data, "crontab"):
        assert toggled(toggled(data, entry), _at(toggled(data, entry), entry.number)) == data
        assert restored(adopted(data, entry, "zz"), "zz") == data


def _at(data: bytes, number: int) -> Entry:
    return next(one for one in entries(data, "crontab") if one.number == number)


@settings(max_examples=60, deadline=None)
@given(made=LINES)
def test_a_plan_changes_nothing_outside_its_block(tmp_path_factory: pytest.TempPathFactory, made: list[bytes]) -> None:
    data = ended(b"".join(made))
    try:
        found = parts(data)
    except BlockFault:
        return
    site = Box(tmp_path_factory.mktemp("box")).site(is_root=False)
    have = Installed(crontab=data, crontab_parts=found)
    (change,) = plan([command("own", "0 2 * * *")], site, have=have).changes
    assert change.after is not None
    after = parts(change.after)
    assert (after.before, after.after) == (found.before, found.after)


def test_half_a_block_is_refused_wherever_it_stands() -> None:
    for data in (BEGIN, END, BEGIN + b"\n" + BEGIN, END + b"\n" + BEGIN, b"x\n" + BEGIN + b"\n" + END + b"\n" + END):
        with pytest.raises(BlockFault, match="not whole"):
            with_block(data, [OWN])
