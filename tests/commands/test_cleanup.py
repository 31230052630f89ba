"""`mltop cleanup`: one code for the plan and the act, by the wrapper only where something is removed."""

from __future__ import annotations

from typing import Any

import pytest

from mltop.model.job import RunState

Box = Any


@pytest.fixture
def box(task_box: Box) -> Box:
    folder = task_box.folder / "scratch" / "cache"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "old").write_bytes(b"x" * 10_000)
    (folder / "keep.pt").write_bytes(b"x" * 100)
    _write(task_box, f'paths = ["{folder}", "{task_box.folder}/scratch/none"]\nexclude = ["*.pt"]')
    return task_box


def _write(box: Box, keys: str) -> None:
    box.write(f'[jobs.t]\nkind = "cleanup"\nolder_than = "0s"\n{keys}')


def test_a_dry_run_tells_and_a_run_does(box: Box) -> None:
    old = box.folder / "scratch/cache/a/old"
    code, out, _ = box.run("cleanup", "t", "--dry-run")
    assert code == 0
    assert "would remove 1 file, 1 folder" in out
    assert str(old) in out
    assert old.exists()
    assert not box.state.exists(), "a dry run has no history"
    code, made = box.document("cleanup", "t")
    assert code == 0
    assert made["schema"] == "mltop.cleanup/1"
    cleaned, missing = made["report"]["paths"]
    assert cleaned["bytes_before"] > cleaned["bytes_after"]
    assert [each["path"] for each in cleaned["removed"]] == [str(old), str(old.parent)]
    assert cleaned["kept"] == {"excluded": 1}
    assert missing["is_missing"]
    assert (box.folder / "scratch/cache/keep.pt").exists()
    assert box.runs()[0].state is RunState.OK


def test_a_refused_folder_is_1_and_stops_no_other(box: Box) -> None:
    folder = box.folder / "scratch/cache"
    _write(box, f'paths = ["/usr/lib", "{folder}"]')
    code, out, _ = box.run("cleanup", "t")
    assert code == 1
    assert "/usr/lib: refused" in out
    assert not (folder / "a").exists()


def test_young_files_stay(box: Box) -> None:
    box.write(f'[jobs.t]\nkind = "cleanup"\npaths = ["{box.folder}/scratch/cache"]')
    code, out, _ = box.run("cleanup", "t")
    assert code == 0
    assert "kept 2 young" in out


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_an_unknown_profile_is_2_before_anything_goes(box: Box, dry: tuple[str, ...]) -> None:
    _write(box, f'paths = ["{box.folder}/scratch/cache"]\nprofiles = ["frob"]')
    code, _, _ = box.run("cleanup", "t", *dry)
    assert code == 2
    assert (box.folder / "scratch/cache/a/old").exists()


def test_profiles_are_folders_by_name(box: Box) -> None:
    hub = box.folder / ".cache/torch/hub"
    hub.mkdir(parents=True)
    (hub / "x.pth").write_bytes(b"x")
    _write(box, 'profiles = ["torch"]')
    assert box.code("cleanup", "t") == 0
    assert list((box.folder / ".cache/torch").iterdir()) == []


def test_pips_cache_goes_by_pip(box: Box) -> None:
    cache = box.folder / "pip-cache"
    (cache / "http-v2" / "a").mkdir(parents=True)
    (cache / "http-v2" / "a" / "body").write_bytes(b"x" * 5000)
    (cache / "notes").write_text("mine")
    pip = box.folder / "bin" / "pip3"
    pip.parent.mkdir()
    pip.write_text(
        f"#!/bin/sh\nfor word; do last=$word; done\n"
        f'case $last in dir) echo "{cache}";; purge) rm -r "{cache}/http-v2";; esac\n'
    )
    pip.chmod(0o755)
    box.environment["PATH"] = f"{pip.parent}:/usr/bin:/bin"
    _write(box, 'profiles = ["pip"]')
    code, planned = box.document("cleanup", "t", "--dry-run")
    assert code == 0
    assert (cache / "http-v2").exists()
    code, done = box.document("cleanup", "t")
    assert code == 0
    for made in (planned, done):
        assert made["report"]["paths"][0]["files_removed"] == 1
        assert made["report"]["paths"][0]["kept"] == {"not pip's to remove": 1}
    assert (cache / "notes").exists()


@pytest.mark.parametrize("words", [(), ("nosuch",), ("t", "more")])
def test_wrong_usage_is_2(box: Box, words: tuple[str, ...]) -> None:
    code, out, err = box.run("cleanup", *words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1


def test_json_is_a_document_on_failure_too(box: Box) -> None:
    code, made = box.document("cleanup", "nosuch")
    assert (code, made["schema"], made["report"]) == (2, "mltop.cleanup/1", None)
    assert made["errors"]
