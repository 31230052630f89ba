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
    for header in (b"[]", b"[" * 100_000, b'{"w":' * 100_000, b"1e999", b'{"w":{"data_offsets":[0,"x"]}}', b"\xff\xfe"):
        path.write_bytes(struct.pack("<Q", len(header)) + header)
        assert damage(str(path)) == "its header is not one of safetensors"


def test_zip_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data.pkl", b"x" * 1000)
    assert damage(str(path)) is None
    path.write_bytes(path.read_bytes()[:-60])
    assert "cut short" in (damage(str(path)) or "")
    path.write_bytes(b"\x80\x02 an old pickle")
    assert damage(str(path)) is None


def _text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def _gguf(path: Path, missing: int = 0) -> None:
    pairs = [
        _text(b"general.alignment") + struct.pack("<II", 4, 64),
        _text(b"tokens") + struct.pack("<IIQ", 9, 8, 2) + _text(b"a") + _text("ö".encode()),
        _text(b"scores") + struct.pack("<IIQ", 9, 6, 3) + bytes(12),
        _text(b"name") + struct.pack("<I", 8) + _text(b"m"),
    ]
    tensors = [
        _text(b"w1") + struct.pack("<IQQIQ", 2, 64, 4, 8, 0),  # Q8_0: 8 blocks of 34 bytes
        _text(b"w2") + struct.pack("<IQIQ", 1, 10, 0, 320),  # F32
    ]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)) + b"".join(pairs + tensors)
    data = bytes(320 + 40)
    path.write_bytes(head + bytes(-len(head) % 64) + data[: len(data) - missing])


def test_gguf(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    _gguf(path)
    assert damage(str(path)) is None
    whole = path.read_bytes()
    _gguf(path, missing=1)
    assert "cut short" in (damage(str(path)) or "")
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        assert damage(str(path)), length
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 60))
    assert damage(str(path))


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
