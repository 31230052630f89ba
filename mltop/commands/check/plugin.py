"""`check_mltop`: the same verdict with the manners of a Nagios plugin (Monitoring Plugins Development Guidelines).

One line on standard output whatever happens, nothing on standard error, and 3 for help, the version and every fault.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's own takes time
if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "check_mltop"


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge this box; returns 0 to 3."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    is_process = arguments is None
    try:
        from mltop.commands.check.refuse import guarded
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - there is nothing else left that could say it
        os.write(1, f"MLTOP UNKNOWN - {type(error).__name__}: {error}\n".encode("utf-8", "replace"))
        return 3
    code = guarded(words, lambda: _judge(words), is_process=is_process, is_plugin=True)
    if is_process:
        os._exit(code)  # as for mltop --check
    return code


def _judge(words: list[str]) -> int:
    from mltop.system.lean import import_msgspec
    from mltop.system.stdio import hold_standard_streams

    hold_standard_streams()
    import_msgspec()
    from mltop.commands.check.command import judge, without_garbage
    from mltop.commands.check.parser import plugin_parser

    with without_garbage():
        return judge(plugin_parser(NAME), words)
