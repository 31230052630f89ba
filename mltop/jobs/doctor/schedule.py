"""Whether what the config wants is what the schedulers have, once, and goes on after a log-out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from mltop.config.derived import backup_of
from mltop.jobs.crontab import line as cron_line
from mltop.jobs.crontab.text import entries
from mltop.jobs.doctor.scene import Scene
from mltop.jobs.doctor.symptom import Report, fault, ok, unknown, warning
from mltop.jobs.foreign import Foreign, system_crontabs
from mltop.jobs.plan.plan import Plan, block_lines, cron_d_lines
from mltop.jobs.plan.wish import Wish
from mltop.jobs.scheduler import has_linger, manager_off
from mltop.jobs.systemd.unit import id_of
from mltop.jobs.user import local_user
from mltop.model.doctor import Symptom
from mltop.model.job import Drift
from mltop.system.text import clean

_APPLY = "mltop jobs plan shows it, mltop jobs apply does it"
_RUN = re.compile(r"(?:^|[\s/])mltop\s+run\s+(?P<id>[a-z0-9][a-z0-9_.-]*)")


def look(scene: Scene) -> Report:
    """Look at all schedulers."""
    others, _ = system_crontabs()
    found = [*standing(scene.plan), *twice(_places(scene)), *_strangers(scene, others), *not_run(others)]
    name, _ = local_user(scene.environment)
    is_used = scene.uses("systemd") and "system" not in scene.site.scopes()
    found += linger(name, is_used=is_used, is_on=has_linger(scene.environment))
    found += _managers(scene)
    return Report(tuple(found))


def standing(made: Plan) -> Iterator[Symptom]:
    """Jobs that are not in their scheduler as their config has them."""
    for step in made.steps:
        note = clean(step.note or "", 300)
        if step.is_fault:
            yield fault("schedule.applied", f"{step.id} is not scheduled: {note}", "mltop jobs plan says more", step.id)
        elif step.drift is Drift.DRIFTED:
            what = f"{step.id} was edited by hand in its scheduler"
            yield warning("schedule.applied", what, "mltop jobs apply --mine or --theirs", step.id)
        elif step.drift is Drift.ORPHANED:
            what = f"{step.id} is in a scheduler and in no config"
            yield warning("schedule.applied", what, _APPLY, step.id)
        elif step.drift in (Drift.MISSING, Drift.CHANGED):
            what = f"{step.id} is {'not' if step.drift is Drift.MISSING else 'as it was before'} in its scheduler"
            yield warning("schedule.applied", what, _APPLY, step.id)
    for note in made.notes:
        yield unknown("schedule.applied", clean(note, 300), "mltop jobs plan says more")
    if not made.notes and all(step.drift is Drift.IN_SYNC and not step.is_fault for step in made.steps):
        yield ok("schedule.applied", f"{len(made.steps)} jobs are in their schedulers as the config has them")


def twice(places: Mapping[str, Sequence[str]]) -> Iterator[Symptom]:
    """Jobs that more than one scheduler starts."""
    for job, several in places.items():
        if len(several) > 1:
            what = f"{job} is started by {' and by '.join(several)}"
            yield warning("schedule.duplicate", what, f"remove it from all but one; {_APPLY}", job)


def same_command(wishes: Iterable[Wish], lines: Iterable[tuple[str, str]]) -> Iterator[Symptom]:
    """Lines of others (where, command) that run what a job of the config runs, or that job itself."""
    own = {wish.id: _words(wish) for wish in wishes}
    for where, command in lines:
        match = _RUN.search(command)
        for job, words in own.items():
            if (match is not None and match["id"] == job) or (words and " ".join(command.split()) == words):
                what = f"{where} runs {job} too"
                yield warning("schedule.duplicate", what, f"pause one of the two: mltop jobs disable {job}", job)


def not_run(others: Iterable[Foreign]) -> Iterator[Symptom]:
    """Files of the system that cron leaves out whole, one line each: only its log tells."""
    for path, why in dict.fromkeys(
        ((one.job.source or "").rpartition(":")[0], one.job.description or "")
        for one in others
        if one.job.state == "not run"
    ):
        yield warning("cron.file", f"{path}: {why}", "correct it: crontab(5) and cron(8) say what cron takes", path)


def linger(user: str, *, is_used: bool, is_on: bool) -> Iterator[Symptom]:
    """A user's timers stop with the last log-out, unless it lingers (loginctl(1))."""
    if is_used and is_on:
        yield ok("systemd.linger", f"{user}'s timers go on after a log-out")
    elif is_used:
        what = f"linger is off: {user}'s timers stop at the last log-out"
        yield fault("systemd.linger", what, f"loginctl enable-linger {user}")


def _managers(scene: Scene) -> Iterator[Symptom]:
    for wish in scene.wishes:
        if wish.job.backend == "systemd" and wish.job.enabled and wish.job.schedule:
            off = manager_off(wish.job.scope, scene.environment)
            if off is not None:
                yield fault("systemd.manager", f"{wish.id}: {off}", 'set backend = "cron", or start it', wish.id)


def _places(scene: Scene) -> Mapping[str, Sequence[str]]:
    """By job, the schedulers that start it."""
    have = scene.installed
    found: dict[str, list[str]] = {}
    for where, lines in (("the crontab", block_lines(have)), ("cron.d", cron_d_lines(have))):
        for one in filter(None, map(cron_line.owned, lines)):
            places = found.setdefault(one.id, [])
            if one.id != cron_line.CATCH_UP and not one.is_paused and where not in places:
                places.append(where)
    for scope, folder in have.units.items():
        for name in folder.enabled:
            if (job := id_of(name)) is not None:
                found.setdefault(job, []).append(f"systemd ({scope})")
    return found


def _strangers(scene: Scene, others: Iterable[Foreign]) -> Iterator[Symptom]:
    crontab, _ = scene.crontab
    own = [(f"crontab:{one.number}", one.command) for one in entries(crontab or b"", "crontab") if one.is_enabled]
    lines = [(where, command.decode("utf-8", "replace")) for where, command in own]
    for one in others:
        if one.entry is not None and one.entry.is_enabled:
            lines.append((one.job.source or one.job.id, one.entry.command.decode("utf-8", "replace")))
    scheduled = [wish for wish in scene.wishes if wish.backend is not None and backup_of(wish.id) is None]
    return same_command(scheduled, lines)


def _words(wish: Wish) -> str | None:
    from mltop.config.job import CommandSpec

    spec = wish.job.spec
    if not isinstance(spec, CommandSpec):
        return None
    return " ".join((spec.command if isinstance(spec.command, str) else " ".join(spec.command)).split())
