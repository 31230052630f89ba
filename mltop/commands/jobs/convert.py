"""`mltop jobs convert`: a job of cron's becomes systemd's, or back, where nothing of its times changes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mltop.commands.jobs.adopt import adopt
from mltop.commands.jobs.asked import PLAN_SCHEMA, Adder, Asked, CommandError
from mltop.commands.jobs.edit import file_of, new_file
from mltop.commands.jobs.operate import Made, edits_of, file_changes, jobs_after, operate
from mltop.commands.parser import ExitCode
from mltop.config.change import SetKey
from mltop.config.location import SYSTEM_CONFIG
from mltop.jobs.adoption import Adoption
from mltop.jobs.conversion import ConversionError, exempt_days
from mltop.jobs.foreign import Foreign
from mltop.jobs.plan.plan import plan
from mltop.jobs.schedule.schedule import ScheduleFault, parse
from mltop.jobs.scheduler import backend, has_linger


def add_to(one: Adder) -> None:
    """Add the subcommand to the parser."""
    changing = one("convert", _convert, "from cron to systemd, or back, at the same times", PLAN_SCHEMA, "steps")
    changing.add_argument("id", metavar="ID", help="a job, or what mltop jobs list has: that becomes one first")
    changing.add_argument("--to", required=True, choices=("cron", "systemd"), help="the scheduler that shall run it")
    changing.add_argument("--as", dest="name", metavar="NAME", help="what the job is called that it becomes")
    changing.add_argument("--dry-run", action="store_true", help="only show the difference")
    changing.add_argument("--yes", "-y", action="store_true", help="do not ask, also on a terminal")


def _convert(asked: Asked) -> int:
    options = asked.options
    jobs = asked.sound().jobs
    if options.id not in jobs:
        return adopt(asked, "convert", lambda one, adoption: _adopted(asked, one, adoption))
    if options.name is not None:
        raise CommandError([f"{options.id} has its name already: --as is for what is not mltop's"], ExitCode.USAGE)
    job = jobs[options.id]
    notes = _compared(asked, job.schedule, job.scope)

    def make() -> Made:
        edits = edits_of(asked, [(file_of(asked, options.id), SetKey(options.id, ("backend",), options.to))])
        made = plan(jobs_after(asked, edits).jobs.values(), asked.site, only=(options.id,))
        steps = tuple(step for step in made.steps if step.id == options.id)
        faults = [step.note for step in steps if step.is_fault and step.note]
        if faults:
            raise CommandError(faults)
        changes = (*file_changes(edits), *made.changes)
        return Made(msgspec.structs.replace(made, steps=steps, changes=changes, notes=(*notes, *made.notes)))

    return operate(asked, "convert", make, options.id)


def _adopted(asked: Asked, one: Foreign, adoption: Adoption) -> Adoption:
    """What is somebody's as a job of the other scheduler; raises CommandError where it is there already, or differs."""
    to = asked.options.to
    if (one.timer is not None) == (to == "systemd"):
        raise CommandError([f"{one.job.id} is {to}'s already: mltop jobs adopt {one.job.id} makes it a job of mltop's"])
    texts = adoption.table["schedule"]
    scope = "system" if new_file(asked) == SYSTEM_CONFIG else "user"  # root's own crontab is the system's, as a job
    notes = _compared(asked, (texts,) if isinstance(texts, str) else texts, scope)
    return Adoption(table=adoption.table | {"backend": to}, notes=(*notes, *adoption.notes))


def _compared(asked: Asked, texts: Sequence[str], scope: str) -> list[str]:
    """The days on which the two differ; raises CommandError where more than those do, or the other is not here."""
    id, to = asked.options.id, asked.options.to
    if not texts:
        raise CommandError([f"{id} has no schedule: it is run by hand, whatever the scheduler"])
    try:
        schedules = [parse(text) for text in texts]
        if to == "cron":
            for one in schedules:
                one.cron()
        notes = exempt_days(schedules)
    except (ConversionError, ScheduleFault) as error:
        raise CommandError([f"{id} stays where it is: {error}"]) from None
    where, why = backend(to, scope, asked.site.environment, is_root=asked.site.is_root)
    if where is None:
        raise CommandError([f"{id} stays where it is: {why}"])
    if to == "systemd" and scope == "user" and not has_linger(asked.site.environment):
        notes.append("your timers stop when you log out, which cron does not: loginctl enable-linger")
    return notes
