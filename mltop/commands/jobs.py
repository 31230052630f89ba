"""`mltop jobs …`: what is scheduled, what ran, and changing it. Nothing asks back where there is no terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import msgspec

from mltop.commands.parser import ExitCode, Parser, common
from mltop.config.fault import Fault
from mltop.config.jobs import Jobs, load_jobs
from mltop.jobs.apply import ApplyError, apply, left, undo
from mltop.jobs.foreign import by_id
from mltop.jobs.history import History
from mltop.jobs.inventory import Inventory, inventory
from mltop.jobs.operation import Operation
from mltop.jobs.plan import Plan, plan
from mltop.jobs.schedule import ScheduleFault
from mltop.jobs.site import Site, SiteError, site, warnings
from mltop.model.job import JOBS_SCHEMA, RUNS_SCHEMA, Drift, Job, Run

PLAN_SCHEMA = "mltop.plan/1"


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
        self.config: Jobs = load_jobs(options.config)

    def sound(self) -> Jobs:
        """The config, which has to be without faults: a job that cannot be read must not look like one that is gone."""
        if self.config.faults:
            raise CommandError(self.config.faults, ExitCode.USAGE)
        return self.config

    def files(self) -> list[str]:
        """`--config` and `--state-dir` for a child with an environment of cron's (D20)."""
        named = (("--config", self.site.config), ("--state-dir", self.site.named_state))
        return [word for option, value in named if value for word in (option, value)]

    def look(self, count: int = 1, *, is_all: bool = False) -> Inventory:
        """The inventory."""
        return inventory(self.config.jobs, self.site, is_all=is_all, count=count, is_whole=not self.config.faults)


