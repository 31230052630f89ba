"""Whether the files that jobs need are there at night, and nobody else's to change."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mltop.config.job import CommandSpec, JobConfig
from mltop.config.location import user_config
from mltop.jobs.doctor.scene import Scene
from mltop.jobs.doctor.symptom import Report, fault, ok, warning
from mltop.jobs.runner.environment import EnvironmentFault, account_of, expanded, read_file
from mltop.model.doctor import Symptom
from mltop.sampling.root import Roots
from mltop.system.text import clean

_CRYPTED = frozenset({"ecryptfs", "fuse.encfs", "fuse.gocryptfs", "fuse.cryfs", "fuse.securefs"})
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "autofs", "afs", "lustre", "beegfs", "gpfs"})


class Mount(NamedTuple):
    """A line of /proc/self/mountinfo (proc(5))."""

    point: str
    type: str


def look(scene: Scene, roots: Roots) -> Report:
    """Look at the config, at the home it lies in, and at what its jobs run and read."""
    found = list(config(scene.faults()))
    home = scene.environment.get("HOME", "")
    path = user_config(scene.environment)
    if path is not None and any(document.path == path for document in scene.files.documents):
        mounts = mounts_of((roots.proc / "self/mountinfo").read_text("utf-8", "replace"))
        found += home_at_night(home, mounts, is_homed=(Path(home) / ".identity").exists())
    for document in scene.files.documents:
        found += open_to_others(document.path, "config.open", "the config", 0o022)
    for job in scene.jobs.jobs.values():
        found += _of_job(job)
    return Report(tuple(found))


def config(faults: Iterable[str]) -> Iterator[Symptom]:
    """All that is wrong with the config, each with its line."""
    lines = list(faults)
    for line in lines:
        where, colon, what = line.partition(": ")
        yield fault("config.faults", clean(what if colon else line, 400), "correct that line", where if colon else None)
    if not lines:
        yield ok("config.faults", "no fault in the config")


def mounts_of(text: str) -> list[Mount]:
    """The mounts of a mountinfo, the later over the earlier."""
    found = []
    for line in text.splitlines():
        words, _, rest = line.partition(" - ")
        fields = words.split(" ")
        if len(fields) > 4 and rest:
            found.append(Mount(_unescaped(fields[4]), rest.split(" ")[0]))
    return found


def home_at_night(home: str, mounts: Iterable[Mount], *, is_homed: bool = False) -> Iterator[Symptom]:
    """Whether a home is there while nobody is logged in; where it is not, cron finds neither config nor state."""
    kind = ""
    longest = -1
    for mount in mounts:
        if (home == mount.point or home.startswith(mount.point.rstrip("/") + "/")) and len(mount.point) >= longest:
            kind, longest = mount.type, len(mount.point)
    remedy = "keep the config in /etc/mltop, or on a disk that is always there (MLTOP_CONFIG)"
    if kind in _CRYPTED or is_homed:
        what = f"{home} is encrypted and only there while you are logged in: jobs at night find no config"
        yield warning("config.home", what, remedy, home)
    elif kind in _REMOTE:
        what = f"{home} comes from the network ({kind}): jobs find no config while it is away"
        yield warning("config.home", what, remedy, home)
    elif kind:
        yield ok("config.home", f"{home} is on a disk of this box ({clean(kind, 20)})", home)


def open_to_others(path: Path, id: str, what: str, bits: int) -> Iterator[Symptom]:
    """A file that somebody else can write, itself or by its folder; `bits` are those of its mode that must be off."""
    try:
        status, above = path.stat(), path.resolve().parent.stat()
    except OSError:
        return
    if stat.S_ISREG(status.st_mode) and _by_others(status, bits):
        yield fault(id, f"{what} {path} can be written by others: its jobs are theirs", f"chmod go-w {path}", str(path))
    elif _by_others(above, 0o002) and not above.st_mode & stat.S_ISVTX:
        remedy = f"chmod o-w {path.resolve().parent}"
        yield fault(id, f"{what} {path} lies in a folder that anybody can write", remedy, str(path))


def _by_others(status: os.stat_result, bits: int) -> bool:
    return bool(status.st_mode & bits & 0o002) or bool(status.st_mode & bits & 0o020 and status.st_gid != os.getegid())


def _of_job(job: JobConfig) -> Iterator[Symptom]:
    try:
        account = account_of(job.run_as)
    except EnvironmentFault as wrong:
        yield fault("job.account", f"{job.id}: {wrong}", "create that user, or correct run_as", job.source)
        return
    for path in scripts(job):
        yield from open_to_others(Path(path), "job.script", f"{job.id}'s", 0o022)
    if job.env_file is not None:
        try:
            read_file(Path(expanded(job.env_file, account)))
        except EnvironmentFault as wrong:
            yield fault(
                "job.env_file", f"{job.id}: {wrong}", f"chmod 600 {job.env_file}, and one NAME=VALUE a line", job.source
            )


def scripts(job: JobConfig) -> list[str]:
    """The absolute paths of files among a command's words: its program, and scripts that it is given."""
    if not isinstance(job.spec, CommandSpec):
        return []
    command = job.spec.command
    words = _words(command) if isinstance(command, str) else list(command)
    return [word for word in words if word.startswith("/") and Path(word).is_file()]


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command, comments=True)
    except ValueError:  # the shell may still understand it
        return command.split()


def _unescaped(text: str) -> str:
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, letter)
    return text
