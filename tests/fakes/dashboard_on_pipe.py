"""The dashboard on a scripted source: `python dashboard_on_pipe.py FD [OPTION…]` reads snapshots from a descriptor."""

from __future__ import annotations

import os
import sys
import time

from mltop.model.request import Request


class PipeSource:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def send(self, request: Request) -> None:
        pass

    def trouble(self) -> str | None:
        return None

    def close(self) -> None:
        os.close(self._fd)


def main() -> None:
    source = PipeSource(int(sys.argv[1]))
    from mltop.ui.app import Dashboard
    from mltop.ui.session import Session
    from mltop.ui.terminal.driver import fatal
    from mltop.ui.view import View

    session = Session(View(), lambda snapshot: (), lambda *_: [], at=time.monotonic())
    app = Dashboard(source, session)
    if "--fault" in sys.argv:
        app.call_later(lambda: 1 / 0)
    app.run()
    if app.report:
        sys.stderr.write(f"report in {app.report}\n")
    fatal(None, app.return_code or 0)


if __name__ == "__main__":
    main()
