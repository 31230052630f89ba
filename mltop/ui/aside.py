"""Work that may hang (a file on a dead mount, a program that is asked), done beside the loop and left behind.

A daemon thread for each piece: unlike those of an executor it keeps nobody from ending. The caller has one piece out at
a time, so a dead mount costs one thread and no CPU.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from textual.dom import DOMNode

Result = TypeVar("Result")


def begin(node: DOMNode, work: Callable[[], Coroutine[Any, Any, None]], group: str, *, exclusive: bool = False) -> None:
    """Let the loop do `work` for a screen or the app; `exclusive` ends what the group did before."""
    node.run_worker(work, group=group, exclusive=exclusive)  # type: ignore[arg-type]


async def aside(call: Callable[[], Result], deadline_s: float) -> Result:
    """What `call` returns or raises; raises TimeoutError where it does not end in time."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result: Result | None = None
        error: BaseException | None = None
        try:
            result = call()
        except BaseException as raised:  # noqa: BLE001 - it is raised again where it is waited for
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="mltop-aside", daemon=True).start()
    return await asyncio.wait_for(done, deadline_s)
