"""The command line: which command, with which arguments. Imports nothing heavy; a command imports what it needs.

Nothing that can be missing or take time is imported before `main`: of `--check`, whatever goes wrong is code 3.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's own takes time
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from mltop.commands.parser import Parser

COMMANDS = ("backup", "cleanup", "config", "doctor", "init", "jobs", "metrics", "process", "rotate", "run", "task")
"""Each is a module of `mltop.commands` with a `main`."""
_PRIVATE = ("process", "task")
"""What mltop asks itself."""
_WITH_ACTION = ("backup", "config", "jobs", "metrics")
_PLACES = {"--config": "MLTOP_CONFIG", "--state-dir": "MLTOP_STATE_DIR"}
INTERVAL_MIN_S = 0.25
INTERVAL_MAX_S = 3600.0


def _wrong(message: str) -> argparse.ArgumentTypeError:
    from argparse import ArgumentTypeError

    return ArgumentTypeError(message)


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise _wrong(f"expected seconds, got {text!r}") from None
    if not INTERVAL_MIN_S <= seconds <= INTERVAL_MAX_S:
        raise _wrong(f"expected {INTERVAL_MIN_S} to {INTERVAL_MAX_S:.0f} seconds, got {text}")
    return seconds


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise _wrong(f"expected a whole number of 1 or more, got {text!r}")
    return count


def _host(text: str) -> str:
    if not text or text.startswith("-") or any(ord(letter) <= 32 for letter in text):
        raise _wrong(f"expected a host as ssh takes it, got {text!r}")
    return text


def parser() -> Parser:
    """The parser of everything that `mltop` takes."""
    import argparse

    from mltop import __version__
    from mltop.commands.parser import Parser, common

    top = Parser(
        prog="mltop",
        description="See and keep a GPU box: CPU, memory, disks, processes and every GPU, live.",
        usage="mltop [OPTION ...] | --check [OPTION ...] | COMMAND [ARGUMENT ...]",
        epilog=f"Commands: {', '.join(name for name in COMMANDS if name not in _PRIVATE)}; each has --help.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"mltop {__version__}")
    modes = top.add_argument_group("what to show (nothing: the dashboard)").add_mutually_exclusive_group()
    modes.add_argument("--once", action="store_true", help="one snapshot as text, then end")
    modes.add_argument(
        "--stream", action="store_true", help="snapshots as JSON, one a line, until the reader goes away"
    )
    modes.add_argument("--check", action="store_true", help="a verdict by exit code; see mltop --check --help")
    modes.add_argument("--schema", action="store_true", help="the JSON Schema of a snapshot")
    top.add_argument("--demo", action="store_true", help="a box on samples: eight GPUs, one lost; jobs and logs")
    top.add_argument("--json", action="store_true", help="with --once: one JSON object")
    top.add_argument("-n", "--count", type=_count, metavar="N", help="with --stream: end after N lines")
    top.add_argument("--control", action="store_true", help=argparse.SUPPRESS)
    top.add_argument("-i", "--interval", type=_interval, metavar="SEC", help="seconds between two samples (default 2)")
    top.add_argument("--host", type=_host, metavar="HOST", help="show another box, over ssh (implies --readonly)")
    look = top.add_argument_group("the dashboard's looks and hands")
    look.add_argument("--readonly", action="store_true", help="no signals to processes")
    look.add_argument("--theme", metavar="T", help="terminal (the terminal's own colours), dark or light")
    look.add_argument("--ascii", action="store_true", help="bars and graphs in ASCII")
    look.add_argument("--no-color", action="store_true", help="no colours (as with NO_COLOR set)")
    common(top)
    return top


def _unknown(words: list[str]) -> str:
    """What to say of words that are neither an option nor a command."""
    name = next((word for word in words if not word.startswith("-")), None)
    if name is None or name != words[0]:
        return f"unrecognized arguments: {' '.join(words)}"
    from difflib import get_close_matches

    close = get_close_matches(name, [each for each in COMMANDS if each not in _PRIVATE], 1)
    return f"no command {name!r}" + (f"; did you mean {close[0]}?" if close else "")


def _check(top: Parser, options: argparse.Namespace) -> None:
    """What argparse cannot say: which flags go together."""
    if options.json and not options.once:
        top.error("--json goes with --once")
    if options.demo and (options.host or options.stream):
        top.error("--demo goes with neither --host nor --stream")
    if options.count is not None and not options.stream:
        top.error("--count goes with --stream")
    if options.control and not options.stream:
        top.error("--control goes with --stream")


def _placed(words: list[str]) -> list[str]:
    """The words of a command without the `--config` and `--state-dir` that stand before it or before its action.

    They hold all the same: as the variables that say the same.
    """
    start = _behind_places(words, 0)
    if start == len(words) or words[start] not in COMMANDS:
        return words
    action = _behind_places(words, start + 1) if words[start] in _WITH_ACTION else start + 1
    for option, value in (*_pairs(words[:start]), *_pairs(words[start + 1 : action])):
        os.environ[_PLACES[option]] = value
    return [words[start], *words[action:]]


def _behind_places(words: list[str], at: int) -> int:
    while at < len(words) and words[at].partition("=")[0] in _PLACES:
        at += 1 if "=" in words[at] else 2
    return min(at, len(words))


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    flat = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    return list(zip(flat[::2], flat[1::2], strict=False))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run mltop; returns the exit code."""
    words = _placed(list(sys.argv[1:] if arguments is None else arguments))
    if "--check" in words and words[0] not in COMMANDS:
        return _judge(words, is_process=arguments is None)
    from mltop.system.stdio import hold_standard_streams, leave

    hold_standard_streams()
    if words and words[0] in COMMANDS:
        from importlib import import_module

        command: int = import_module(f"mltop.commands.{words[0]}").main(words[1:])
        if words[0] == "run" and arguments is None:  # every scheduled job waits for this end
            leave(command)
        return command
    top = parser()
    options, left = top.parse_known_args(words)
    if left:
        top.error(_unknown(left))
    _check(top, options)
    if options.schema:
        from mltop.commands.schema import run
    elif options.once or not (options.stream or _has_terminal()):
        from mltop.commands.once import run
    elif options.stream:
        from mltop.commands.stream import run
    else:
        from mltop.commands.dashboard import run
    try:
        return run(options)
    except KeyboardInterrupt:
        return 130


