"""`mltop config check|show`: what is wrong with the config, and what holds and where it came from."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from mltop.commands.output import Complaint, write, write_document
from mltop.commands.parser import ExitCode, Parser, common
from mltop.config.derived import backup_of
from mltop.config.document import Files, read_files
from mltop.config.fault import Fault, dotted
from mltop.config.job import JobConfig
from mltop.config.jobs import Jobs, load_jobs
from mltop.config.limit import Limit
from mltop.config.limits import TABLE
from mltop.config.load import flat_limits, load
from mltop.config.settings import Settings
from mltop.system.text import clean

SCHEMA = "mltop.config/1"
_TABLES = ("ui", "expect", "remote", "log", "checks")
_MASK = "***"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting that holds."""

    key: str
    value: object
    source: str | None
    """The file and line it stands in; `None`: the default."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The document, `mltop.config/1`."""

    schema: str = SCHEMA
    files: tuple[str, ...] = ()
    """Those that were read, the later over the earlier."""
    settings: tuple[Setting, ...] = ()
    jobs: tuple[dict[str, Any], ...] = ()
    errors: tuple[Complaint, ...] = ()
    """Each with its `FILE:LINE`."""


def main(arguments: Sequence[str]) -> int:
    """Check or show it: 0; 2 where something is wrong with it, all of which is said; 1 where nothing can be written."""
    options = _parser().parse_args(arguments)
    settings, jobs, faults = _read(options.config)
    written = 0
    if options.json:
        written = write_document(_report(options, settings, jobs, faults))
    elif options.word == "show" and settings is not None:
        written = write(_shown(_report(options, settings, jobs, faults)))
    elif not faults:
        written = write(f"{_files(jobs.files)}: no fault in {_count(sum(backup_of(id) is None for id in jobs.jobs))}\n")
    if not options.json:
        sys.stderr.write("".join(f"mltop config: {clean(line)}\n" for line in faults))
    return ExitCode.USAGE if faults else written


def _parser() -> Parser:
    parser = Parser(
        prog="mltop config",
        description="What is wrong with the config; what holds of it, and from where.",
        allow_abbrev=False,
    )
    parser.add_argument("word", choices=("check", "show"), metavar="check|show")
    parser.add_argument("--json", action="store_true", help=f"one JSON document, {SCHEMA}")
    common(parser)
    return parser


def _read(option: str | None) -> tuple[Settings | None, Jobs, list[str]]:
    from mltop.jobs.schedule.schedule import parse

    jobs = load_jobs(option, check_schedule=parse)
    try:
        return load(option), jobs, list(jobs.faults)
    except Fault as fault:
        return None, jobs, list(dict.fromkeys((*fault.lines, *jobs.faults)))


def _report(options: argparse.Namespace, settings: Settings | None, jobs: Jobs, faults: Sequence[str]) -> Report:
    shown = options.word == "show"
    return Report(
        files=jobs.files,
        settings=tuple(_settings(settings, read_files(options.config))) if shown and settings is not None else (),
        jobs=tuple(_job(job) for job in jobs.jobs.values()) if shown else (),
        errors=tuple(_complaint(line) for line in faults),
    )


def _settings(settings: Settings, files: Files) -> Iterator[Setting]:
    for table in _TABLES:
        for name, value in msgspec.to_builtins(getattr(settings, table)).items():
            yield Setting(key=f"{table}.{name}", value=value, source=_origin(files, table, name))
    for check in TABLE:
        limit = _limit(settings.limits[check])
        yield Setting(key=dotted(("limits", check)), value=limit, source=_origin(files, "limits", check))
    for kind, services in msgspec.to_builtins(settings.services).items():
        for service in services:
            yield Setting(key=f"services.{kind}", value=service, source=_origin(files, "services", kind))


def _limit(limit: Limit) -> dict[str, object]:
    """A limit's edges as Nagios ranges, and its times and sizes; what is not set is left out."""
    edges = ((edge, getattr(limit, edge)) for edge in ("warn", "crit", "clear", "clear_crit"))
    more = ((name, getattr(limit, name)) for name in ("for_s", "unless_free", "unless_free_crit"))
    return {edge: str(one) for edge, one in edges if one is not None} | {name: one for name, one in more if one}


def _origin(files: Files, table: str, key: str) -> str | None:
    for document in reversed(files.documents):
        found = document.raw.get(table, {})
        if key in (dict(flat_limits(found)) if table == "limits" else found):
            return f"{document.source.name}:{document.source.line((table, key))}"
    return None


def _job(job: JobConfig) -> dict[str, Any]:
    """A job without what people should not paste into a ticket."""
    found: dict[str, Any] = _named(job)
    found["spec"] = {"type": job.kind, **found["spec"]}
    found["env"] = dict.fromkeys(job.env, _MASK)
    found["alert"] = {key: _MASK if key == "ping_url" else value for key, value in job.alert.items()}
    return found


def _named(value: Any) -> Any:
    """Records as JSON has them: by the names of their fields."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _named(one) for name, one in value._asdict().items()}
    return [_named(one) for one in value] if isinstance(value, tuple) else value


def _complaint(line: str) -> Complaint:
    where, colon, message = line.partition(": ")
    return Complaint(message=message, where=where) if colon else Complaint(message=line)


def _shown(report: Report) -> str:
    rows = [(one.key, one.source or "default", _text(one.value)) for one in report.settings]
    for job in report.jobs:
        off = "" if job["enabled"] else " (disabled)"
        rows.append((f"jobs.{job['id']}", job["source"], f"{job['kind']} {_text(job['schedule'])}{off}"))
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = [f"{key:<{widths[0]}}  {source:<{widths[1]}}  {value}" for key, source, value in rows]
    return "".join(f"{clean(line)}\n" for line in (_files(report.files), *lines))


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items() if one is not None) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _plain(value: object) -> str:
    """A range that is "this number and beyond" as the number, as the config has it."""
    match = re.fullmatch(r"@(?:~:)?([\d.]+):?", value) if isinstance(value, str) else None
    return match[1] if match else str(value)


def _files(files: Sequence[str]) -> str:
    return ", ".join(files) or "no config file: the defaults hold"


def _count(jobs: int) -> str:
    return f"{jobs} job" + ("" if jobs == 1 else "s")
