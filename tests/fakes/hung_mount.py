"""A FUSE mount with one file, `file`, that cannot be opened while `MOUNTPOINT.block` exists.

Whoever opens it then is in a true D state once it is killed: no signal ends it. Run as `hung_mount.py MOUNTPOINT`.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from pathlib import Path
from typing import Any

from mfusepy import FUSE, FuseOSError, Operations


class OneFile(Operations):  # type: ignore[misc]
    use_ns = True

    def __init__(self, block: Path) -> None:
        self._block = block
        self._pause = threading.Event()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2, "st_uid": os.getuid()}
        if path == "/file":
            return {"st_mode": stat.S_IFREG | 0o644, "st_nlink": 1, "st_size": 4, "st_uid": os.getuid()}
        raise FuseOSError(errno.ENOENT)

    def open(self, path: str, flags: Any) -> int:
        # not in read: a reader waits for its page, and that wait a signal does end
        while self._block.exists():
            self._pause.wait(0.02)
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return b"text"[offset : offset + size]


if __name__ == "__main__":
    FUSE(OneFile(Path(f"{sys.argv[1]}.block")), sys.argv[1], foreground=True, nothreads=False)
