"""Timers that are not mltop's, switched on and off: their state in words, so that what it was can be given back.

A state is `enabled, active`: what systemctl(1) says of the unit file, and whether the timer waits for its time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from mltop.jobs.program import ProgramError
from mltop.jobs.systemd.manager import SystemdError, order, systemctl

_SYSTEM_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_USER_FOLDERS = (
    "/etc/systemd/user",
    "/run/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
    "/lib/systemd/user",
)
"""Where units are looked for, the first of a name holds (systemd.unit(5))."""
_NAME = re.compile(r"[A-Za-z0-9:_.@\\-]{1,255}")


def scope_and_unit(id: str) -> tuple[str, str]:
    """A timer's id in the list, as its scope and its unit."""
    return ("user", id.removeprefix("user/")) if id.startswith("user/") else ("system", id)


def state(scope: str, environment: Mapping[str, str], unit: str) -> bytes:
    """`enabled, active` of a timer, as its manager has it; raises SystemdError where it has none of this name."""
    try:
        answer = systemctl(scope, environment, "show", "--property=LoadState,UnitFileState,ActiveState", "--", unit)
    except ProgramError as error:
        raise SystemdError(str(error)) from None
    if answer.code != 0:
        raise SystemdError(f"systemctl show: {answer.complaint()}")
    found = dict(line.partition("=")[::2] for line in answer.out.decode("utf-8", "replace").splitlines())
    if found.get("LoadState") == "not-found":
        raise SystemdError(f"no timer {unit} in the {scope}'s manager; see mltop jobs list --all")
    file = "masked" if found.get("LoadState") == "masked" else found.get("UnitFileState") or "transient"
    return _state(file, found.get("ActiveState") == "active")


def off(unit: str, now: bytes) -> bytes:
    """The state of a timer that runs nothing any more, also after the box starts again; raises SystemdError.

    One that nothing enables (`static`, `generated`) is masked: to disable it changes nothing.
    """
    file, _ = _parts(now)
    if file in ("masked", "masked-runtime"):
        return now
    if file in ("enabled", "disabled", "enabled-runtime"):
        return _state("disabled", is_active=False)
    if file in ("static", "generated", "indirect", "alias"):
        return _state("masked", is_active=False)
    raise SystemdError(f"{unit} is {file}: what made it would bring it back; stop it there")


def on(scope: str, environment: Mapping[str, str], unit: str, now: bytes) -> bytes:
    """The state of a timer that runs, also after the box starts again."""
    file, _ = _parts(now)
    if file in ("masked", "masked-runtime"):
        file = "disabled" if "[Install]" in text_of(scope, environment, unit) else "static"
    return _state("enabled" if file == "disabled" else file, is_active=True)


def put(scope: str, environment: Mapping[str, str], unit: str, before: bytes, after: bytes) -> None:
    """Bring a timer from a state into another; raises SystemdError."""
    (was, _), (file, is_active) = _parts(before), _parts(after)
    if file.startswith("masked"):
        order(scope, environment, "stop", "--", unit)  # first: one that is masked while it waits ends as failed
        order(scope, environment, "mask", "--", unit)
        return
    if was.startswith("masked"):
        order(scope, environment, "unmask", "--", unit)
    if file.startswith("enabled") and was != file:
        runtime = ("--runtime",) if file == "enabled-runtime" else ()
        order(scope, environment, "enable", *runtime, "--", unit)
    elif file == "disabled" and was != file:
        order(scope, environment, "disable", "--", unit)
    order(scope, environment, "start" if is_active else "stop", "--", unit)


def text_of(scope: str, environment: Mapping[str, str], unit: str) -> str:
    """A unit's file as it is on the disk, without a mask over it; nothing where there is none. Drop-ins are left out.

    Read here, since a manager tells nothing of a unit that is masked, and each question costs a program.
    """
    if not _NAME.fullmatch(unit):
        return ""
    folders = [Path(folder) for folder in (_SYSTEM_FOLDERS if scope == "system" else _USER_FOLDERS)]
    if scope == "user":
        base = environment.get("XDG_CONFIG_HOME", "")
        home = Path(base) if base.startswith("/") else Path(environment.get("HOME", "/")) / ".config"
        folders.insert(0, home / "systemd" / "user")
    template = re.sub(r"@[^@]+(?=\.timer$)", "@", unit)
    for name in dict.fromkeys((unit, template)):
        for folder in folders:
            path = folder / name
            try:
                if path.is_file():  # a mask is a link to /dev/null
                    return path.read_text("utf-8", "replace")
            except OSError:
                continue
    return ""


def service_of(scope: str, environment: Mapping[str, str], unit: str) -> str:
    """What a timer activates, by its file: `Unit=`, else the service of its name."""
    if not unit.endswith(".timer"):
        return unit
    named = re.findall(r"^\s*Unit\s*=\s*(\S+)\s*$", text_of(scope, environment, unit), re.MULTILINE)
    return named[-1] if named and "%" not in named[-1] else f"{unit.removesuffix('.timer')}.service"


def _state(file: str, is_active: bool) -> bytes:
    return f"{file}, {'active' if is_active else 'inactive'}\n".encode()


def _parts(data: bytes) -> tuple[str, bool]:
    file, _, active = data.decode("utf-8", "replace").strip().partition(", ")
    return file, active == "active"
