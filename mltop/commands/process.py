"""`mltop process PID`: what the dashboard asks about one process; not for people.

A reading a line, as JSON, for as long as somebody reads. It may hang in the kernel: whoever started it leaves it then.
"""

from __future__ import annotations

import select
import sys
from itertools import count

import msgspec

from mltop.commands.parser import ExitCode, Parser
from mltop.model.snapshot import Status

INTERVAL_S = 2.0


def _parser() -> Parser:
    parser = Parser(prog="mltop process", description="All about one process, as JSON lines.", allow_abbrev=False)
    parser.add_argument("pid", type=int, metavar="PID")
    parser.add_argument("--started-at", metavar="TIME", help="what was shown: another process with its number is none")
    parser.add_argument("-i", "--interval", type=float, default=INTERVAL_S, metavar="SEC")
    parser.add_argument("-n", "--count", type=int, metavar="N", help="end after N rounds")
    return parser


def main(arguments: list[str]) -> int:
    """Write until the process has ended or nobody reads; 0, or 1 where it was not there at all."""
    options = _parser().parse_args(arguments)
    from mltop.system.descriptor import write_all
    from mltop.system.process import die_with_parent, set_name

    try:
        from mltop.sampling.process_detail import ProcessWatch
    except ImportError as error:
        sys.stderr.write(f"mltop: a process cannot be read: {error} (install mltop anew)\n")
        return ExitCode.FAILED

    set_name("mltop-process")
    die_with_parent()
    watch = ProcessWatch(options.pid, options.started_at)
    try:
        for done in count(1):
            for detail in watch.readings():
                write_all(1, msgspec.json.encode(detail) + b"\n")
            if detail.status is Status.ABSENT:
                return ExitCode.FAILED if detail.state is None else ExitCode.DONE
            if done == options.count or _is_left(options.interval):
                break
    except BrokenPipeError:
        pass
    except OSError as error:
        sys.stderr.write(f"mltop: standard output: {error.strerror}\n")
        return ExitCode.FAILED
    return ExitCode.DONE


def _is_left(wait_s: float) -> bool:
    """Wait; at once with True where nobody reads any more."""
    poller = select.poll()
    poller.register(1, 0)
    return bool(poller.poll(1000 * max(0.0, wait_s)))
