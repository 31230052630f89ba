"""The safe edit of a crontab, with a crontab program that fails in every way (J8, J11 to J14)."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from scheduler_box import CRONTAB, Box

from mltop.jobs import program
from mltop.jobs.crontab import own as module
from mltop.jobs.crontab.own import ChangedError, Crontab, CrontabError
from mltop.jobs.crontab.text import parts, with_block

MINE = b"MAILTO=me\n# a=b\n0 1 * * * caf\xe9\n"


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


@pytest.fixture
def crontab(box: Box) -> Crontab:
    return Crontab(box.state, box.environment)


def backups(box: Box) -> list[Path]:
    return sorted((box.state / "backups").glob("crontab-*.bak"))


def test_looking_creates_nothing(box: Box, crontab: Crontab) -> None:
    assert crontab.read() == b""
    box.tab.write_bytes(MINE)
    assert crontab.read() == MINE
    assert not box.state.exists()


def test_a_change_is_kept_installed_and_read_back(box: Box, crontab: Crontab) -> None:
    box.tab.write_bytes(MINE)
    written = crontab.write(lambda data: with_block(data, [b"x"]), seen=MINE)
    assert box.tab.read_bytes() == written.after == with_block(MINE, [b"x"])
    assert written.before == MINE
    assert written.backup is not None
    assert written.backup.read_bytes() == MINE
    assert stat.S_IMODE(written.backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(written.backup.parent.stat().st_mode) == 0o700
    assert [path for path in (box.state / "backups").iterdir() if path.suffix != ".bak"] == []


def test_a_long_way_to_the_state_is_not_what_crontab_is_told(box: Box) -> None:
    state = box.state / ("x" * 120)
    Crontab(state, box.environment).write(lambda data: b"0 1 * * * a\n")
    assert box.tab.read_bytes() == b"0 1 * * * a\n"


def test_no_change_writes_nothing(box: Box, crontab: Crontab) -> None:
    box.tab.write_bytes(MINE)
    box.program("crontab", 'case "$1" in -l) cat "$TAB" ;; *) exit 7 ;; esac')
    assert crontab.write(lambda data: data).backup is None
    assert backups(box) == []


def test_a_missing_final_line_feed_is_added_for_cron_takes_none_without(box: Box, crontab: Crontab) -> None:
    box.tab.write_bytes(b"0 1 * * * a")
    assert crontab.write(lambda data: data.replace(b"a", b"b")).after == b"0 1 * * * b\n"


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "exit 0 >&2; ",
        'echo "You (me) are not allowed to use this program (crontab)" >&2; exit 1',
        'cat "$TAB"; echo "warning: something" >&2; exit 0',
        'cat "$TAB"; exit 1',
        'cat "$TAB"; echo "no crontab for tester" >&2; exit 1',
        'echo "no crontab for tester" >&2; exit 2',
        "kill -9 $$",
    ],
)
def test_a_doubtful_answer_is_never_an_empty_crontab(box: Box, crontab: Crontab, script: str) -> None:
    box.tab.write_bytes(MINE)
    box.program("crontab", script + '\n[ "$1" = -l ] || rm "$TAB"' if script.startswith("exit 0") else script)
    if script.startswith("exit 0"):  # silent and well: there is nothing in it
        assert crontab.read() == b""
        return
    with pytest.raises(CrontabError, match="crontab -l"):
        crontab.read()
    with pytest.raises(CrontabError, match="crontab -l"):
        crontab.write(lambda data: b"0 2 * * * x\n")
    assert box.tab.read_bytes() == MINE


def test_a_crontab_program_that_hangs_is_given_up(box: Box, crontab: Crontab, monkeypatch: pytest.MonkeyPatch) -> None:
    box.program("crontab", "exec sleep 60")
    monkeypatch.setattr(program, "DEADLINE_S", 0.2)
    with pytest.raises(CrontabError, match="does not answer within"):
        crontab.read()


def test_without_a_crontab_program_it_says_so(box: Box, crontab: Crontab, monkeypatch: pytest.MonkeyPatch) -> None:
    (box.bin / "crontab").unlink()
    monkeypatch.setattr(program, "_PATH", ())
    environment = box.environment | {"PATH": str(box.bin)}
    with pytest.raises(CrontabError, match="no crontab on this box"):
        Crontab(box.state, environment).read()


def test_what_was_looked_at_has_to_be_there_still(box: Box, crontab: Crontab) -> None:
    box.tab.write_bytes(MINE)
    with pytest.raises(ChangedError, match="changed since you looked"):
        crontab.write(lambda data: b"", seen=b"# older\n")
    assert box.tab.read_bytes() == MINE


def test_a_change_between_reading_and_writing_is_not_overwritten(box: Box, crontab: Crontab) -> None:
    box.tab.write_bytes(MINE)

    def meanwhile(data: bytes) -> bytes:
        box.tab.write_bytes(b"# somebody was faster\n")
        return b"0 2 * * * mine\n"

    with pytest.raises(ChangedError, match="something else"):
        crontab.write(meanwhile)
    assert box.tab.read_bytes() == b"# somebody was faster\n"


def test_what_cron_refuses_changes_nothing_and_is_said_without_its_line_numbers(box: Box, crontab: Crontab) -> None:
    box.tab.write_bytes(MINE)
    refusal = '*) echo \'"/tmp/x":0: bad minute\' >&2; echo "errors in crontab file, can\'t install." >&2; exit 1 ;;'
    box.program("crontab", f'case "$1" in -l) cat "$TAB" ;; {refusal} esac')
    with pytest.raises(CrontabError, match=r"did not take it: bad minute; errors in .*; nothing was changed"):
        crontab.write(lambda data: b"99 * * * * x\n")
    assert box.tab.read_bytes() == MINE


@pytest.mark.parametrize(
    "damage",
    [
        '*) [ -e "$TAB.done" ] && cp "$1" "$TAB" || { touch "$TAB.done"; head -c 9 "$1" > "$TAB"; } ;;',
        '*) [ -e "$TAB.done" ] && cp "$1" "$TAB" || { touch "$TAB.done"; : > "$TAB"; echo broken >&2; exit 1; } ;;',
        '*) [ -e "$TAB.done" ] && cp "$1" "$TAB" || { touch "$TAB.done"; echo "# more" | cat "$1" - > "$TAB"; } ;;',
    ],
)
def test_a_damaged_crontab_is_put_back(box: Box, crontab: Crontab, damage: str) -> None:
    box.tab.write_bytes(MINE)
    box.program("crontab", f'case "$1" in -l) cat "$TAB" ;; {damage} esac')
    with pytest.raises(CrontabError, match="put back as it was"):
        crontab.write(lambda data: with_block(data, [b"0 2 * * * x"]))
    assert box.tab.read_bytes() == MINE


def test_one_that_cannot_be_put_back_says_where_the_old_one_is(box: Box, crontab: Crontab) -> None:
    box.tab.write_bytes(MINE)
    box.program("crontab", 'case "$1" in -l) cat "$TAB" ;; *) : > "$TAB" ;; esac')
    with pytest.raises(CrontabError, match=r"could not be put back: the old one is in (.*) \(crontab FILE\)") as error:
        crontab.write(lambda data: b"0 2 * * * x\n")
    assert [kept.read_bytes() for kept in backups(box)] == [MINE, b""], "the old one, and what was found"
    assert str(backups(box)[0]) in str(error.value)


def test_one_that_fails_and_did_it_all_the_same_is_put_back(box: Box, crontab: Crontab) -> None:
    """What is read counts, not the code that it ends with."""
    box.tab.write_bytes(MINE)
    box.program("crontab", 'case "$1" in -l) cat "$TAB" ;; *) cp "$1" "$TAB"; exit 3 ;; esac')
    with pytest.raises(CrontabError, match="exit code 3: the crontab was put back as it was"):
        crontab.write(lambda data: b"0 2 * * * x\n")
    assert box.tab.read_bytes() == MINE


def test_fifty_backups_are_kept(box: Box, crontab: Crontab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    for number in range(5):
        crontab.write(lambda data, number=number: data + b"# %d\n" % number)
    assert [path.read_bytes().count(b"\n") for path in backups(box)] == [2, 3, 4]


def test_what_a_killed_one_left_goes_with_the_next_change(box: Box, crontab: Crontab) -> None:
    crontab.write(lambda data: data + b"A=1\n")
    torn, others = (box.state / "backups" / f"crontab-{name}.new-abcd" for name in (os.geteuid(), "other"))
    torn.touch()
    others.touch()
    crontab.write(lambda data: data + b"B=1\n")
    assert (torn.exists(), others.exists()) == (False, True)


def test_a_state_that_cannot_be_written_changes_nothing(box: Box, crontab: Crontab) -> None:
    box.tab.write_bytes(MINE)
    box.state.write_text("a file where a folder has to be")
    with pytest.raises(CrontabError, match="state"):
        crontab.write(lambda data: b"")
    assert box.tab.read_bytes() == MINE


def _add(state: Path, environment: dict[str, str], name: str, count: int) -> None:
    crontab = Crontab(state, environment)
    for number in range(count):
        crontab.write(
            lambda data, n=number: with_block(
                data, [*(parts(data).block or ()), b"0 1 * * * %s-%d" % (name.encode(), n)]
            )
        )


def test_two_that_add_at_the_same_time_both_do(box: Box) -> None:
    box.tab.write_bytes(MINE)
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_add, args=(box.state, box.environment, name, 25)) for name in ("one", "two")]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert [one.exitcode for one in both] == [0, 0]
    data = box.tab.read_bytes()
    assert data.startswith(MINE)
    assert len(parts(data).block or ()) == len(set(parts(data).block or ())) == 50


def test_nothing_of_crontabs_own_comes_through_but_reading_and_files(box: Box, crontab: Crontab) -> None:
    calls = box.folder / "calls"
    box.program("crontab", f'echo "$# $1" >> {calls}; [ -t 0 ] && exit 8; read x && exit 9; {CRONTAB}')
    crontab.write(lambda data: b"0 1 * * * a\n")
    words = [line.split()[1] for line in calls.read_text().splitlines()]
    assert [word if word == "-l" else "FILE" for word in words] == ["-l", "-l", "FILE", "-l"]
    assert all(word.startswith("crontab-") for word in words if word != "-l")  # the file's name, never "-"
