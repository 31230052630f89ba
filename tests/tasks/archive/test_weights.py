from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mltop.tasks.archive.record import State
from mltop.tasks.archive.weights import damage


def _safetensors(path: Path, missing: int = 0, extra: int = 0) -> None:
    header = json.dumps({"__metadata__": {"a": "b"}, "w": {"dtype": "BF16", "shape": [50], "data_offsets": [0, 100]}})
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(100 - missing + extra))


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    _safetensors(path)
    assert damage(str(path)) is None
    _safetensors(path, extra=7)
    assert damage(str(path)) is None
    _safetensors(path, missing=1)
    assert "cut short" in (damage(str(path)) or "")
    path.write_bytes(path.read_bytes()[:20])
    assert "cut short" in (damage(str(path)) or "")
    path.write_bytes(b"x")
    assert damage(str(path))
    path.write_bytes(struct.pack("<Q", 2) + b"[]")
    assert damage(str(path))


def test_zip_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data.pkl", b"x" * 1000)
    assert damage(str(path)) is None
    path.write_bytes(path.read_bytes()[:-60])
    assert "cut short" in (damage(str(path)) or "")
    path.write_bytes(b"\x80\x02 an old pickle")
    assert damage(str(path)) is None


def test_what_is_not_known_is_not_judged(tmp_path: Path) -> None:
    assert damage(str(tmp_path / "gone.safetensors")) is None
    (tmp_path / "a.bin").write_bytes(b"")
    assert damage(str(tmp_path / "a.bin")) is None


@pytest.mark.parametrize("strict", [False, True])
def test_a_truncated_model_is_named(backup: Any, source: Path, strict: bool) -> None:
    _safetensors(source / "llama" / "a.safetensors", missing=5)
    report = backup(strict_models=strict)
    assert report.state is (State.PARTIAL if strict else State.VERIFIED)
    found = [each.path for each in (report.problems if strict else report.notes) if each.kind == "damaged"]
    assert found == [str(source / "llama" / "a.safetensors")]
