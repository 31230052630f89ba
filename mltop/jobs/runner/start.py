"""Starting a job now, so that it outlives whoever asked: the terminal, the SSH session, the dashboard (J39).

With a manager it is a transient unit, which a log-out does not end; without one, a process of its own session, forked
twice, its standard streams nowhere.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

import msgspec

from mltop.config.job import JobConfig
from mltop.jobs.crontab.command import command_and_input, shell_argv
from mltop.jobs.crontab.text import Entry
from mltop.jobs.program import ProgramError, ask
from mltop.jobs.scheduler import manager_off
from mltop.jobs.systemd.manager import SystemdError, environment_for, order
from mltop.jobs.user import local_user

_DEADLINE_S = 10.0
_CRON_PATH = "/usr/bin:/bin"
_KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "MLTOP_CONFIG", "MLTOP_STATE_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME")


class StartError(Exception):
    """It could not be started; the reason in words."""


class Start(msgspec.Struct, frozen=True):
    """What to run, and in which environment."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    workdir: str = "/"
    properties: tuple[str, ...] = ()
    """Limits that only a manager can hold a whole job to."""


def interpreter_argv(*words: str) -> tuple[str, ...]:
    """This mltop, by its interpreter: also where there is no command of that name."""
    return (sys.executable, "-P", "-m", "mltop", *words)


def of_job(job: JobConfig, files: Sequence[str], environment: Mapping[str, str]) -> Start:
    """A job of the config, through the wrapper."""
    limits = []
    if job.memory_max_bytes is not None:
        limits.append(f"MemoryMax={job.memory_max_bytes}")
    if job.cpu_quota_percent is not None:
        limits.append(f"CPUQuota={job.cpu_quota_percent:g}%")
    argv = interpreter_argv("run", job.id, "--trigger", "manual", *files)
    return Start(argv, kept(environment), "/", tuple(limits))


def of_entry(entry: Entry, job: str, files: Sequence[str], environment: Mapping[str, str]) -> Start:
    """A line of one's own crontab, run by hand with the environment that cron gives it (crontab(5)).

    What stands after the first `%` is its standard input.
    """
    name, home = local_user(environment)
    given = {"HOME": home, "LOGNAME": name, "USER": name, "PATH": _CRON_PATH, "SHELL": "/bin/sh", **entry.environment}
    command, data = (part.decode("utf-8", "surrogateescape") if part is not None else None
                     for part in command_and_input(entry.command))  # fmt: skip
    shell = shell_argv(given["SHELL"], command or "", data)  # the wrapper gives a job no standard input
    return Start(
        interpreter_argv("run", "--trigger", "manual", "--id", job, *files, "--", *shell), given, given["HOME"]
    )


def start(what: Start, name: str, environment: Mapping[str, str], scope: str = "user") -> str:
    """Start it and leave it; how it was started, for people. Raises StartError."""
    if manager_off(scope, environment) is None:
        try:
            return _by_manager(what, name, environment, scope)
        except StartError:  # a manager that refuses is no reason not to run it
            pass
    _fork_twice(what)
    return "in a session of its own"


def _by_manager(what: Start, name: str, environment: Mapping[str, str], scope: str) -> str:
    unit = f"mltop-run-{name}-{os.urandom(3).hex()}.service"
    user = ("--user",) if scope == "user" else ()
    given = [f"--setenv={key}={value}" for key, value in what.environment.items()]
    given += [f"--property={text}" for text in what.properties]
    options = ("--quiet", "--collect", "--no-block", "--no-ask-password", f"--unit={unit}", "--property=KillMode=mixed")
    argv = ("systemd-run", *user, *options, f"--working-directory={what.workdir}", *given, "--", *what.argv)
    try:
        answer = ask(argv, _DEADLINE_S, environment_for(scope, environment))
    except ProgramError as error:
        raise StartError(str(error)) from None
    if answer.code != 0:
        raise StartError(answer.complaint())
    return f"as {unit}"


def start_timer(service: str, scope: str, environment: Mapping[str, str]) -> str:
    """Start what a timer activates, as the timer would; raises StartError."""
    try:
        order(scope, environment, "start", "--no-block", "--", service)
    except SystemdError as error:
        raise StartError(str(error)) from None
    return f"as {service}"


def kept(environment: Mapping[str, str]) -> dict[str, str]:
    """What a job started by hand keeps of the caller's environment: what tells it its files, and no more (J40)."""
    name, home = local_user(environment)
    plain = {key: environment[key] for key in _KEPT if key in environment}
    return {"HOME": environment.get("HOME", home), "LOGNAME": name, "USER": name, "PATH": _CRON_PATH, **plain}


def _fork_twice(what: Start) -> None:
    """A grandchild in a session of its own; raises StartError where it could not be executed."""
    try:
        workdir = what.workdir if os.path.isdir(what.workdir) else "/"  # noqa: PTH112 - a text
        middle = (sys.executable, "-S", "-E", "-c", _MIDDLE, *what.argv)
        done = subprocess.run(
            middle,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=what.environment,
            cwd=workdir,
            timeout=_DEADLINE_S,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StartError(str(error)) from None
    if done.returncode != 0:
        with contextlib.suppress(IndexError):
            raise StartError(done.stderr.decode("utf-8", "replace").splitlines()[-1])
        raise StartError(f"exit code {done.returncode}")


_MIDDLE = """\
import os, sys
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    try:
        os.execv(sys.argv[1], sys.argv[1:])
    except OSError as error:
        os.write(write, str(error).encode())
        os._exit(1)
os.close(write)
said = os.read(read, 4096)
os.write(2, said)
os._exit(1 if said else 0)
"""
