"""The jobs of the config: those of the system's files and those of the user's own (D19), each fault with its line."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from mltop.config.derived import backup_of, drill_of, with_derived
from mltop.config.document import Document, Files, read_document, read_files
from mltop.config.fault import Fault, nearest, shown
from mltop.config.field import read_table
from mltop.config.job import BackupSpec, JobConfig
from mltop.config.kind import ALERT, COMMON, DEFAULTS, KINDS, keys_of, read_spec
from mltop.config.location import SYSTEM_CONFIG

JOB_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
ScheduleCheck = Callable[[str], object]
"""Raises ValueError, with the reason, for a text that is no schedule."""


class Jobs(NamedTuple):
    """All jobs that could be read, and what is wrong with the rest."""

    jobs: Mapping[str, JobConfig]
    faults: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """The files that were read."""


def load_jobs(
    option: str | None = None,
    environment: Mapping[str, str] = os.environ,
    system: Path = SYSTEM_CONFIG,
    *,
    check_schedule: ScheduleCheck | None = None,
) -> Jobs:
    """Every job, in the order of the files; never raises for what is in them.

    A file that `--config` or `MLTOP_CONFIG` names holds all the jobs there are; of the system's it takes the defaults.
    """
    return judge(job_files(option, environment, system), check_schedule)


def load_job(
    name: str,
    option: str | None = None,
    environment: Mapping[str, str] = os.environ,
    system: Path = SYSTEM_CONFIG,
) -> JobConfig:
    """One job, or a backup's drill; raises `Fault` where it is not there, or it or the defaults are wrong (D22)."""
    base = backup_of(name)
    if base is None:
        return _load(name, option, environment, system)
    drill = drill_of(_load(base, option, environment, system))
    if drill is None:
        raise Fault([f"no job {shown(name)}: {base} is no backup, and only a backup has a drill"])
    return drill


def _load(name: str, option: str | None, environment: Mapping[str, str], system: Path) -> JobConfig:
    files = job_files(option, environment, system)
    holders = [document for document in _with_jobs(files) if name in _tables(document)]
    if not holders:
        raise Fault(files.faults or [_not_there(name, files)])
    if len(holders) > 1:
        raise Fault([_second(name, holders[1], holders[0])])
    defaults, faults = _defaults(files, holders[0])
    values: dict[str, Any] = {}
    faults += _job(name, holders[0], defaults, values, None)
    if faults:
        raise Fault(faults)
    return JobConfig(**values)


def job_files(
    option: str | None = None, environment: Mapping[str, str] = os.environ, system: Path = SYSTEM_CONFIG
) -> Files:
    """All files that jobs, or their defaults, stand in: the system's, its `jobs.d/*.toml`, then the user's own."""
    files = read_files(option, environment, system)
    if files.is_explicit:
        return files
    documents: list[Document] = []
    faults = list(files.faults)
    for path in _parts(system.parent / "jobs.d", faults):
        try:
            document = read_document(path, scope="system")
        except Fault as fault:
            faults.extend(fault.lines)
            continue
        if document is not None:
            documents.append(document)
    first = [document for document in files.documents if document.scope == "system"]
    own = [document for document in files.documents if document.scope == "user"]
    return Files((*first, *documents, *own), tuple(faults))


def judge(files: Files, check_schedule: ScheduleCheck | None = None) -> Jobs:
    """The jobs of files that have been read."""
    found: dict[str, JobConfig] = {}
    homes: dict[str, Document] = {}
    faults = [*files.faults, *(line for document in files.documents for line in _defaults_of(document, {}))]
    for document in _with_jobs(files):
        faults += _frame(document)
        defaults, _ = _defaults(files, document)
        for name in _tables(document):
            values: dict[str, Any] = {}
            wrong = [*_job(name, document, defaults, values, check_schedule)]
            if name in homes:
                wrong.append(_second(name, document, homes[name]))
            homes.setdefault(name, document)
            faults += wrong
            if not wrong:
                found[name] = JobConfig(**values)
    faults += _one_target(found, homes)
    names = tuple(str(document.path) for document in files.documents)
    return Jobs(MappingProxyType(with_derived(found.values())), tuple(faults), names)


def _parts(folder: Path, faults: list[str]) -> Iterator[Path]:
    try:
        found = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        faults.append(f"{folder}: cannot be read: {error.strerror}")
        return
    yield from (path for path in found if path.suffix == ".toml" and not path.name.startswith("."))


def _with_jobs(files: Files) -> list[Document]:
    """The files whose jobs count."""
    return [document for document in files.documents if not (files.is_explicit and document.scope == "system")]


def _tables(document: Document) -> Mapping[str, Any]:
    jobs = document.raw.get("jobs", {})
    return jobs if isinstance(jobs, dict) else {}


def _frame(document: Document) -> Iterator[str]:
    """What is wrong around the jobs of a file."""
    jobs = document.raw.get("jobs", {})
    if not isinstance(jobs, dict):
        yield document.source.fault(("jobs",), f"expected [jobs.NAME], got {shown(jobs)}")
    if document.scope == "system" and _is_open(document.path):
        yield f"{document.path}: others than root can write it: its jobs would be theirs"
    if document.path.parent.name == "jobs.d" and document.scope == "system":
        for key in document.raw:
            if key not in ("version", "jobs"):
                yield document.source.fault((key,), "only [jobs.NAME] goes into a file of jobs.d")


