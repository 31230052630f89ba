"""Make the schedulers what the config says, and take the last such step back: one lock, one record, all or nothing."""

from __future__ import annotations

from collections.abc import Iterable

from mltop.config.job import JobConfig
from mltop.jobs.crontab.block import Resolve
from mltop.jobs.plan.operation import Operation, OperationError, Operations
from mltop.jobs.plan.plan import Plan, plan
from mltop.jobs.site import Site


class ApplyError(Exception):
    """What could not be done, a line each; what else could be is done."""

    def __init__(self, lines: Iterable[str], operation: Operation | None = None) -> None:
        self.lines = tuple(lines)
        self.operation = operation
        """What was done all the same."""
        super().__init__("; ".join(self.lines))


def apply(
    jobs: Iterable[JobConfig], site: Site, resolve: Resolve = "keep", seen: Plan | None = None
) -> Operation | None:
    """Install what differs; `None` where nothing does. Raises ApplyError with all that could not be.

    `seen` is what somebody was shown: what has become something else is not done. A hand edit stays unless `resolve` is
    `mine`; so does what is installed of a job whose schedule is wrong.
    """
    operations = Operations(site)
    try:
        with operations.locked():
            made = plan(jobs, site, resolve)
            if seen is not None and seen.changes != made.changes:
                raise ApplyError(["something was changed since you looked: look again"])
            done = operations.do("apply", made.changes) if made.changes else None
    except OperationError as error:
        raise ApplyError([str(error)]) from None
    if lines := left(made, resolve):
        raise ApplyError(lines, done)
    return done


def left(made: Plan, resolve: Resolve = "keep") -> list[str]:
    """What a plan cannot put in step, in lines for people."""
    lines = list(made.faults)
    if resolve != "mine":
        lines += [
            f"{id} was edited by hand in the scheduler: --mine puts back what the config has, --theirs takes it over"
            for id in made.drifted
        ]
    return lines


def undo(site: Site) -> Operation:
    """Take back the last operation: config and schedulers; raises ApplyError where anything was changed since."""
    operations = Operations(site)
    try:
        with operations.locked():
            last = operations.last()
            if last is None:
                raise ApplyError(["nothing to undo"])
            changes = operations.undo(last)
            return operations.do("undo", changes, last.target, undoes=last.id)
    except OperationError as error:
        raise ApplyError([str(error)]) from None
