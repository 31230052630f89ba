"""`mltop jobs list|show|next|history|logs`: what is scheduled, when it runs next, and what ran."""

from __future__ import annotations

import sys

from mltop.commands.jobs.asked import (
    Adder,
    Asked,
    CommandError,
    count,
    document,
    errors,
    found_job,
    jobs_document,
    text,
)
from mltop.commands.parser import ExitCode
from mltop.jobs.history.history import History
from mltop.model.job import RUNS_SCHEMA, Run


def add_to(one: Adder) -> None:
    """Add these subcommands to the parser."""
    listing = one("list", _list, "all jobs: mltop's own, the crontab's and your timers")
    listing.add_argument("--all", action="store_true", help="vendor timers, /etc/cron.d and cron.daily too")
    one("show", _show, "all of one job").add_argument("id", metavar="ID")
    following = one("next", _next, "when all jobs run next, in order of time; or one job, or a schedule")
    following.add_argument("id", nargs="?", metavar="ID", help="default: all jobs")
    following.add_argument("--schedule", metavar="TEXT", help="a schedule that is in no config yet")
    following.add_argument("-n", "--count", type=count, default=10, metavar="N", help="so many (default 10)")
    ran = one("history", _history, "what ran", RUNS_SCHEMA, "runs")
    ran.add_argument("id", nargs="?", metavar="ID", help="default: all jobs")
    ran.add_argument("-n", "--count", type=count, default=20, metavar="N", help="the last so many (default 20)")
    logs = one("logs", _logs, "a run's log", RUNS_SCHEMA, "runs")
    logs.add_argument("id", metavar="ID")
    logs.add_argument("--run", metavar="RUN", help="a run of the history (default: the last one)")
    logs.add_argument("-n", "--lines", type=count, default=0, metavar="N", help="the last N lines (default: all)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the run ends")


def _list(asked: Asked) -> int:
    """All that is scheduled; with a config that has faults, as far as it goes."""
    from mltop.commands.jobs import text as jobs_text

    found = asked.look(is_all=asked.options.all)
    faults = asked.config.faults
    if asked.options.json:
        jobs_document(found.jobs, found.notes, faults)
    else:
        text(jobs_text.jobs(found.jobs))
        sys.stderr.write("".join(f"- {note}\n" for note in found.notes))
        sys.stderr.write("".join(f"mltop jobs: {line}\n" for line in faults))
    return ExitCode.USAGE if faults else ExitCode.DONE


def _show(asked: Asked) -> int:
    """All of one job."""
    from mltop.commands.jobs import text as jobs_text
    from mltop.jobs.crontab.text import BlockFault, variables
    from mltop.jobs.plan.plan import installed
    from mltop.jobs.plan.wish import wish

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
        jobs_document([job])
    else:
        text(jobs_text.detail(job, rendered, above, asked.config.jobs.get(job.id)))
    return ExitCode.DONE


def _next(asked: Asked) -> int:
    """When all jobs, one of them, or a schedule that is in no config yet, run next."""
    from mltop.commands.jobs import next as jobs_next

    options = asked.options
    if options.id is not None and options.schedule is not None:
        raise CommandError(["expected a job, or --schedule TEXT, got both"], ExitCode.USAGE)
    return jobs_next.of_all(asked) if options.id is options.schedule is None else jobs_next.of_one(asked)


def _history(asked: Asked) -> int:
    """What ran, newest first; of a unit, as the journal has it."""
    from mltop.commands.jobs import text as jobs_text
    from mltop.jobs.history.statistics import RUNS, statistics

    id, limit = asked.options.id, asked.options.count
    if id is not None and id.endswith((".timer", ".service")) and id not in asked.config.jobs:
        found, notes = _of_unit(asked, id, limit)
    else:
        history = History(asked.site.state)
        id = _run_name(asked, id) if id is not None else None
        found = history.runs(id, limit if id is None else max(limit, RUNS))
        notes = list(history.notes)
        if id is not None and not found and not notes:
            found_job(asked, asked.options.id, 1)  # raises where it is not there; one that never ran has no history
    told = statistics(found[:RUNS]) if id is not None else None
    found = found[:limit]
    if asked.options.json:
        document({"schema": RUNS_SCHEMA, "runs": found, "statistics": told, "errors": errors(notes)})
    else:
        text(jobs_text.runs(found, told))
        sys.stderr.write("".join(f"- {note}\n" for note in notes))
    return ExitCode.DONE


def _journal_command(asked: Asked, id: str) -> str:
    from mltop.jobs.systemd.switch import scope_and_unit, service_of

    scope, unit = scope_and_unit(id)
    user = "--user " if scope == "user" else ""
    return f"journalctl {user}-u {service_of(scope, asked.site.environment, unit)}"


def _run_name(asked: Asked, id: str) -> str:
    """What its runs are called: a job of the config as it is."""
    from mltop.jobs.foreign import run_name

    return id if id in asked.config.jobs else run_name(id)


def _of_unit(asked: Asked, id: str, limit: int) -> tuple[list[Run], list[str]]:
    """The runs of a timer's service; nothing but the journal is asked."""
    from mltop.jobs.scheduler import manager_off
    from mltop.jobs.systemd.journal import unit_runs
    from mltop.jobs.systemd.switch import scope_and_unit, service_of

    scope, unit = scope_and_unit(id)
    environment = asked.site.environment
    if (off := manager_off("system", environment)) is not None:
        return [], [off]
    return unit_runs(id, service_of(scope, environment, unit), scope, environment, limit)


def _last_with_log(history: History, name: str) -> Run | None:
    """The last run that wrote one, else the last: those that were skipped since wrote none."""
    found = history.runs(name)
    return next((run for run in found if run.log_path is not None), found[0] if found else None)


def _logs(asked: Asked) -> int:
    """The log of a run."""
    from mltop.commands.jobs.log import show

    history = History(asked.site.state)
    options = asked.options
    name = _run_name(asked, options.id)
    run = _last_with_log(history, name) if options.run is None else history.run(options.run)
    if run is None and options.id.endswith(".timer"):
        raise CommandError([f"what {options.id} runs writes to the journal: {_journal_command(asked, options.id)}"])
    if run is None or (options.run is not None and run.job != name):
        raise CommandError(
            [f"no run of {options.id} was seen" if options.run is None else f"no run {options.run} of it"]
        )
    if options.json:
        document({"schema": RUNS_SCHEMA, "runs": [run], "errors": []})
        return ExitCode.DONE
    return show(run, history, options.lines, is_followed=options.follow)
