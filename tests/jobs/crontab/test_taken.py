"""What cron takes of a system's file: each row is what a real cron of Debian's did with it (see tests/integration)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cron_lines import REFUSED, TAKEN

from mltop.jobs import foreign
from mltop.jobs.crontab.taken import is_debians, local_users, refused, refused_file, wrong_line

USERS = frozenset({b"root", b"daemon"})
GOOD = b"# a file\n\nA=1\n* * * * * root true\n"


@pytest.mark.parametrize("line", TAKEN)
def test_a_line_that_cron_takes(line: bytes) -> None:
    assert refused(line, USERS) is None
    assert wrong_line(GOOD + line, USERS) is None


@pytest.mark.parametrize(("line", "why"), REFUSED.items())
def test_a_line_that_stops_its_file(line: bytes, why: str) -> None:
    assert why in (refused(line, USERS) or "")
    assert wrong_line(GOOD + line, USERS) == (5, refused(line, USERS))


def test_a_user_is_unknown_only_where_all_are_known(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    for services, expected in (
        ("passwd: files systemd\n", frozenset({b"root"})),
        ("passwd:\tfiles [NOTFOUND=return] # ldap\n", frozenset({b"root"})),
        ("passwd: files ldap\n", None),
        ("passwd: files sss\ngroup: files\n", None),
    ):
        (tmp_path / "nsswitch.conf").write_text(services)
        assert local_users(tmp_path) == expected
    assert refused(b"* * * * * whoever true\n", None) is None


def test_whose_cron_it_is(tmp_path: Path) -> None:
    sbin, bin = tmp_path / "sbin", tmp_path / "bin"
    sbin.mkdir()
    bin.mkdir()
    assert is_debians(sbin)
    (bin / "crond").touch()
    assert not is_debians(sbin)
    (sbin / "cron").touch()
    assert is_debians(sbin)


@pytest.mark.parametrize(
    ("mode", "debians", "cronies"),
    [
        (0o644, None, None), (0o600, None, None), (0o755, None, "mode is 0755"),
        (0o664, "can write it", "can write it"),
        (0o646, "can write it", "can write it"),
    ],
)  # fmt: skip
def test_a_file_that_cron_does_not_trust(tmp_path: Path, mode: int, debians: str | None, cronies: str | None) -> None:
    path = tmp_path / "file"
    path.write_bytes(GOOD)
    path.chmod(mode)
    for is_debian, expected in ((True, debians), (False, cronies)):
        found = refused_file(path, owner=os.geteuid(), is_debian=is_debian)
        assert found is None if expected is None else expected in (found or "")
    assert refused_file(path, owner=os.geteuid() + 1, is_debian=True) == "it is not root's"


def test_a_second_link_is_not_trusted_and_a_symbolic_one_counts_by_where_it_leads(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(GOOD)
    path.chmod(0o644)
    link.symlink_to(path)
    assert refused_file(link, owner=os.geteuid(), is_debian=True) is None
    (tmp_path / "second").hardlink_to(path)
    assert refused_file(path, owner=os.geteuid(), is_debian=True) == "it has another hard link"
    path.chmod(0o666)
    assert refused_file(link, owner=os.geteuid(), is_debian=True) == "others than root can write it"


def _etc(folder: Path) -> Path:
    (folder / "cron.d").mkdir()
    for name in ("plain", "a.dot", "old~", "new.rpmnew", ".hidden"):
        (folder / "cron.d" / name).write_bytes(b"0 1 * * * root true\n*/0 * * * * root true\n")
        (folder / "cron.d" / name).chmod(0o644)
    return folder


def test_each_cron_has_its_own_names_and_its_own_way_with_a_bad_line(tmp_path: Path) -> None:
    debians, notes = foreign.system_crontabs(_etc(tmp_path), is_debian=True)
    assert [(one.job.id.rpartition("-")[0], one.job.state) for one in debians] == [("cron.d-plain", "not run")] * 2
    assert notes == [
        f'{tmp_path}/cron.d/plain:2: cron cannot read this line ("*/0" is no minute), and so runs nothing of the file'
    ]
    cronies, notes = foreign.system_crontabs(tmp_path, is_debian=False)
    assert {one.job.id.rpartition("-")[0] for one in cronies} == {"cron.d-a.dot", "cron.d-plain"}
    assert [bool(one.schedules) for one in cronies] == [True, False, True, False]
    assert notes == []


def test_a_file_that_others_can_write_is_shown_as_not_run(tmp_path: Path) -> None:
    path = _etc(tmp_path) / "cron.d" / "plain"
    path.write_bytes(b"0 1 * * * root true\n")
    path.chmod(0o666)
    (one,), notes = foreign.system_crontabs(tmp_path, is_debian=True)
    assert (one.job.state, one.schedules) == ("not run", ())
    assert one.job.description == "cron runs nothing of its file: others than root can write it"
    assert notes == [f"{path}: others than root can write it, so cron runs nothing of it"]
