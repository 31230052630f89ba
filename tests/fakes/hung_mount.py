"""A FUSE mount that answers no `statvfs`, lets nobody open its one file, `file`, and tells nobody whether there is a
`state`, while `MOUNTPOINT.block` exists.

Whoever asks it then is in a true D state once it is killed: no signal ends it. Run as `hung_mount.py MOUNTPOINT`.
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
        if path == "/state":
            self._wait()
        raise FuseOSError(errno.ENOENT)

    def open(self, path: str, flags: Any) -> int:
        # not in read: a reader waits for its page, and that wait a signal does end
        self._wait()
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        self._wait()
        sizes = {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 1000, "f_bfree": 400, "f_bavail": 300}
        return sizes | {"f_files": 100, "f_ffree": 50, "f_namemax": 255}

    def _wait(self) -> None:
        while self._block.exists():
            self._pause.wait(0.02)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return b"text"[offset : offset + size]


if __name__ == "__main__":
    FUSE(OneFile(Path(f"{sys.argv[1]}.block")), sys.argv[1], foreground=True, nothreads=False)
