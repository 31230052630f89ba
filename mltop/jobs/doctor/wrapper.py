"""Whether the scheduler's call of mltop works: from cron's bare environment, from where it lies, with what it needs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from mltop import __version__
from mltop.jobs.crontab import line as cron_line
from mltop.jobs.doctor.scene import Scene
from mltop.jobs.doctor.symptom import Report, fault, ok, warning
from mltop.jobs.plan.plan import block_lines, cron_d_lines
from mltop.jobs.program import ProgramError, ask
from mltop.jobs.runner.environment import account_of
from mltop.jobs.site import warnings
from mltop.model.doctor import Symptom
from mltop.system.text import clean

_MODULES = {
    "crontab": "python-crontab",
    "cronsim": "cronsim",
    "humanize": "humanize",
    "msgspec": "msgspec",
    "psutil": "psutil",
    "pynvml": "nvidia-ml-py",
    "textual": "textual",
    "tomlkit": "tomlkit",
    "zstandard": "zstandard",
}
"""What mltop imports when it is needed, by module, and the distribution that has it."""
_DEADLINE_S = 5.0


def look(scene: Scene) -> Report:
    """Run it as cron would, and look at every path that a scheduler was told."""
    program = scene.site.program
    found = list(missing(name for name in _MODULES if find_spec(name) is None))
    if program is None:
        what = "mltop is not installed as a command, so no scheduler can call it"
        return Report((*found, fault("wrapper.path", what, "pipx install mltop")))
    found.append(_called(program))
    found += [
        warning("wrapper.place", line, "install mltop in a folder of root's or of your own")
        for line in warnings(program)
    ]
    found += _installed(scene, program)
    return Report(tuple(found))


def missing(modules: Iterable[str]) -> Iterator[Symptom]:
    """Modules that are not there."""
    names = list(modules)
    for name in names:
        what = f"the Python module {name} is not there"
        yield fault("python.modules", what, f"pipx inject mltop {_MODULES[name]}, or install mltop again")
    if not names:
        yield ok("python.modules", "all that mltop imports is there")


def judged(program: str, code: int, said: str, version: str) -> Symptom:
    """What `env -i … mltop --version` means."""
    if code == 0 and said.split()[-1:] == [version]:
        return ok("wrapper.path", f"{program} answers in cron's environment", program)
    if code == 0:
        what = f"{program} is another version in cron's environment: {clean(said, 80)}, not {version}"
        return warning("wrapper.path", what, "install one of the two, and apply again", program)
    what = f"{program} does not run in cron's environment: {clean(said, 200) or f'exit code {code}'}"
    return fault("wrapper.path", what, "install mltop again, then mltop jobs apply", program)


def _called(program: str) -> Symptom:
    """`env -i` and a shell, as cron starts a command (crontab(5))."""
    account = account_of(None)
    given = [f"HOME={account.home}", f"LOGNAME={account.name}", "PATH=/usr/bin:/bin", "SHELL=/bin/sh"]
    try:
        answer = ask(("env", "-i", *given, "/bin/sh", "-c", '"$0" --version', program), _DEADLINE_S)
    except ProgramError as error:
        return fault("wrapper.path", clean(str(error), 200), "install mltop again, then mltop jobs apply", program)
    said = answer.out.decode("utf-8", "replace").strip() if answer.code == 0 else answer.complaint()
    return judged(program, answer.code, said, __version__)


def _installed(scene: Scene, program: str) -> Iterator[Symptom]:
    """Paths that stand in a scheduler and lead nowhere: mltop moved since they were written."""
    lines = [*block_lines(scene.installed), *cron_d_lines(scene.installed)]
    paths = {one.call.program for one in map(cron_line.owned, lines) if one is not None}
    for folder in scene.installed.units.values():
        paths |= {path for data in folder.files.values() for path in _programs(data)}
    for path in sorted(paths - {program}):
        if not (Path(path).is_file() and os.access(path, os.X_OK)):
            what = f"a scheduler calls {path}, which is not there: those jobs end with 127"
            yield fault("wrapper.path", what, "mltop jobs apply writes the right path", path)


def _programs(unit: bytes) -> Iterator[str]:
    for line in unit.decode("utf-8", "replace").splitlines():
        if line.startswith("ExecStart="):
            yield line.removeprefix("ExecStart=").lstrip("@-:+!").split(" ")[0].strip('"')
