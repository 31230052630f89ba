"""`mltop jobs plan|apply|undo`: the config into the schedulers, and back."""

from __future__ import annotations

from collections.abc import Sequence

from mltop.commands.jobs.asked import PLAN_SCHEMA, Adder, Asked, document, shown_done, shown_plan, text
from mltop.commands.jobs.operate import warn
from mltop.commands.parser import ExitCode
from mltop.jobs.crontab.block import Resolve
from mltop.jobs.plan.apply import ApplyError, apply, left, undo
from mltop.jobs.plan.change import BEGUN
from mltop.jobs.plan.operation import Operations
from mltop.jobs.plan.plan import plan


def add_to(one: Adder) -> None:
    """Add these subcommands to the parser."""
    planned = one("plan", _plan, "what apply would change", PLAN_SCHEMA, "steps")
    planned.add_argument("--exit-code", action="store_true", help="1 where there is a difference")
    applied = one("apply", _apply, "install what differs", PLAN_SCHEMA, "steps")
    which = applied.add_mutually_exclusive_group()
    which.add_argument("--mine", action="store_true", help="over what was edited by hand in the scheduler")
    which.add_argument("--theirs", action="store_true", help="take what was edited by hand into the config")
    applied.add_argument("--dry-run", action="store_true", help="only show it")
    one("undo", _undo, "take the last change back, config and scheduler", PLAN_SCHEMA, "steps")


def _plan(asked: Asked) -> int:
    made = plan(asked.sound().jobs.values(), asked.site)
    shown_plan(asked, made)
    has_difference = bool(made.changes or made.drifted)
    if made.faults:
        return ExitCode.FAILED
    return ExitCode.FAILED if has_difference and asked.options.exit_code else ExitCode.DONE


def _apply(asked: Asked) -> int:
    from mltop.commands.jobs import edit as jobs_edit

    options = asked.options
    jobs = asked.sound().jobs
    if options.theirs:
        return jobs_edit.take_theirs(asked)
    resolve: Resolve = "mine" if options.mine else "keep"
    made = plan(jobs.values(), asked.site, resolve)
    if options.dry_run:
        shown_plan(asked, made)
        return ExitCode.FAILED if left(made, resolve) else ExitCode.DONE
    if not made.changes and not (asked.site.state / BEGUN).exists():  # what has nothing to do writes nothing
        shown_done(asked, made, None, faults := left(made, resolve))
        return ExitCode.FAILED if faults else ExitCode.DONE
    warn(asked, made)
    lines: Sequence[str] = ()
    try:
        done = apply(jobs.values(), asked.site, resolve, seen=made)
    except ApplyError as error:
        done, lines = error.operation, error.lines
    shown_done(asked, made, done, lines)
    return ExitCode.FAILED if lines else ExitCode.DONE


def _undo(asked: Asked) -> int:
    done = undo(asked.site)
    if asked.options.json:
        document({"schema": PLAN_SCHEMA, "steps": [], "diff": "", "operation": done, "notes": [], "errors": []})
    else:
        last = next((one for one in Operations(asked.site).all() if one.id == done.undoes), None)
        what = f"{last.operation}{f' {last.target}' if last.target else ''} of {last.time}" if last else "it"
        text(f"taken back: {what} ({', '.join(record.path for record in done.changes)})\n")
    return ExitCode.DONE
