"""From what the config says of a job to what the tasks take; what this version cannot do is refused, never left out."""

from __future__ import annotations

import os

from mltop.config.derived import backup_of
from mltop.config.job import BackupSpec, CleanupSpec, DrillSpec, Hooks, JobConfig, RotateSpec
from mltop.config.job import Keep as ConfiguredKeep
from mltop.tasks.archive.job import UNFINISHED, BackupJob
from mltop.tasks.cleanup.plan import CleanupJob
from mltop.tasks.outcome import EngineError, TaskError, UsageError, display, is_text
from mltop.tasks.retention import Keep
from mltop.tasks.rotate.rule import RotateRule


def backup_job(job: JobConfig) -> BackupJob:
    """The backup that a job asks for; raises `UsageError`, and `EngineError` for what is not built in.

    With no `exclude` of its own, what trainers and downloaders have not finished is left out.
    """
    spec = job.spec
    if not isinstance(spec, BackupSpec):
        raise wrong_kind(job, "backup")
    if spec.engine != "archive":
        raise EngineError(f"the engine {spec.engine} is not in this version", 'engine = "archive" is')
    if spec.encrypt_to:
        # a plain archive would be the opposite of what was asked for
        raise EngineError("encrypted archives are not in this version", "take encrypt_to out to go without")
    return BackupJob(
        job=job.id,
        sources=spec.sources,
        target=local_target(spec.target),
        compression=spec.compression,
        level=spec.level,
        exclude=spec.exclude or UNFINISHED,
        settle_s=spec.settle_s,
        keep=_keep(spec.keep),
    )


def hooks_of(job: JobConfig) -> Hooks:
    """The commands around a backup."""
    return job.spec.hooks if isinstance(job.spec, BackupSpec) else Hooks()


def drilled(job: JobConfig) -> JobConfig:
    """The backup that a drill tries; raises `UsageError`."""
    if not isinstance(job.spec, DrillSpec):
        raise wrong_kind(job, "drill")
    return job._replace(id=backup_of(job.id) or job.id, kind="backup", spec=job.spec.backup)


def lacks_key(job: JobConfig) -> bool:
    """Whether a backup is encrypted for keys that this box does not have: the private ones are kept elsewhere."""
    return isinstance(job.spec, BackupSpec) and bool(job.spec.encrypt_to)


def local_target(target: str) -> str:
    """The folder that a target is; raises `EngineError` for one at a URL, `UsageError` for one that is no text."""
    if not is_text(target):
        raise UsageError(f"the target's path is not UTF-8: {display(target)}", "name it through a link that is")
    scheme, colon, _ = target.partition(":")
    if colon and "/" not in scheme and not target.startswith("~"):
        raise EngineError(f"targets at {scheme}: are not in this version", "a folder is")
    return os.path.expanduser(target)  # noqa: PTH111 - as text


def _keep(keep: ConfiguredKeep) -> Keep:
    return Keep(**{name: getattr(keep, name) for name in ConfiguredKeep._fields})


def cleanup_job(job: JobConfig) -> CleanupJob:
    """The folders that a job cleans by their age, without its profiles; raises `UsageError`."""
    spec = job.spec
    if not isinstance(spec, CleanupSpec):
        raise wrong_kind(job, "cleanup")
    return CleanupJob(paths=spec.paths, older_than_s=spec.older_than_s, exclude=spec.exclude)


def profiles_of(job: JobConfig) -> tuple[str, ...]:
    """The profiles that a job cleans."""
    return job.spec.profiles if isinstance(job.spec, CleanupSpec) else ()


def rotate_rules(job: JobConfig) -> tuple[RotateRule, ...]:
    """The rules of a job, in their order; raises `UsageError`."""
    spec = job.spec
    if not isinstance(spec, RotateSpec):
        raise wrong_kind(job, "rotate")
    return tuple(
        RotateRule(
            paths=rule.paths,
            size_bytes=rule.size_bytes,
            age_s=rule.age_s,
            keep=rule.keep,
            max_bytes=rule.max_bytes,
            mode=rule.mode,
            compression=rule.compression,
            after=rule.after,
        )
        for rule in spec.rules
    )


def wrong_kind(job: JobConfig, wanted: str) -> TaskError:
    """What to raise for a job of another kind."""
    return UsageError(f"{job.id} is a {job.kind} job, not a {wanted} job")
