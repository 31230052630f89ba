"""Events as lines of JSON: whole, bounded, and never waited for."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mltop.system import event_log


def events(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_event_has_its_kind_its_time_and_its_values(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    event_log.note(path, "run", {"job": "a", "reason": 'with\n"quotes" \udcff', "exit_code": 0})
    event_log.note(path, "verdict", {"state": "OK"})
    first, second = events(path)
    assert (first["schema"], first["event"], first["job"], first["exit_code"]) == ("mltop.event/1", "run", "a", 0)
    assert first["reason"] == 'with\n"quotes" ?'
    assert str(first["time"]).endswith("Z")
    assert second["event"] == "verdict"
    assert path.stat().st_mode & 0o777 & ~0o640 == 0


def test_a_long_event_is_cut_to_its_plain_values(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    event_log.note(path, "verdict", {"state": "OK", "results": ["x" * 100] * 2000, "words": "y" * 9999})
    (event,) = events(path)
    assert (event["cut"], event["state"], "results" in event, len(str(event["words"]))) == (True, "OK", False, 2000)


def test_a_full_file_is_renamed_and_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for number in range(30):
        event_log.note(path, "run", {"number": number}, max_bytes=1000)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["events.jsonl", "events.jsonl.1"]
    numbers = [event["number"] for event in (*events(tmp_path / "events.jsonl.1"), *events(path))]
    assert numbers == list(range(30 - len(numbers), 30))
    assert max(path.stat().st_size, (tmp_path / "events.jsonl.1").stat().st_size) <= 1000


def test_many_writers_lose_nothing_while_the_file_turns(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    code = (
        "import sys\nfrom pathlib import Path\nfrom mltop.system.event_log import note\n"
        f"for number in range(40): note(Path({str(path)!r}), 'run', {{'who': sys.argv[1], 'n': number}}, 20000)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(who)]) for who in range(4)]
    assert [writer.wait(30) for writer in writers] == [0] * 4
    kept = [path.with_name("events.jsonl.1"), path] if path.with_name("events.jsonl.1").exists() else [path]
    assert sum(len(events(one)) for one in kept) == 160


def test_what_cannot_be_written_at_once_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "_PATIENCE_S", 0.05)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="No such device"):
        event_log.note(tmp_path / "fifo", "run", {})
    with pytest.raises(FileNotFoundError):
        event_log.note(tmp_path / "no" / "such", "run", {})
    with pytest.raises(OSError, match="not a plain file"):
        event_log.note(Path("/dev/null"), "run", {})
    with (tmp_path / "held").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            event_log.note(tmp_path / "held", "run", {})
