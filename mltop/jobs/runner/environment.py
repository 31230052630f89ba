"""What a job finds in its environment: the same by hand and by the schedule, but for `MLTOP_*` (J40)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from mltop.config.job import JobConfig
from mltop.jobs.runner.child import Account
from mltop.jobs.user import local_user

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""That of systemd's services (systemd.exec(5)); Debian's cron has two folders of it (crontab(5))."""
_CRON_PATH = "/usr/bin:/bin"
_OF_THE_CALLER = frozenset(
    [
        "DBUS_SESSION_BUS_ADDRESS",
        "DISPLAY",
        "EXEC_PID",
        "HOME",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LOGNAME",
        "MAILFROM",
        "MAILTO",
        "MAINPID",
        "MANAGERPID",
        "MEMORY_PRESSURE_WATCH",
        "MEMORY_PRESSURE_WRITE",
        "NOTIFY_SOCKET",
        "OLDPWD",
        "PWD",
        "SHLVL",
        "SYSTEMD_EXEC_PID",
        "TERM",
        "USER",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
        "XDG_RUNTIME_DIR",
        "XDG_SEAT",
        "XDG_SESSION_CLASS",
        "XDG_SESSION_ID",
        "XDG_SESSION_TYPE",
        "XDG_VTNR",
        "_",
    ]
)
"""What a scheduler or a session says of itself, and no job's business."""
_MAX_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class EnvironmentFault(Exception):  # noqa: N818 - what is wrong, for a reader
    """An `env_file` that cannot be used, and why."""


def of_job(job: JobConfig, inherited: Mapping[str, str], account: Account, *, is_scheduled: bool) -> dict[str, str]:
    """The environment of a configured job, without the run's own marks; raises EnvironmentFault.

    By hand it is a fixed base. By the schedule, what the scheduler was told (variables in the crontab, `Environment=`)
    lies over that. Then `env_file`, then `env`.
    """
    found = {"LANG": "C.UTF-8", "PATH": PATH, "SHELL": "/bin/sh"}
    if is_scheduled:
        found |= {name: value for name, value in inherited.items() if name not in _OF_THE_CALLER}
        if found["PATH"] == _CRON_PATH:
            found["PATH"] = PATH
        if found.get("LC_CTYPE") == found["LANG"]:
            del found["LC_CTYPE"]  # Python itself sets it where there is no locale (PEP 538)
    else:
        found |= {name: value for name, value in inherited.items() if name.startswith("MLTOP_")}
    found |= {"HOME": account.home, "LOGNAME": account.name, "USER": account.name}
    if job.env_file is not None:
        found |= read_file(Path(expanded(job.env_file, account)))
    return {**found, **job.env}


def marks(job: str, run: str, trigger: str, attempt: int) -> dict[str, str]:
    """What says to a child, and to who looks for survivors, whose it is."""
    return {"MLTOP_RUN_ID": run, "MLTOP_JOB": job, "MLTOP_TRIGGER": trigger, "MLTOP_ATTEMPT": str(attempt)}


def expanded(path: str, account: Account) -> str:
    """A path with `~` as the home of who runs the job."""
    return account.home + path[1:] if path == "~" or path.startswith("~/") else path


def account_of(run_as: str | None) -> Account:
    """Who a job runs as: its `run_as`, else ourselves; raises EnvironmentFault where that cannot be."""
    if run_as is None:
        name, home = local_user(os.environ)  # asks no name service, which may hang
        return Account(name=name, uid=os.geteuid(), gid=os.getegid(), home=os.environ.get("HOME") or home or "/")
    import pwd

    try:
        found = pwd.getpwnam(run_as)
    except KeyError:
        raise EnvironmentFault(f"run_as: no user {run_as}") from None
    if found.pw_uid != os.geteuid() != 0:
        raise EnvironmentFault(f"run_as: only root can become {run_as}")
    return Account(name=found.pw_name, uid=found.pw_uid, gid=found.pw_gid, home=found.pw_dir)


def read_file(path: Path) -> dict[str, str]:
    """`NAME=VALUE` lines of a file that nobody else can read; raises EnvironmentFault, and never tells a value."""
    try:
        # not waiting: a FIFO would keep the job from ever starting
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise EnvironmentFault(f"env_file {path}: not a file")
            if status.st_mode & 0o077:
                raise EnvironmentFault(f"env_file {path}: others can read it; chmod 600 {path}")
            data = file.read(_MAX_BYTES + 1)
            if len(data) > _MAX_BYTES:
                raise EnvironmentFault(f"env_file {path}: larger than {_MAX_BYTES >> 20} MiB")
            text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    except OSError as error:
        raise EnvironmentFault(f"env_file {path}: {error.strerror}") from None
    found = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip().removeprefix("export ").lstrip()
        if not stripped or stripped.startswith("#"):
            continue
        name, sign, value = stripped.partition("=")
        if not sign or not _NAME.fullmatch(name) or "\0" in value:
            raise EnvironmentFault(f"env_file {path}:{number}: expected NAME=VALUE")
        found[name] = _unquoted(value)
    return found


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'" else value
