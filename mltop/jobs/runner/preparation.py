"""From a job's config to what is started: environment, account, limits; and the same in words for a dry run (J41)."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence

from mltop.config.job import JobConfig
from mltop.jobs.place import Place
from mltop.jobs.runner import command, environment, held
from mltop.jobs.runner.child import Plan
from mltop.system.text import clean

_SHOWN = 4096
_SECRET_WORDS = ("pass", "secret", "token", "key", "credential", "auth", "dsn", "url")


def of_job(job: JobConfig, files: command.Files, inherited: Mapping[str, str], *, is_scheduled: bool) -> Plan:
    """What a configured job starts; raises EnvironmentFault."""
    account = environment.account_of(job.run_as)
    found = environment.of_job(job, inherited, account, is_scheduled=is_scheduled)
    has_memory, unheld = _held(job)
    return Plan(
        argv=command.argv(job, files),
        environment=found,
        workdir=environment.expanded(job.workdir, account) if job.workdir is not None else _home(account.home),
        account=account if job.run_as is not None else None,
        nice=job.nice,
        io_class=job.io_class,
        data_max_bytes=None if has_memory else job.memory_max_bytes,
        unheld=unheld,
    )


def _held(job: JobConfig) -> tuple[bool, tuple[str, ...]]:
    """Whether a manager holds the job to its memory, and which limits nobody holds it to as a whole (J37)."""
    if job.memory_max_bytes is None and job.cpu_quota_percent is None:
        return False, ()
    cgroup = held.own_cgroup()
    has_memory = job.memory_max_bytes is not None and held.holds_memory(cgroup, job.memory_max_bytes)
    said = []
    if job.memory_max_bytes is not None and not has_memory:
        said.append("memory_max holds for each process alone: no systemd unit holds the whole run")
    if job.cpu_quota_percent is not None and not held.holds_cpu(cgroup, job.cpu_quota_percent):
        said.append(f"cpu_quota {job.cpu_quota_percent:g} % not applied: no systemd unit holds this run to it")
    return has_memory, tuple(said)


def of_command(words: Sequence[str], inherited: Mapping[str, str]) -> Plan:
    """What `mltop run -- CMD` starts: the command, where and as the caller stands."""
    return Plan(argv=tuple(words), environment=dict(inherited), keeps_descriptors=True)


def _home(home: str) -> str:
    """Where cron starts a job; the root folder for who has no home."""
    return home if os.path.isdir(home) else "/"  # noqa: PTH112


def described(job: JobConfig, plan: Plan, place: Place) -> list[str]:
    """What a run would do, line by line; values that may be secrets are not shown."""
    from mltop.jobs.runner import retry

    limits = [
        f"{name} {value}" for name, value in (("nice", plan.nice), ("io_class", plan.io_class)) if value is not None
    ]
    if job.memory_max_bytes is not None:
        limits.append(f"memory_max {job.memory_max_bytes} bytes")
    if job.cpu_quota_percent is not None:
        limits.append(f"cpu_quota {job.cpu_quota_percent:g} %")
    told = plan.environment.items()
    return [
        f"job        {job.id} ({job.kind}){'' if job.enabled else ', disabled'}",
        f"command    {clean(shlex.join(plan.argv), _SHOWN)}",
        f"user       {plan.account.name if plan.account else environment.account_of(None).name}",
        f"workdir    {clean(plan.workdir or command.workdir(), _SHOWN)}",
        f"timeout    {_limit(job.timeout_s)}, then TERM, and KILL after {job.kill_grace_s:g} s",
        f"overlap    {job.on_overlap}, lock {place.lock(job.id)}",
        f"retries    {retry.described(job) or 'none'}",
        *([f"jitter     up to {job.jitter_s:g} s by the schedule"] if job.jitter_s else ()),
        f"limits     {', '.join(limits) or 'none'}",
        *(f"           {line}" for line in plan.unheld),
        f"logs       {place.logs / job.id}, at most {job.log_max_bytes} bytes each",
        f"history    {job.history_runs} runs, {job.history_days} days, {job.history_max_bytes} bytes of logs",
        *(f"env        {clean(name)}={_masked(name, value)}" for name, value in sorted(told)),
    ]


def _limit(seconds: float | None) -> str:
    return "none" if seconds is None else f"{seconds:g} s"


def _masked(name: str, value: str) -> str:
    is_secret = any(word in name.lower() for word in _SECRET_WORDS)
    return "(not shown)" if is_secret and value else clean(value)
