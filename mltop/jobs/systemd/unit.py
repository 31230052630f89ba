"""A job as a service and a timer of systemd (D32): what is written, and whether what is found is what was written.

The wrapper decides on time, overlap and limits; the unit repeats them as a net, for a wrapper that is killed.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mltop.config.job import BackupSpec, DrillSpec, JobConfig
from mltop.jobs.crontab.line import Call
from mltop.jobs.place import Place
from mltop.jobs.schedule.schedule import Schedule

PREFIX = "mltop-"
_HASH = re.compile(r"^X-MltopHash=(?P<hash>[0-9a-f]{12})\n", re.MULTILINE)
_START = re.compile(r"^ExecStart=(?P<words>.*)$", re.MULTILINE)
_NET_S = 60.0
_IO_CLASSES = {"idle": "idle", "best-effort": "best-effort", "realtime": "realtime"}
_SANDBOX = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectKernelModules=yes",
    "ProtectControlGroups=yes",
    "RestrictSUIDSGID=yes",
)


class Owned(msgspec.Struct, frozen=True):
    """A unit file of mltop's as it is found."""

    id: str
    call: Call | None
    """From the service; `None` for a timer, and for a service whose command cannot be read."""
    is_intact: bool


def names(id: str) -> tuple[str, str]:
    """The service and the timer of a job."""
    return f"{PREFIX}{id}.service", f"{PREFIX}{id}.timer"


def id_of(name: str) -> str | None:
    """The job that a unit file is for, by its name."""
    match = re.fullmatch(r"mltop-(?P<id>[a-z0-9][a-z0-9_.-]*)\.(?:service|timer)", name)
    return match["id"] if match else None


def files(job: JobConfig, id: str, schedules: Sequence[Schedule], call: Call, state: Path) -> dict[str, bytes]:
    """Both files by name; raises ScheduleFault for a schedule that a timer cannot say."""
    expressions = [expression for schedule in schedules for expression in schedule.on_calendar()]
    service, timer = names(id)
    return {
        service: _signed(_service(job, id, call, state)),
        timer: _signed(_timer(job, id, expressions)),
    }


def _service(job: JobConfig, id: str, call: Call, state: Path) -> list[str]:
    lines = [
        "[Unit]",
        f"Description=mltop job {id}",
        "Documentation=man:systemd.service(5)",
        "",
        "[Service]",
        "Type=oneshot",
        f"ExecStart={' '.join(_quoted(word) for word in call.argv(id))}",
        f"TimeoutStartSec={_limit(job)}",
        "SuccessExitStatus=75",
        *_ending(job),
    ]
    if job.nice is not None:
        lines.append(f"Nice={job.nice}")
    if job.io_class is not None:
        lines.append(f"IOSchedulingClass={_IO_CLASSES[job.io_class]}")
    if job.memory_max_bytes is not None:
        lines.append(f"MemoryMax={job.memory_max_bytes}")
    if job.cpu_quota_percent is not None:
        lines.append(f"CPUQuota={job.cpu_quota_percent:g}%")
    if job.scope == "system":
        lines += _sandbox(job, state)
    return lines


def _limit(job: JobConfig) -> str:
    """TimeoutStartSec in seconds; RuntimeMaxSec does nothing for a oneshot (systemd.service(5))."""
    waits = re.fullmatch(r"wait:(\d+(?:\.\d+)?)", job.on_overlap)
    if job.timeout_s is None or job.on_overlap == "queue":
        return "infinity"
    attempts = (job.retries + 1) * (job.timeout_s + job.kill_grace_s) + sum(job.retry_waits_s)
    return str(math.ceil(attempts + (float(waits[1]) if waits else 0.0) + job.jitter_s + _NET_S))


def _ending(job: JobConfig) -> list[str]:
    """A hung driver's probe is nobody's to end: a `check` or `metrics` job leaves it behind (D3)."""
    if job.kind in ("check", "metrics"):
        return ["KillMode=process", "TimeoutStopSec=10"]
    return ["KillMode=mixed", f"TimeoutStopSec={math.ceil(job.kill_grace_s + 10)}"]


def _sandbox(job: JobConfig, state: Path) -> list[str]:
    """What a job of the system cannot do: only where mltop knows all that it has to write."""
    if job.kind not in ("backup", "drill", "check", "metrics"):
        return ["NoNewPrivileges=yes"] if job.kind in ("cleanup", "rotate") else []
    spec = job.spec.backup if isinstance(job.spec, DrillSpec) else job.spec
    if isinstance(job.spec, BackupSpec) and not job.spec.hooks.is_empty:
        return []  # what they do is not for mltop to know
    place = Place(state)
    writable = [str(state), str(place.logs)]
    if isinstance(spec, BackupSpec) and spec.target.startswith("/"):
        writable.append(spec.target)
    return [*_SANDBOX, *(f"ReadWritePaths={_quoted('-' + path)}" for path in dict.fromkeys(writable))]


def _timer(job: JobConfig, id: str, expressions: Sequence[str]) -> list[str]:
    lines = [
        "[Unit]",
        f"Description=Schedule of the mltop job {id}",
        "",
        "[Timer]",
        *(f"OnCalendar={expression.replace('%', '%%')}" for expression in expressions),
        f"Persistent={'true' if job.persistent else 'false'}",
        "AccuracySec=1s",
    ]
    if job.jitter_s:
        lines += [f"RandomizedDelaySec={math.ceil(job.jitter_s)}", "FixedRandomDelay=true"]
    return [*lines, "", "[Install]", "WantedBy=timers.target"]


def _quoted(word: str) -> str:
    """A word of a command line in a unit (systemd.service(5), systemd.syntax(7))."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return escaped if re.fullmatch(r"[A-Za-z0-9_./:@,=~+%-]+", escaped) else f'"{escaped}"'


def _signed(lines: Sequence[str]) -> bytes:
    """The text with its hash in [Unit], which is its first section."""
    text = "# Made by mltop from its config: change it there, then `mltop jobs apply`.\n" + "\n".join(lines) + "\n"
    return text.replace("[Unit]\n", f"[Unit]\nX-MltopHash={_hash(text)}\n", 1).encode()


def owned(name: str, data: bytes) -> Owned | None:
    """What a unit file of mltop's says; `None` for one that mltop did not write."""
    id = id_of(name)
    text = data.decode("utf-8", "replace")
    signed = _HASH.search(text)
    if id is None or signed is None:
        return None
    bare = text[: signed.start()] + text[signed.end() :]
    return Owned(id, _call(text), signed["hash"] == _hash(bare))


def _call(text: str) -> Call | None:
    import shlex

    match = _START.search(text)
    if match is None:
        return None
    try:
        words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(match["words"])]
    except ValueError:
        return None
    if len(words) < 3 or words[1] != "run":
        return None
    named = dict(zip(words[3::2], words[4::2], strict=False))
    return Call(words[0], named.get("--config"), named.get("--state-dir"))


def expressions(data: bytes) -> tuple[str, ...]:
    """The OnCalendar lines of a timer."""
    return tuple(
        line.partition("=")[2].strip().replace("%%", "%")
        for line in data.decode("utf-8", "replace").splitlines()
        if line.strip().startswith("OnCalendar=")
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
