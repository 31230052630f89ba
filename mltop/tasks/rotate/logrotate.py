"""Rules as logrotate's own config (logrotate(8), logrotate.conf(5)), and logrotate's word on it."""

# Patterns
# ruff: noqa: PTH111, PTH120, PTH207

from __future__ import annotations

import glob
import grp
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mltop.system.text import clean
from mltop.tasks.outcome import EngineError, UsageError
from mltop.tasks.rotate.rule import RotateRule

_DEADLINE_S = 30.0
_DAY_S = 86400
_INTERVALS = (("monthly", 30 * _DAY_S), ("weekly", 7 * _DAY_S), ("daily", _DAY_S), ("hourly", 3600))
_PACKERS = {
    "gzip": ("compress", "compresscmd gzip", "uncompresscmd gunzip", "compressext .gz"),
    "zstd": ("compress", "compresscmd zstd", "uncompresscmd unzstd", "compressext .zst"),
    "none": ("nocompress",),
}
_HEAD = """# Made by `mltop rotate export`. One log, one who rotates it: where this file is in /etc/logrotate.d,
# mltop rotates none of these logs.
"""


def render(jobs: Mapping[str, Sequence[RotateRule]]) -> str:
    """Return the config for all rules; raises `UsageError` for a path that it cannot hold."""
    parts = [_HEAD]
    for job, rules in jobs.items():
        for number, rule in enumerate(rules, 1):
            for su, paths in _by_owner(rule).items():
                parts.append(f"# {job}, rule {number}\n{_stanza(rule, paths, su)}")
    return "\n".join(parts)


def _stanza(rule: RotateRule, paths: Sequence[str], su: str | None) -> str:
    lines = [*_due(rule), f"rotate {rule.keep}", "missingok", "notifempty", "dateext", "dateformat -%Y%m%d-%s"]
    lines += [*_PACKERS[rule.compression]]
    if rule.compression != "none":
        lines += [f"compressoptions -{rule.level}", "delaycompress"]
    lines.append("copytruncate" if rule.mode == "copytruncate" else "create")
    if su is not None:
        lines.append(f"su {su}")
    if rule.max_bytes is not None:
        lines.append(f"# mltop keeps at most {rule.max_bytes} bytes of them; logrotate has no such limit")
    if rule.after:
        lines += ["sharedscripts", "postrotate", f"    {shlex.join(rule.after)}", "endscript"]
    body = "".join(f"    {line}\n" for line in lines)
    return "\n".join(_quoted(path) for path in paths) + f" {{\n{body}}}\n"


def _due(rule: RotateRule) -> list[str]:
    """Size alone is `size`; with an age, `maxsize` rotates before the time is over."""
    if rule.age_s is None:
        return [f"size {rule.size_bytes}"]
    name, seconds = next(((name, s) for name, s in _INTERVALS if rule.age_s >= s), _INTERVALS[-1])
    lines = [name] if seconds == rule.age_s else [f"# mltop rotates every {rule.age_s:g} s", name]
    return lines if rule.size_bytes is None else [*lines, f"maxsize {rule.size_bytes}"]


def _by_owner(rule: RotateRule) -> dict[str | None, list[str]]:
    """The patterns by who has to rotate them: in a folder that others may write, logrotate wants to be told."""
    found: dict[str | None, list[str]] = {}
    for pattern in rule.paths:
        path = os.path.expanduser(pattern)
        folders = sorted({os.path.dirname(each) for each in (*glob.glob(path), path) if _is_there(each)})
        owners = {_su(folder) for folder in folders} - {None}
        if len(owners) > 1:
            raise UsageError(f"{clean(pattern)}: its folders have different owners", "give each owner's logs a rule")
        found.setdefault(next(iter(owners), None), []).append(path)
    return found


def _is_there(path: str) -> bool:
    return os.path.isdir(os.path.dirname(path))  # noqa: PTH112


def _su(folder: str) -> str | None:
    """`user group` for a folder that logrotate calls insecure, or that root should not write for another."""
    status = os.stat(folder)  # noqa: PTH116
    is_open = status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and status.st_gid != 0)
    if not is_open and (status.st_uid == 0 or os.geteuid() != 0):
        return None
    try:
        return f"{pwd.getpwuid(status.st_uid).pw_name} {grp.getgrgid(status.st_gid).gr_name}"
    except KeyError:
        return None  # an account without a name: logrotate takes none


def _quoted(path: str) -> str:
    if not path.isprintable() or set('"\\') & set(path):
        raise UsageError(
            f"{clean(path)!r} cannot stand in a file of logrotate: quotes, backslashes, control characters"
        )
    return f'"{path}"'


def faults_of(text: str) -> list[str]:
    """Return what logrotate says against a config; raises `EngineError` where it is not installed.

    Its dry run ends with 0 for much that it ignores (an unclosed brace, an insecure folder): only a run without an
    `error:` that has considered every log that is there counts as good.
    """
    program = shutil.which("logrotate", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise EngineError("logrotate is not on this box")
    with tempfile.TemporaryDirectory(prefix="mltop-") as folder:
        file = Path(folder, "logrotate.conf")
        file.write_text(text, "utf-8", "surrogateescape")
        file.chmod(0o644)
        try:
            done = subprocess.run(
                [program, "-d", "-s", f"{folder}/status", str(file)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_DEADLINE_S,
                check=False,
                env={**os.environ, "LC_ALL": "C"},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return [str(error)]
    said = [clean(line, 400) for line in (done.stdout + done.stderr).splitlines()]
    faults = [line for line in said if line.startswith("error:")]
    if done.returncode and not faults:
        faults = [f"exit code {done.returncode}"]
    considered = {line.removeprefix("considering log ") for line in said if line.startswith("considering log ")}
    patterns = [line.rstrip(" {").strip('"') for line in text.splitlines() if line.startswith('"')]
    logs = [path for pattern in patterns for path in glob.glob(pattern)]
    return faults + [f"{path} is not considered" for path in logs if clean(path, 4096) not in considered]