def _judge(words: list[str], *, is_process: bool) -> int:
    """`--check`, with a parser of its own: from here on whatever is wrong is code 3, a broken install too."""
    words.remove("--check")
    if is_process:
        import gc

        gc.disable()  # neither imports nor a run make garbage worth a collection
    try:
        from mltop.commands.check.refuse import guarded
    except KeyboardInterrupt:
        from mltop.commands.check.refuse import refuse

        return refuse(words, ("interrupted",))
    except Exception as error:  # noqa: BLE001 - there is nothing else left that could say it
        os.write(2, f"mltop: cannot judge: {type(error).__name__}: {error}\n".encode("utf-8", "replace"))
        return 3
    code = guarded(words, lambda: _check_command(words), is_process=is_process)
    if is_process:
        os._exit(code)  # the verdict is out: neither a signal nor the interpreter's end may change the code
    return code


def _check_command(words: list[str]) -> int:
    from mltop.system.lean import import_argparse, import_msgspec, import_pathlib
    from mltop.system.stdio import hold_standard_streams

    hold_standard_streams()
    import_argparse()
    import_pathlib()
    import_msgspec()
    from mltop.commands.check.command import main as check

    return check(words)


def _has_terminal() -> bool:
    """Whether a dashboard can be drawn: Textual alone would draw into a pipe and never end (M35)."""
    if os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        return False
    try:
        return sys.stdin.isatty() and sys.stdout.isatty()
    except (AttributeError, ValueError):  # closed, or None
        return False
