"""`mltop jobs run ID`: start a job now, so that it outlives whoever asked."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mltop.commands.jobs.asked import Adder, Asked, CommandError, found_job, jobs_document, text
from mltop.commands.parser import ExitCode
from mltop.jobs.foreign import by_id, run_name
from mltop.jobs.program import find
from mltop.jobs.runner import start
from mltop.model.job import Job
from mltop.system.text import clean


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
    if one is None:
        raise CommandError([f"{id} stands in the scheduler alone: it is no job any more"])
    if one.job.scope == "system" and "system" not in asked.site.scopes():
        how = "without --config" if asked.site.is_root else f"sudo mltop jobs run {id}"
        raise CommandError([f"{id} is the system's: {how}"])
    if one.entry is None:
        shell = (str(one.job.source),)
        what = start.Start(_wrapped(asked, id, shell), start.kept(environment))
    else:
        what = start.of_entry(one.entry, run_name(id), asked.files(), environment)
        if one.entry.user is not None:
            what = _as_user(what, one.entry.user.decode("utf-8", "replace"), one.entry.environment)
    return start.start(what, run_name(id), environment, _manager_scope(asked, "user"))


def _wrapped(asked: Asked, id: str, argv: tuple[str, ...]) -> tuple[str, ...]:
    return start.interpreter_argv("run", "--trigger", "manual", "--id", run_name(id), *asked.files(), "--", *argv)


def _as_user(what: start.Start, name: str, given: Mapping[str, str]) -> start.Start:
    """The line of another user, as cron starts it: the wrapper stays root's, and the command becomes that user."""
    import pwd

    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise start.StartError(f"there is no user {clean(name, 32)}") from None
    environment = {**what.environment, "HOME": account.pw_dir, "LOGNAME": name, "USER": name, **given}
    at = what.argv.index("--") + 1
    become = (find("runuser") or "runuser", "-u", name, "--") if account.pw_uid != os.geteuid() else ()
    return start.Start((*what.argv[:at], *become, *what.argv[at:]), environment, environment["HOME"])