def main(arguments: list[str]) -> int:
    """Do one of the subcommands; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.do(Asked(options))
        return code
    except CommandError as error:
        return refuse(options, error.lines, error.code)
    except Fault as fault:
        return refuse(options, fault.lines, ExitCode.USAGE)
    except ApplyError as error:
        return refuse(options, error.lines, ExitCode.FAILED)
    except KeyboardInterrupt:
        return 130


def refuse(options: argparse.Namespace, lines: Sequence[str], code: int) -> int:
    """Say why not: a line each on standard error, and for JSON the usual document with `errors`."""
    sys.stderr.write("".join(f"mltop jobs: {line}\n" for line in lines))
    if options.json:
        document({"schema": options.schema, options.key: [], "errors": errors(lines)})
    return int(code)


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
    sys.stdout.buffer.write(msgspec.json.encode(content) + b"\n")
    sys.stdout.flush()


def text(written: str) -> None:
    """Text for people, whatever their terminal can show."""
    sys.stdout.buffer.write(written.encode(sys.stdout.encoding or "utf-8", "replace"))
    sys.stdout.flush()


def parser() -> Parser:
    """The parser of all subcommands."""
    from mltop.commands import jobs_edit

    top = Parser(
        prog="mltop jobs", description="Scheduled jobs: see, change, start them, and what they did.", allow_abbrev=False
    )
    words = top.add_subparsers(metavar="COMMAND", required=True)
    one = _adder(words)
    listing = one("list", _list, "all jobs: mltop's and the crontab's (default order: own first)")
    listing.add_argument("--all", action="store_true", help="vendor timers, /etc/cron.d and cron.daily too")
    one("show", _show, "all of one job").add_argument("id", metavar="ID")
    following = one("next", _next, "when a job, or a schedule, runs next")
    following.add_argument("id", nargs="?", metavar="ID")
    following.add_argument("--schedule", metavar="TEXT", help="a schedule that is in no config yet")
    following.add_argument("-n", "--count", type=_count, default=10, metavar="N")
    one("run", _run, "start a job now; it outlives this terminal").add_argument("id", metavar="ID")
    ran = one("history", _history, "what ran", RUNS_SCHEMA, "runs")
    ran.add_argument("id", nargs="?", metavar="ID")
    ran.add_argument("-n", "--count", type=_count, default=20, metavar="N")
    logs = one("logs", _logs, "a run's log", RUNS_SCHEMA, "runs")
    logs.add_argument("id", metavar="ID")
    logs.add_argument("--run", metavar="RUN", help="a run of the history (default: the last one)")
    logs.add_argument("-n", "--lines", type=_count, default=0, metavar="N", help="the last N lines (default: all)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")
    planned = one("plan", _plan, "what apply would change", PLAN_SCHEMA, "steps")
    planned.add_argument("--exit-code", action="store_true", help="1 where there is a difference")
    applied = one("apply", _apply, "install what differs", PLAN_SCHEMA, "steps")
    which = applied.add_mutually_exclusive_group()
    which.add_argument("--mine", action="store_true", help="over what was edited by hand in the scheduler")
    which.add_argument("--theirs", action="store_true", help="take what was edited by hand into the config")
    applied.add_argument("--dry-run", action="store_true", help="only show it")
    one("undo", _undo, "take the last change back, config and scheduler", PLAN_SCHEMA, "steps")
    jobs_edit.add_to(one)
    return top


Adder = Callable[..., argparse.ArgumentParser]


def _adder(words: argparse._SubParsersAction[Parser]) -> Adder:
    def one(
        name: str, do: Callable[[Asked], int], what: str, schema: str = JOBS_SCHEMA, key: str = "jobs"
    ) -> argparse.ArgumentParser:
        made = words.add_parser(name, help=what, description=what, allow_abbrev=False)
        made.add_argument("--json", action="store_true", help=f"one JSON document, {schema}")
        common(made)
        made.set_defaults(do=do, schema=schema, key=key)
        return made

    return one


def _count(word: str) -> int:
    if not word.isdigit() or not 1 <= int(word) <= 10000:
        raise argparse.ArgumentTypeError(f"expected 1 to 10000, got {word!r}")
    return int(word)


def _list(asked: Asked) -> int:
    from mltop.commands import jobs_text

    found = asked.look(is_all=asked.options.all)
    faults = asked.config.faults
    if asked.options.json:
        _jobs(found.jobs, found.notes, faults)
    else:
        text(jobs_text.jobs(found.jobs))
        sys.stdout.flush()
        sys.stderr.write("".join(f"- {note}\n" for note in found.notes))
        sys.stderr.write("".join(f"mltop jobs: {line}\n" for line in faults))
    return ExitCode.USAGE if faults else ExitCode.DONE


def _jobs(jobs: Sequence[Job], notes: Sequence[str] = (), faults: Sequence[str] = ()) -> None:
    document({"schema": JOBS_SCHEMA, "jobs": jobs, "notes": notes, "errors": errors(faults)})


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


def _show(asked: Asked) -> int:
    from mltop.commands import jobs_text
    from mltop.jobs.crontab_text import BlockFault, variables
    from mltop.jobs.plan import installed
    from mltop.jobs.wish import wish

    job, _ = found_job(asked, asked.options.id)
    rendered: list[str] = []
    above: dict[str, str] = {}
    if job.id in asked.config.jobs:
        made = wish(asked.config.jobs[job.id], asked.site)
        rendered = [line.decode() for line in made.lines] or list(made.units)
        crontab = installed(asked.site).crontab if made.backend == "cron" else None
        try:
            above = variables(crontab or b"")
        except BlockFault:
            above = {}
    if asked.options.json:
        _jobs([job])
    else:
        text(jobs_text.detail(job, rendered, above))
    return ExitCode.DONE


def _next(asked: Asked) -> int:
    from datetime import UTC, datetime

    from mltop.commands import jobs_text
    from mltop.jobs.advice import advice
    from mltop.jobs.moment import utc
    from mltop.jobs.schedule import parse

    options = asked.options
    if (options.id is None) == (options.schedule is None):
        raise CommandError(["expected a job, or --schedule TEXT"], ExitCode.USAGE)
    notes: list[str] = []
    if options.schedule is not None:
        try:
            schedule = parse(options.schedule)
        except ScheduleFault as fault:
            raise CommandError([str(fault)], ExitCode.USAGE) from None
        times = schedule.next_runs(datetime.now(UTC), options.count)
        job = Job(id="", schedule=(schedule.text,), next_runs=tuple(utc(time.timestamp()) for time in times))
        notes = [*([schedule.unknown] if schedule.unknown else []), *advice(schedule, times)]
    else:
        job, _ = found_job(asked, options.id, options.count)
    if options.json:
        _jobs([job], notes)
    else:
        text("".join(f"{jobs_text.local(time)}\n" for time in job.next_runs) or "no next run\n")
        sys.stderr.write("".join(f"- {note}\n" for note in notes))
    return ExitCode.DONE


def _run(asked: Asked) -> int:
    from mltop.jobs import start

    id = asked.options.id
    environment = asked.site.environment
    try:
        if id in asked.config.jobs:
            job = asked.config.jobs[id]
            how = start.start(
                start.of_job(job, asked.files(), environment), id, environment, _manager_scope(asked, job.scope)
            )
        else:
            how = _run_foreign(asked, id)
    except start.StartError as error:
        raise CommandError([f"{id} could not be started: {error}"]) from None
    if asked.options.json:
        _jobs([Job(id=id, state="started", description=how)])
    else:
        text(f"started {id} {how}; mltop jobs logs {id} -f shows its log\n")
    return ExitCode.DONE


def _manager_scope(asked: Asked, scope: str) -> str:
    """Whose manager starts it: root's jobs are the system's."""
    return "system" if asked.site.is_root else scope


def _run_foreign(asked: Asked, id: str) -> str:
    from mltop.jobs import start

    _, seen = found_job(asked, id, 1)
    one = by_id(seen.foreign).get(id)
    environment = asked.site.environment
    if one is not None and one.timer is not None and one.timer.service is not None:
        return start.start_timer(one.timer.service, one.job.scope, environment)
    if one is None or one.entry is None or one.entry.user is not None:
        raise CommandError(
            [f"{id} is not yours to run: it stands in {one.job.source if one else 'the scheduler alone'}"]
        )
    what = start.of_entry(one.entry, id, asked.files(), environment)
    return start.start(what, id, environment, _manager_scope(asked, "user"))


def _history(asked: Asked) -> int:
    from mltop.commands import jobs_text

    history = History(asked.site.state)
    found = history.runs(asked.options.id, asked.options.count)
    if asked.options.json:
        document({"schema": RUNS_SCHEMA, "runs": found, "errors": errors(history.notes)})
    else:
        text(jobs_text.runs(found))
        sys.stderr.write("".join(f"- {note}\n" for note in history.notes))
    return ExitCode.DONE


def _logs(asked: Asked) -> int:
    from mltop.commands.jobs_log import show

    history = History(asked.site.state)
    options = asked.options
    found = history.runs(options.id, 1) if options.run is None else [history.run(options.run)]
    run: Run | None = found[0] if found else None
    if run is None or (options.run is not None and run.job != options.id):
        raise CommandError(
            [f"no run of {options.id} was seen" if options.run is None else f"no run {options.run} of it"]
        )
    if options.json:
        document({"schema": RUNS_SCHEMA, "runs": [run], "errors": []})
        return ExitCode.DONE
    return show(run, history, options.lines, is_followed=options.follow)


def _plan(asked: Asked) -> int:
    made = plan(asked.sound().jobs.values(), asked.site)
    shown_plan(asked, made)
    has_difference = bool(made.changes or made.drifted)
    if made.faults:
        return ExitCode.FAILED
    return ExitCode.FAILED if has_difference and asked.options.exit_code else ExitCode.DONE


def shown_plan(asked: Asked, made: Plan, operation: Operation | None = None, lines: Sequence[str] = ()) -> None:
    """A plan, before or after it was done; `lines` say what could not be."""
    from mltop.commands import jobs_text

    if asked.options.json:
        changes = [{"kind": change.kind, "path": change.path} for change in made.changes]
        content = {"schema": PLAN_SCHEMA, "steps": made.steps, "changes": changes, "diff": made.diff()}
        said = [*made.faults, *(line for line in lines if line not in made.faults)]
        document(content | {"operation": operation, "notes": made.notes, "errors": errors(said)})
        return
    text(jobs_text.plan(made))
    sys.stderr.write("".join(f"- {note}\n" for note in made.notes))


def _apply(asked: Asked) -> int:
    from mltop.commands import jobs_edit

    options = asked.options
    jobs = asked.sound().jobs
    if options.theirs:
        return jobs_edit.take_theirs(asked)
    resolve = "mine" if options.mine else "keep"
    made = plan(jobs.values(), asked.site, "mine" if options.mine else "keep")
    if options.dry_run:
        shown_plan(asked, made)
        return ExitCode.FAILED if left(made, "mine" if options.mine else "keep") else ExitCode.DONE
    _warn(asked, made)
    lines: Sequence[str] = ()
    try:
        done = apply(jobs.values(), asked.site, "mine" if resolve == "mine" else "keep")
    except ApplyError as error:
        done, lines = error.operation, error.lines
    shown_done(asked, made, done, lines)
    return ExitCode.FAILED if lines else ExitCode.DONE


def _warn(asked: Asked, made: Plan) -> None:
    """What may make the installed lines stop working."""
    if made.changes and asked.site.program is not None:
        sys.stderr.write("".join(f"mltop jobs: warning: {line}\n" for line in warnings(asked.site.program)))


def shown_done(asked: Asked, made: Plan, done: Operation | None, lines: Sequence[str]) -> None:
    """What was done, and what was not."""
    if asked.options.json:
        shown_plan(asked, made, done, lines)
    elif done is None:
        text("nothing to do\n" if not lines else "")
    else:
        text(made.diff())
        changed = [step.id for step in made.steps if step.drift not in (None, Drift.IN_SYNC) and not step.is_fault]
        text(f"done: {', '.join(changed) or 'schedules'}; mltop jobs undo takes it back\n")
    sys.stderr.write("".join(f"mltop jobs: {line}\n" for line in lines))


def _undo(asked: Asked) -> int:
    from mltop.jobs.operation import Operations

    operations = Operations(asked.site)
    last = operations.last()
    done = undo(asked.site)
    if asked.options.json:
        document({"schema": PLAN_SCHEMA, "steps": [], "diff": "", "operation": done, "notes": [], "errors": []})
    else:
        what = f"{last.operation}{f' {last.target}' if last.target else ''} of {last.time}" if last else "it"
        text(f"taken back: {what} ({', '.join(record.path for record in done.changes)})\n")
    return ExitCode.DONE
