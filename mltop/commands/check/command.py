"""`mltop --check`: a verdict for scripts, cron and Nagios; exits 0 to 3 and with nothing else."""

from __future__ import annotations

import argparse
import gc
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mltop.commands.check.parser import Parser, check_parser
from mltop.commands.check.refuse import NoVerdictError, guarded
from mltop.commands.check.run import Run
from mltop.commands.check.write import write
from mltop.config.fault import Fault

_NET_S = 0.2
"""The timer that ends a run goes off so long after the run should have ended by itself."""


def main(arguments: Sequence[str]) -> int:
    """Judge this box; `arguments` are those after `--check`. Returns 0 to 3; `--help` ends with 0."""
    with without_garbage():
        return guarded(arguments, lambda: judge(check_parser(), arguments))


@contextmanager
def without_garbage() -> Iterator[None]:
    """A run makes no garbage worth a collection."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # nor is the interpreter's end: what it would look through costs a tenth of the run
        if was_collecting:
            gc.enable()


def judge(parser: Parser, arguments: Sequence[str]) -> int:
    """Judge by a parser's arguments; raises NoVerdictError."""
    started = time.monotonic()
    try:
        options = parser.parse_args(arguments)
        return parser.write_version() if options.version else _code(options, started)
    except Fault as fault:
        raise NoVerdictError(*fault.lines) from None


def _code(options: argparse.Namespace, started: float) -> int:
    signal.setitimer(signal.ITIMER_REAL, options.timeout + _NET_S)
    if not options.schema:
        return Run(options, started).code()
    from mltop.reports.json import schema

    return write(schema(), options.output, 0)
