"""How a command speaks: lines, a table or one JSON document on standard output, faults on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import msgspec

from mltop.config.fault import Fault
from mltop.system.descriptor import write_all
from mltop.system.text import clean
from mltop.tasks.outcome import TaskError


class Complaint(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong (D18)."""

    message: str
    where: str | None = None
    remedy: str | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints; each command has a schema of its own and adds its keys."""

    schema: str
    errors: tuple[Complaint, ...] = ()


def write(text: str) -> int:
    """Write to standard output, whole: 0; 1 where that fails. A reader that went away has what it wanted."""
    data = text.encode("utf-8", "replace")
    try:
        write_all(1, data)
    except BrokenPipeError:
        return 0
    except OSError as error:
        sys.stderr.write(f"mltop: standard output: {error.strerror}\n")
        return 1
    return 0


def write_lines(lines: Sequence[str]) -> int:
    """Write lines."""
    return write("".join(f"{line}\n" for line in lines))


def write_document(document: msgspec.Struct) -> int:
    """Write one JSON document."""
    return write(msgspec.json.encode(document).decode() + "\n")


def complain(complaints: Sequence[Complaint], command: str) -> None:
    """Say on standard error what is wrong."""
    for each in complaints:
        remedy = f" ({each.remedy})" if each.remedy else ""
        sys.stderr.write(f"{command}: {each.message}{remedy}\n")


def complaints_of(error: Fault | TaskError, where: str | None = None) -> tuple[Complaint, ...]:
    """What an exception says: every line of a config's faults with its place, or the one of a task."""
    if isinstance(error, Fault):
        return tuple(_located(line) for line in error.lines)
    return (Complaint(message=clean(str(error), 1000), where=where, remedy=error.hint),)


def _located(line: str) -> Complaint:
    """`FILE:LINE: PATH: what` has its place before the first colon and blank."""
    place, mark, _ = line.partition(": ")
    return Complaint(message=line, where=place if mark else None)


def is_terminal() -> bool:
    """Whether a person reads standard output, on a terminal that can move its cursor."""
    return os.isatty(1) and os.environ.get("TERM", "") not in ("", "dumb")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Columns of text, the last one never cut: it is there to be copied. `right` are those that align right."""
    widths = [max(len(row[number]) for row in (columns, *rows)) for number in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        placed = [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(placed).rstrip()

    return [line(columns), *(line(row) for row in rows)]
