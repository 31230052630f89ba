"""`mltop jobs run ID`: start a job now, so that it outlives whoever asked."""

from __future__ import annotations

from mltop.commands.jobs.asked import Adder, Asked, CommandError, found_job, jobs_document, text
from mltop.commands.parser import ExitCode
from mltop.jobs.foreign import by_id
from mltop.jobs.runner import start
from mltop.model.job import Job


def add_to(one: Adder) -> None:
    """Add the subcommand to the parser."""
    one("run", _run, "start a job now; it outlives this terminal").add_argument("id", metavar="ID")


def _run(asked: Asked) -> int:
    """Start it, and say how."""
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
        jobs_document([Job(id=id, state="started", description=how)])
    else:
        text(f"started {id} {how}; mltop jobs logs {id} -f shows its log\n")
    return ExitCode.DONE


def _manager_scope(asked: Asked, scope: str) -> str:
    """Whose manager starts it: root's jobs are the system's."""
    return "system" if asked.site.is_root else scope


def _run_foreign(asked: Asked, id: str) -> str:
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
