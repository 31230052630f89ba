"""Orders to systemd's managers: verify, reload, enable, disable; through systemctl, which never asks for a password."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mltop.jobs.program import Answer, MissingProgramError, ProgramError, ask
from mltop.jobs.scheduler import runtime_directory

_DEADLINE_S = 30.0
"""A reload of a large box takes seconds."""


class SystemdError(Exception):
    """A manager that refused, or did not answer; in words."""


def environment_for(scope: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment that finds a user's manager, under cron and sudo too; times are told in UTC."""
    made = {**environment, "TZ": "UTC"}
    if scope == "user":
        made["XDG_RUNTIME_DIR"] = str(runtime_directory(environment))
    return made


def systemctl(scope: str, environment: Mapping[str, str], *arguments: str, deadline_s: float = _DEADLINE_S) -> Answer:
    """Ask a manager; raises ProgramError where it does not answer."""
    user = ("--user",) if scope == "user" else ()
    argv = ("systemctl", *user, "--no-ask-password", "--no-pager", *arguments)
    return ask(argv, deadline_s, environment_for(scope, environment))


def order(scope: str, environment: Mapping[str, str], *arguments: str) -> None:
    """Have a manager do something; raises SystemdError."""
    try:
        answer = systemctl(scope, environment, *arguments)
    except ProgramError as error:
        raise SystemdError(str(error)) from None
    if answer.code != 0:
        raise SystemdError(f"systemctl {arguments[0]}: {answer.complaint()}")


def verify(scope: str, environment: Mapping[str, str], files: Mapping[str, bytes]) -> None:
    """Have systemd-analyze read units before they are installed; raises SystemdError for the first complaint.

    `--recursive-errors=yes`: without it an unknown key is no error (systemd 252).
    """
    if not files:
        return
    user = ("--user",) if scope == "user" else ()
    with tempfile.TemporaryDirectory(prefix="mltop-units-") as folder:
        paths = [Path(folder) / name for name in files]
        for path, data in zip(paths, files.values(), strict=True):
            path.write_bytes(data)
        argv = ("systemd-analyze", "verify", *user, "--man=no", "--recursive-errors=yes", *map(str, paths))
        try:
            answer = ask(argv, _DEADLINE_S, environment_for(scope, environment))
        except MissingProgramError:
            return  # some distributions part it from systemd; the manager reads them too
        except ProgramError as error:
            raise SystemdError(str(error)) from None
    if answer.code != 0:
        raise SystemdError(f"systemd would not take the units: {_about(answer, [path.name for path in paths])}")


def _about(answer: Answer, names: Sequence[str]) -> str:
    """Its complaint about one of these files, else its first one."""
    for line in answer.err.splitlines():
        if any(name.encode() in line for name in names):
            return Answer(answer.code, b"", line).complaint()
    return answer.complaint()
