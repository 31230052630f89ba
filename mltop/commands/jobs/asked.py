"""What every subcommand of `mltop jobs` shares: the arguments, what is looked up once for them, and how it is said."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

import msgspec

from mltop.commands.parser import ExitCode
from mltop.config.jobs import Jobs, job_files, judge
from mltop.config.location import SYSTEM_CONFIG
from mltop.jobs.inventory import Inventory, inventory
from mltop.jobs.plan.operation import Operation
from mltop.jobs.plan.plan import Plan
from mltop.jobs.site import Site, SiteError, site
from mltop.model.job import JOBS_SCHEMA, Drift, Job
from mltop.system.descriptor import write_all

PLAN_SCHEMA = "mltop.plan/1"
Adder = Callable[..., argparse.ArgumentParser]
"""Adds a subcommand: its name, what does it, its help, the schema of its document and the key of its list."""


class CommandError(Exception):
    """What keeps a command from its end: lines for people, and the code that they stand for."""

    def __init__(self, lines: Sequence[str], code: ExitCode = ExitCode.FAILED) -> None:
        self.lines = tuple(lines)
        self.code = code
        super().__init__("; ".join(self.lines))


class Asked:
    """The arguments, and what is looked up once for them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        try:
            self.site: Site = site(options.config, options.state_dir)
        except SiteError as error:
            raise CommandError([str(error)]) from None
        self.config: Jobs = _config(options.config)

    def sound(self) -> Jobs:
        """The config, which has to be without faults: a job that cannot be read must not look like one that is gone."""
        if self.config.faults:
            raise CommandError(self.config.faults, ExitCode.USAGE)
        return self.config

    def files(self) -> list[str]:
        """`--config` and `--state-dir` for a child with an environment of cron's (D20)."""
        named = (("--config", self.site.config), ("--state-dir", self.site.named_state))
        return [word for option, value in named if value for word in (option, value)]

    def look(self, count: int = 1, *, is_all: bool = False, is_soonest: bool = False) -> Inventory:
        """The inventory."""
        # what a config that was removed has left behind is orphaned; one that cannot be read may still want it
        is_gone = self.site.config is not None and not os.path.lexists(self.site.config)
        is_whole = is_gone or not self.config.faults
        return inventory(
            self.config.jobs, self.site, is_all=is_all, count=count, is_whole=is_whole, is_soonest=is_soonest
        )


def _config(option: str | None) -> Jobs:
    """The jobs, and their faults: a table that is called `job` is one, or what it has would look as if it were gone."""
    from mltop.config.load import frame_faults

    files = job_files(option)
    found = judge(files)
    parts = SYSTEM_CONFIG.parent / "jobs.d"  # these have a frame of their own
    documents = [one for one in files.documents if one.path.parent != parts]
    faults = [fault for one in documents for fault in frame_faults(one.raw, one.source)]
    return found._replace(faults=tuple(dict.fromkeys((*faults, *found.faults))))


def count(word: str) -> int:
    """An argument that counts something."""
    if not word.isdigit() or not 1 <= int(word) <= 10000:
        raise argparse.ArgumentTypeError(f"expected 1 to 10000, got {word!r}")
    return int(word)


def errors(lines: Sequence[str]) -> list[dict[str, str | None]]:
    """Lines as JSON has them; a config's fault begins with its place."""
    found: list[dict[str, str | None]] = []
    for line in lines:
        where, colon, rest = line.partition(": ")
        is_place = bool(colon) and (".toml" in where or where.startswith("/"))
        found.append({"message": rest if is_place else line, "where": where if is_place else None, "remedy": None})
    return found


def document(content: object) -> None:
    """One JSON document on standard output."""
    _write(msgspec.json.encode(content) + b"\n")


def jobs_document(jobs: Sequence[Job], notes: Sequence[str] = (), faults: Sequence[str] = ()) -> None:
    """The document of jobs."""
    document({"schema": JOBS_SCHEMA, "jobs": jobs, "notes": notes, "errors": errors(faults)})


def text(written: str) -> bool:
    """Text for people, whatever their terminal can show; false where the reader went away: it has what it wanted."""
    return _write(written.encode(getattr(sys.stdout, "encoding", None) or "utf-8", "replace"))


def _write(data: bytes) -> bool:
    """Write it whole; raises CommandError where that fails."""
    try:
        write_all(1, data)
    except BrokenPipeError:
        return False
    except OSError as error:
        raise CommandError([f"standard output: {error.strerror}"]) from None
    return True


def found_job(asked: Asked, id: str, count: int = 5) -> tuple[Job, Inventory]:
    """One job of the whole box; raises CommandError with the one it most resembles."""
    seen = asked.look(count, is_all=True)
    for job in seen.jobs:
        if job.id == id:
            return job, seen
    import difflib

    close = difflib.get_close_matches(id, [job.id for job in seen.jobs], 1, 0.5)
    raise CommandError(
        [*asked.config.faults, f"no job {id!r}" + (f"; did you mean {close[0]}?" if close else "; see mltop jobs list")]
    )


def shown_plan(asked: Asked, made: Plan, operation: Operation | None = None, lines: Sequence[str] = ()) -> None:
    """A plan, before or after it was done; `lines` say what could not be."""
    from mltop.commands.jobs import text as jobs_text

    if asked.options.json:
        changes = [{"kind": change.kind, "path": change.path} for change in made.changes]
        content = {"schema": PLAN_SCHEMA, "steps": made.steps, "changes": changes, "diff": made.diff()}
        said = [*made.faults, *(line for line in lines if line not in made.faults)]
        document(content | {"operation": operation, "notes": made.notes, "errors": errors(said)})
        return
    text(jobs_text.plan(made))
    sys.stderr.write("".join(f"- {note}\n" for note in made.notes))


def shown_done(asked: Asked, made: Plan, done: Operation | None, lines: Sequence[str]) -> None:
    """What was done, and what was not."""
    if asked.options.json:
        shown_plan(asked, made, done, lines)
    elif done is None:
        text("nothing to do\n" if not lines else "")
    else:
        text(made.diff())
        changed = [step.id for step in made.steps if step.drift not in (None, Drift.IN_SYNC) and not step.is_fault]
        text(f"done: {', '.join(changed) or done.target or 'schedules'}; mltop jobs undo takes it back\n")
        sys.stderr.write("".join(f"- {note}\n" for note in made.notes))
    sys.stderr.write("".join(f"mltop jobs: {line}\n" for line in lines))
