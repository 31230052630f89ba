"""`mltop backup explain`: what a job covers, what is proven of it, and what its retention would do and why."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mltop.commands.backup.document import BackupsDocument, Explained, meant, no_more
from mltop.commands.backup.drill import last_drill_line, last_drills
from mltop.commands.output import write_document, write_lines
from mltop.commands.progress import say_on_error, terminal_of, watched
from mltop.config.derived import drill_of
from mltop.config.job import JobConfig
from mltop.config.jobs import load_job
from mltop.jobs.moment import utc
from mltop.jobs.schedule.schedule import ScheduleFault, parse
from mltop.reports.plain import size
from mltop.tasks.archive import name, shelf
from mltop.tasks.archive.found import Scan
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.archive.prune import prune_by_hand
from mltop.tasks.archive.record import Archive, State
from mltop.tasks.archive.scan import scan
from mltop.tasks.archive.target import Target, how_to_restore
from mltop.tasks.configured import hooks_of
from mltop.tasks.outcome import CancelledError, TaskError, UsageError, many
from mltop.tasks.summary import keep_lines, problem_lines, took

_NEXT = 3


def explain(options: argparse.Namespace) -> int:
    """Explain one job; nothing is written. 0, whatever there is to say."""
    job, _, words = meant(options)
    no_more(words)
    if job is None:
        raise UsageError("explain takes a job: a folder alone has no rules")
    with terminal_of(None) as terminal, watched(terminal, say_on_error) as (control, cancellation):
        try:
            control.begin("scan")
            identity, archives = _target(job)
            found = scan(job, identity, control)
        except CancelledError as error:
            return cancellation.code(error.code)
    explained = _explained(job, load_job(options.words[0], options.config), found, archives, options.state_dir)
    if options.json:
        return write_document(BackupsDocument(action="explain", explained=explained))
    return write_lines(_lines(explained))


def _explained(
    job: BackupJob, config: JobConfig, found: Scan, archives: Sequence[Archive], state_dir: str | None
) -> Explained:
    good = [each for each in archives if each.state is State.VERIFIED]
    drill = drill_of(config)
    newest = good[-1] if good else None
    return Explained(
        job=job.job,
        sources=found.sources,
        target=job.target,
        files=found.files,
        source_bytes=found.source_bytes,
        exclude=job.exclude,
        excluded=found.excluded,
        excluded_bytes=found.excluded_bytes,
        settle_s=job.settle_s,
        problems=tuple(found.problems),
        notes=tuple(found.notes),
        hooks=tuple(_hook_lines(config)),
        keep=job.keep,
        pruned=prune_by_hand(job, dry_run=True) if archives else None,
        newest=newest,
        drill=last_drills((job.job,), archives, state_dir)[0],
        next_runs=_next(config),
        next_drills=_next(drill) if drill else (),
        restore=how_to_restore(newest.id if newest else "ID", name.ENDINGS[job.compression]),
    )


def _hook_lines(config: JobConfig) -> Iterator[str]:
    """`before: systemctl stop x`, as a shell would be given it."""
    hooks = hooks_of(config)
    for when in ("before", "after", "on_error", "always"):
        if words := getattr(hooks, when):
            yield f"{when}: {shlex.join(words)}"


def _target(job: BackupJob) -> tuple[tuple[int, int] | None, list[Archive]]:
    """What the target is and holds; nothing where it is not made yet, or not there now."""
    try:
        with Target(job.target) as target:
            return target.identity, shelf.archives(target, job.job)
    except TaskError:
        return None, []


def _next(job: JobConfig) -> tuple[str, ...]:
    if not job.enabled:
        return ()
    times: list[datetime] = []
    for text in job.schedule:
        try:
            times += parse(text).next_runs(datetime.now(UTC), _NEXT)
        except ScheduleFault:
            continue  # said by config check
    return tuple(utc(each.timestamp()) for each in sorted(times)[:_NEXT])


def _lines(of: Explained) -> list[str]:
    lines = [f"{of.job} backs up to {of.target}"]
    lines += [f"  from      {each.path} as {each.name}/" for each in of.sources]
    lines.append(f"  now       {many(of.files, 'file')}, {size(of.source_bytes)}")
    lines.append(f"  left out  {many(of.excluded, 'path')}, {size(of.excluded_bytes)}")
    lines.append(f"            by {', '.join(of.exclude) or 'no pattern'}")
    lines.append(f"  settles   files written to less than {took(of.settle_s)} ago are waited for")
    lines += problem_lines(of.problems) + problem_lines(of.notes, "note")
    verified = f"{of.newest.verified_at:%Y-%m-%d %H:%M}Z, {of.newest.id}" if of.newest else "never"
    lines.append(f"  verified  {verified}")
    lines.append(f"  drill     {last_drill_line(of.drill)}")
    lines.append(f"  next      {', '.join(of.next_runs) or 'by hand only'}")
    lines.append(f"  drills    {', '.join(of.next_drills) or 'by hand only'}")
    lines += [f"  hook      {each}" for each in of.hooks]
    lines.append(f"  keeps     {_policy(of)}")
    lines += keep_lines(of.pruned) if of.pruned else ["  no archive yet"]
    if of.pruned and of.pruned.message:
        lines.append(f"  pruned    nothing: {of.pruned.message}")
    return [*lines, "  by hand:", *(f"    {each}" for each in of.restore)]


def _policy(of: Explained) -> str:
    keep = of.keep
    if keep.is_empty:
        return "everything"
    words = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
    parts = [f"{number} {word}" for word in words if (number := getattr(keep, word))]
    if keep.within_s:
        parts.append(f"all within {keep.within_s / 86400:g} days of the newest verified")
    return f"{', '.join(parts)}; at least {keep.min} verified, and always the newest"