def _is_open(path: Path) -> bool:
    """Whether a system file can be written by somebody who is neither root nor ourselves."""
    try:
        status = path.stat()
    except OSError:
        return False
    return bool(status.st_mode & stat.S_IWOTH) or status.st_uid not in (0, os.geteuid())


def _defaults(files: Files, document: Document) -> tuple[dict[str, Any], list[str]]:
    """The defaults that hold for a file's jobs: the system's, and for the user's jobs the user's over them."""
    values: dict[str, Any] = {}
    faults: list[str] = []
    for one in files.documents:
        if one.scope == "system" or document.scope == "user":
            env = values.get("env", {})
            faults += _defaults_of(one, values)
            values["env"] = env | values.get("env", {})
    return values, faults


def _defaults_of(document: Document, values: dict[str, Any]) -> Iterator[str]:
    table = document.raw.get("defaults", {})
    if not isinstance(table, dict):
        yield document.source.fault(("defaults",), f"expected a table, got {shown(table)}")
        return
    known = {key: value for key, value in table.items() if key in DEFAULTS}
    yield from read_table(known, DEFAULTS, document.source, ("defaults",), values)
    every = set(COMMON).union(*(keys_of(kind) for kind in KINDS))
    for key in (key for key in table if key not in known):
        what = "a job's own key, which is never inherited" if key in every else nearest(key, DEFAULTS)
        yield document.source.fault(("defaults", key), what)


def _job(
    name: str,
    document: Document,
    defaults: Mapping[str, Any],
    values: dict[str, Any],
    check_schedule: ScheduleCheck | None,
) -> Iterator[str]:
    """Read one job into `values`; yields its faults."""
    source, where = document.source, ("jobs", name)
    table = _tables(document)[name]
    if not isinstance(table, dict):
        yield source.fault(where, f"expected a table, got {shown(table)}")
        return
    if not JOB_ID.fullmatch(name):
        yield source.fault(where, "a job's name is a-z, 0-9, - and _, at most 63 of them, and begins with a-z or 0-9")
    values |= {**defaults, "id": name, "scope": document.scope, "file": str(document.path)}
    values["source"] = f"{source.name}:{source.line(where)}"
    yield from read_table({key: table[key] for key in table if key in COMMON}, COMMON, source, where, values)
    values["env"] = {**defaults.get("env", {}), **values.get("env", {})}
    kind = table.get("kind")
    if kind is None:
        yield source.fault(where, f"kind is missing: {', '.join(KINDS)}")
    if kind not in KINDS:
        return
    known = keys_of(kind)
    for key in table:
        if key not in known:
            yield source.fault((*where, key), nearest(key, known))
    yield from read_spec(kind, table, source, where, values)
    yield from _alert(name, table, document, values)
    yield from _in_scope(name, document, values)
    if check_schedule is not None:
        yield from _schedules(name, document, values, check_schedule)


def _alert(name: str, table: Mapping[str, Any], document: Document, values: dict[str, Any]) -> Iterator[str]:
    if "alert" not in table:
        return
    where = ("jobs", name, "alert")
    if not isinstance(table["alert"], dict):
        yield document.source.fault(where, f"expected a table, got {shown(table['alert'])}")
        return
    yield from read_table(table["alert"], ALERT, document.source, where, {})
    values["alert"] = table["alert"]


def _in_scope(name: str, document: Document, values: Mapping[str, Any]) -> Iterator[str]:
    if document.scope == "system":
        return
    if values.get("run_as") is not None:
        yield document.source.fault(("jobs", name, "run_as"), "only for jobs of the system, in /etc/mltop")
    if values.get("backend") == "cron.d":
        what = '"cron.d" is only for jobs of the system, in /etc/mltop'
        yield document.source.fault(("jobs", name, "backend"), what)


def _schedules(name: str, document: Document, values: Mapping[str, Any], check: ScheduleCheck) -> Iterator[str]:
    spec = values.get("spec")
    texts = [("schedule", text) for text in values.get("schedule", ())]
    if isinstance(spec, BackupSpec) and spec.drill and "drill" in _tables(document)[name]:
        texts.append(("drill", spec.drill))
    for key, text in texts:
        try:
            check(text)
        except ValueError as error:
            yield document.source.fault(("jobs", name, key), str(error))


def _one_target(jobs: Mapping[str, JobConfig], homes: Mapping[str, Document]) -> Iterator[str]:
    """Two jobs that write to one target are an error (D24); `~` is that of who they run as."""
    first: dict[tuple[str, str], str] = {}
    for name, job in jobs.items():
        if isinstance(job.spec, BackupSpec):
            target = re.sub(r"(?<![:/])/{2,}", "/", job.spec.target).rstrip("/")
            whose = f"{job.scope} {job.run_as}" if target.startswith("~") else ""
            other = first.setdefault((whose, target), name)
            if other != name:
                where = ("jobs", name, "target")
                yield homes[name].source.fault(where, f"the target of {other} ({jobs[other].source}) too")


def _second(name: str, document: Document, first: Document) -> str:
    line = first.source.line(("jobs", name))
    return document.source.fault(("jobs", name), f"a second job of this name; the first is {first.source.name}:{line}")


def _not_there(name: str, files: Files) -> str:
    import difflib  # only needed where something is wrong

    known: Sequence[str] = [job for document in _with_jobs(files) for job in _tables(document)]
    where = " or ".join(str(document.path) for document in _with_jobs(files)) or "any config (see mltop init)"
    close = difflib.get_close_matches(name, known, 1, 0.6)
    return f"no job {shown(name)} in {where}" + (f"; did you mean {close[0]}?" if close else "")
