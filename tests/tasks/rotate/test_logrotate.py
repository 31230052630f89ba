"""The rules as logrotate's config, and what counts as logrotate's yes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mltop.tasks.outcome import EngineError, UsageError
from mltop.tasks.rotate.logrotate import faults_of, render
from mltop.tasks.rotate.rule import RotateRule


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.log").write_text("x")
    return folder


def _directives(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"size_bytes": 1 << 20}, ["size 1048576"]),
        ({"age_s": 86400.0}, ["daily"]),
        ({"age_s": 7 * 86400.0, "size_bytes": 5}, ["weekly", "maxsize 5"]),
        ({"age_s": 1800.0}, ["# mltop rotates every 1800 s", "hourly"]),
        ({"age_s": 2 * 86400.0}, ["# mltop rotates every 172800 s", "daily"]),
    ],
)
def test_the_triggers(logs: Path, rule: dict[str, float], expected: list[str]) -> None:
    text = render({"r": [RotateRule(paths=(f"{logs}/*.log",), **rule)]})  # type: ignore[arg-type]
    assert _directives(text)[: len(expected)] == expected


def test_all_of_a_rule_is_in_it(logs: Path) -> None:
    rule = RotateRule(
        paths=(f"{logs}/*.log",),
        age_s=86400,
        keep=4,
        max_bytes=9,
        mode="copytruncate",
        compression="gzip",
        after=("kill", "-HUP", "it's"),
    )
    found = _directives(render({"r": [rule]}))
    for each in ("rotate 4", "copytruncate", "compresscmd gzip", "compressext .gz", "missingok", "notifempty"):
        assert each in found
    assert found[-3:] == ["postrotate", "kill -HUP 'it'\"'\"'s'", "endscript"]
    assert any("9 bytes" in each for each in found if each.startswith("#")), "what logrotate cannot do is said"


def test_a_folder_that_others_write_to_names_who_rotates(logs: Path) -> None:
    rule = RotateRule(paths=(f"{logs}/*.log",), age_s=86400)
    assert not [each for each in _directives(render({"r": [rule]})) if each.startswith("su ")]
    logs.chmod(0o777)
    assert [each for each in _directives(render({"r": [rule]})) if each.startswith("su ")]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\x1bb"])
def test_a_path_that_would_be_read_as_something_else_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot stand in"):
        render({"r": [RotateRule(paths=(f"/x/{name}.log",), age_s=86400)]})


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "logrotate"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


def test_only_an_error_free_run_that_looked_at_every_log_is_good(logs: Path, fake: Path) -> None:
    text = render({"r": [RotateRule(paths=(f"{logs}/*.log",), age_s=86400)]})
    fake.write_text(f'#!/bin/sh\necho "considering log {logs}/a.log" >&2\n')
    assert faults_of(text) == []
    fake.write_text("#!/bin/sh\necho 'error: Ignoring x because it is writable' >&2\n")
    assert faults_of(text) == ["error: Ignoring x because it is writable", f"{logs}/a.log is not considered"]
    fake.write_text(f'#!/bin/sh\necho "considering log {logs}/a.log" >&2\nexit 1\n')
    assert faults_of(text) == ["exit code 1"]


def test_without_logrotate_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if any(Path(folder, "logrotate").exists() for folder in ("/usr/sbin", "/sbin")):
        pytest.skip("this box has logrotate")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="not on this box"):
        faults_of("")
