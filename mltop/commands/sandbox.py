"""`mltop init --sandbox DIR`: a small box in a folder, where every standard job has something real to do."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from mltop.config.edit import make_folder
from mltop.config.starter import Starter

_WEIGHTS = 128 * 1024
_LOG_LINES = 200


def starter(folder: Path) -> Starter:
    """The config of a sandbox: its own paths only."""
    return Starter(
        models=str(folder / "models"),
        backups=str(folder / "backups"),
        caches=(str(folder / "cache"),),
        older_than="1s",
        cleanup_profiles=(),
        logs=str(folder / "logs/*.log"),
        log_size="1KiB",
        operations=str(folder / "state/operations.jsonl"),
        jitter="0s",
        settle="0s",
    )


def make(folder: Path) -> None:
    """Make its files: a model as a hub lays it out, a checkpoint, a cache and a log; raises OSError."""
    hub = folder / "models/models--tiny--llm"
    for each in (folder / "state", folder / "cache", folder / "logs"):
        make_folder(each)
    _write(hub / "blobs/weights", _safetensors())
    _write(hub / "snapshots/main/config.json", b'{"model_type": "tiny", "hidden_size": 128}\n')
    link = hub / "snapshots/main/model.safetensors"
    if not link.is_symlink():
        link.symlink_to("../../blobs/weights")
    _write(folder / "models/checkpoints/step-100/optimizer.bin", bytes(range(256)) * (_WEIGHTS // 256))
    _write(folder / "cache/compiled/kernel.cubin", bytes(_WEIGHTS))
    _write(folder / "logs/training.log", b"".join(b"step %d loss %.3f\n" % (n, 4 / (n + 1)) for n in range(_LOG_LINES)))


def _safetensors() -> bytes:
    """A whole file of one tensor; the format is a header's length, the header, the data."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [_WEIGHTS // 4], "data_offsets": [0, _WEIGHTS]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(range(256)) * (_WEIGHTS // 256)


def _write(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    path.write_bytes(data)
