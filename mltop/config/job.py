"""A job of mltop's own as the config defines it, the defaults laid under it. Durations in seconds, sizes in bytes.

Named tuples, not msgspec's: `mltop run` reads its job without the time that msgspec takes to load (J26).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Kind = Literal["backup", "cleanup", "rotate", "metrics", "check", "command", "drill"]
"""`drill` is derived from a backup, and never written in a config."""
Backend = Literal["auto", "cron", "cron.d", "systemd"]
DAY_S = 86400.0
SETTLE_S = 60.0
"""How long a file must lie still before a backup takes it: a checkpoint that is being written is not one yet."""


class Keep(NamedTuple):
    """Which backups stay: the newest of each of so many hours, days, …; `min` whatever the rest says."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within_s: float = 0.0
    min: int = 3


class Hooks(NamedTuple):
    """Commands around a backup, each as the list of its words; none: nothing is run."""

    before: tuple[str, ...] = ()
    """One that fails, and there is no backup."""
    after: tuple[str, ...] = ()
    """Of a backup that is good."""
    on_error: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    """The last one, however it ended."""
    timeout_s: float = 300.0
    """For each of them."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to run."""
        return not (self.before or self.after or self.on_error or self.always)


class BackupSpec(NamedTuple):
    """`kind = "backup"`."""

    sources: tuple[str, ...]
    target: str
    engine: Literal["archive", "restic"] = "archive"
    compression: Literal["zstd", "gzip", "none"] = "zstd"
    level: int = 1
    keep: Keep = Keep(within_s=30 * DAY_S)
    exclude: tuple[str, ...] = ()
    encrypt_to: tuple[str, ...] = ()
    drill: str = "@monthly"
    settle_s: float = SETTLE_S
    hooks: Hooks = Hooks()


class DrillSpec(NamedTuple):
    """The restore test of a backup (D37)."""

    backup: BackupSpec


class CleanupSpec(NamedTuple):
    """`kind = "cleanup"`."""

    paths: tuple[str, ...] = ()
    older_than_s: float = 7 * DAY_S
    profiles: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class RotateRule(NamedTuple):
    """One `[[jobs.X.rules]]`."""

    paths: tuple[str, ...]
    size_bytes: int | None = None
    age_s: float | None = None
    keep: int = 10
    max_bytes: int | None = None
    mode: Literal["rename", "copytruncate"] = "rename"
    compression: Literal["zstd", "gzip", "none"] = "zstd"
    after: tuple[str, ...] = ()


class RotateSpec(NamedTuple):
    """`kind = "rotate"`."""

    rules: tuple[RotateRule, ...] = ()


class MetricsSpec(NamedTuple):
    """`kind = "metrics"`."""

    format: Literal["csv", "jsonl"] = "csv"
    keep_days: int = 7


class CheckSpec(NamedTuple):
    """`kind = "check"`."""

    profile: str | None = None


class CommandSpec(NamedTuple):
    """`kind = "command"`: an argv, or a text for `/bin/sh -c`."""

    command: tuple[str, ...] | str


Spec = BackupSpec | DrillSpec | CleanupSpec | RotateSpec | MetricsSpec | CheckSpec | CommandSpec


class JobConfig(NamedTuple):
    """One `[jobs.<id>]` over `[defaults]` (D24, interface)."""

    id: str
    kind: Kind
    spec: Spec
    source: str = ""
    """The file and line it stands in, for a reader: `config.toml:40`."""
    file: str = ""
    """The path of that file."""
    scope: Literal["user", "system"] = "user"
    schedule: tuple[str, ...] = ()
    """Empty: by hand only."""
    enabled: bool = True
    backend: Backend = "auto"
    description: str | None = None
    run_as: str | None = None
    persistent: bool = False
    jitter_s: float = 0.0
    timeout_s: float | None = 3600.0
    """`None`: no limit (`timeout = "0"`)."""
    kill_grace_s: float = 30.0
    start_grace_s: float = 900.0
    warn_after_s: float | None = None
    on_overlap: str = "skip"
    """`skip`, `wait:SECONDS`, `queue`, `replace` or `allow`."""
    retries: int = 0
    retry_wait_s: float = 300.0
    """Before the second attempt; each later wait is twice as long (`retry_waits_s`)."""
    retry_wait_max_s: float = 3600.0
    soft_fail: tuple[int, ...] = ()
    history_runs: int = 200
    history_days: int = 90
    history_max_bytes: int = 1 << 30
    """Of all logs of the job together; the last run and the last that failed keep theirs."""
    log_max_bytes: int = 10 << 20
    nice: int | None = None
    io_class: Literal["idle", "best-effort", "realtime"] | None = None
    memory_max_bytes: int | None = None
    cpu_quota_percent: float | None = None
    env: Mapping[str, str] = MappingProxyType({})
    env_file: str | None = None
    workdir: str | None = None
    tags: tuple[str, ...] = ()
    alert: Mapping[str, object] = MappingProxyType({})
    """The raw `[jobs.<id>.alert]`: the alert engine reads it."""

    @property
    def retry_waits_s(self) -> tuple[float, ...]:
        """How long is waited before each further attempt: doubling, so that what is down has time to come back.

        No wait is longer than `retry_wait_max_s`, but for a first one that is: then all are like it.
        """
        most_s = max(self.retry_wait_s, self.retry_wait_max_s)
        return tuple(min(self.retry_wait_s * 2.0**number, most_s) for number in range(self.retries))
