"""Putting changes in place, each whole or not at all; where one fails, those before it are taken back."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from mltop.config.edit import Edit, make_folder, replace, write
from mltop.config.fault import Fault
from mltop.config.location import SYSTEM_CONFIG
from mltop.jobs.crontab.own import Crontab, CrontabError
from mltop.jobs.kept import hint
from mltop.jobs.plan.change import TIMER_SCOPES, Change, Kind, read
from mltop.jobs.plan.now import now
from mltop.jobs.site import Site
from mltop.jobs.systemd import switch
from mltop.jobs.systemd.manager import SystemdError, order, verify
from mltop.jobs.systemd.place import STOPPED, is_link

_SCOPES = {Kind.USER_UNIT: "user", Kind.SYSTEM_UNIT: "system"}
_FAILURES = (OSError, Fault, CrontabError, SystemdError)


class InstallError(Exception):
    """What could not be put in place; the text says whether anything was changed."""


def install(changes: Sequence[Change], site: Site) -> None:
    """Put all changes in place; raises InstallError, and then all is as it was, or the text says what is not.

    A file that is not what the change was decided upon is an error.
    """
    try:
        _check(changes, site)
    except (OSError, SystemdError) as error:
        raise InstallError(f"{_said(error, changes)}; nothing was changed") from None
    done: list[Change] = []
    group: Sequence[Change] = changes
    try:
        for group in _groups(changes):
            done += group
            _put(group, site)
    except _FAILURES as error:
        kept = [change for change in done if not (isinstance(error, CrontabError) and change.kind is Kind.CRONTAB)]
        raise InstallError(f"{_said(error, group)}{_taken_back(kept, site)}") from None
    except KeyboardInterrupt:
        _taken_back(done, site)
        raise


def _said(error: Exception, group: Sequence[Change]) -> str:
    """What went wrong with a group: of a file that is put in place whole, not the name of what stands in for it."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    is_beside = not error.filename or Path(error.filename).name.startswith(".")
    return f"{group[0].path if is_beside else error.filename}: {error.strerror}{hint(error)}"


def _check(changes: Sequence[Change], site: Site) -> None:
    """Before anything is written: files are what they were, and units are such as systemd takes."""
    for change in changes:
        is_plain = change.kind is not Kind.CRONTAB and not is_link(change.path)
        if is_plain and now(change.kind, change.path, site) != change.before:
            raise SystemdError(f"{change.path} was changed since you looked: look again")
    for kind, scope in _SCOPES.items():
        files = {
            Path(change.path).name: change.after
            for change in changes
            if change.kind is kind and change.after is not None and not is_link(change.path)
        }
        beside = {name: _other(name, changes) for name in list(files)}
        files |= {name: data for pair in beside.values() for name, data in pair.items() if name not in files}
        verify(scope, site.environment, files)


def _other(name: str, changes: Sequence[Change]) -> dict[str, bytes]:
    """The service of a timer that alone is written: without it, the timer cannot be verified."""
    for change in changes:
        if Path(change.path).name == name and name.endswith(".timer"):
            service = Path(change.path).with_suffix(".service")
            data = read(service)
            return {service.name: data} if data is not None else {}
    return {}


def _groups(changes: Sequence[Change]) -> list[list[Change]]:
    """One change at a time, but all units of a manager together: it reads them once. The config first."""
    units = [[change for change in changes if change.kind is kind] for kind in _SCOPES]
    return [
        *([change] for change in changes if change.kind is Kind.CONFIG),
        *([change] for change in changes if change.kind in TIMER_SCOPES),
        *([change] for change in changes if change.kind is Kind.CRONTAB),
        *([change] for change in changes if change.kind is Kind.CRON_D),
        *(group for group in units if group),
    ]


def _put(group: Sequence[Change], site: Site) -> None:
    kind = group[0].kind
    if kind is Kind.CRONTAB:
        after = group[0].after or b""
        Crontab(site.state, site.environment).write(lambda _: after, seen=group[0].before or b"")
    elif kind in _SCOPES:
        _put_units(group, _SCOPES[kind], site)
    elif kind in TIMER_SCOPES:
        change = group[0]
        switch.put(TIMER_SCOPES[kind], site.environment, change.path, change.before or b"", change.after or b"")
    else:
        _put_file(group[0])


def _put_file(change: Change) -> None:
    path = Path(change.path)
    if change.after is None:
        path.unlink(missing_ok=True)
        return
    if change.kind is Kind.CONFIG:
        write(Edit(path, change.before, change.after), is_shared=path.is_relative_to(SYSTEM_CONFIG.parent))
        return
    make_folder(path.parent, 0o700 if change.kind is Kind.USER_UNIT else 0o755)
    replace(path, change.after, 0o644 if change.mode is None else change.mode)


def _put_units(group: Sequence[Change], scope: str, site: Site) -> None:
    """Timers that change are stopped and forget when they last ran, so that a new schedule makes up nothing."""
    changed = {Path(change.path).name for change in group if change.path.endswith(".timer")}
    was = sorted(
        {Path(change.path).name for change in group if change.path.endswith(".timer") and change.before is not None}
    )
    links = {Path(change.path).name: change.after for change in group if is_link(change.path)}
    off = sorted(name for name, after in links.items() if after is None)
    if was:
        with contextlib.suppress(SystemdError):  # not loaded: a file that no manager has read yet
            order(scope, site.environment, "stop", *was)
    if off:
        order(scope, site.environment, "disable", *off)
    for name in was:
        with contextlib.suppress(SystemdError):  # no stamp, or a manager older than 243
            order(scope, site.environment, "clean", "--what=state", name)
    for change in group:
        if not is_link(change.path) and read(Path(change.path)) != change.after:
            _put_file(change)
    order(scope, site.environment, "daemon-reload")
    on = sorted(name for name in changed if name not in off and _is_there(name, group))
    stopped = [name for name in on if (links.get(name) or b"").endswith(STOPPED)]
    if stopped:
        order(scope, site.environment, "enable", *stopped)
    if len(stopped) < len(on):
        order(scope, site.environment, "enable", "--now", *(name for name in on if name not in stopped))


def _is_there(name: str, group: Sequence[Change]) -> bool:
    return not any(
        Path(change.path).name == name and not is_link(change.path) and change.after is None for change in group
    )


def _taken_back(done: Sequence[Change], site: Site) -> str:
    """Undo what was done before something failed; says how that went."""
    failed = []
    for group in reversed(_groups([change.reversed() for change in done])):
        if all(_is_before(change, site) for change in group):
            continue  # what failed had changed nothing
        try:
            _put(group, site)
        except _FAILURES as error:
            place = "" if isinstance(error, OSError) else f"{group[0].path}: "
            failed.append(place + _said(error, group))
    if failed:
        return f"; and could not be taken back: {'; '.join(failed)}"
    return "" if len(done) <= 1 else "; all is as it was"


def _is_before(change: Change, site: Site) -> bool:
    """Whether a way back has nothing to go back from."""
    try:
        if change.kind is Kind.CRONTAB:
            return now(change.kind, change.path, site) == (change.after or b"")
        return not is_link(change.path) and now(change.kind, change.path, site) == change.after
    except (OSError, CrontabError, SystemdError):
        return False
