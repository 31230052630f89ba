"""From the config's words to what the tasks do."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltop.config.jobs import load_job
from mltop.tasks.archive.job import BackupJob
from mltop.tasks.configured import backup_job
from mltop.tasks.outcome import EngineError, Exit


def _job(tmp_path: Path, more: str = "", target: str = "/backups") -> BackupJob:
    config = tmp_path / "config.toml"
    config.write_text(f'version = 1\n[jobs.m]\nkind = "backup"\nsource = "/models"\ntarget = "{target}"\n{more}\n')
    return backup_job(load_job("m", str(config)))


def test_a_file_settles_for_a_minute_unless_the_config_says_otherwise(tmp_path: Path) -> None:
    assert _job(tmp_path).settle_s == BackupJob(job="m", sources=("/models",), target="/backups").settle_s == 60
    assert _job(tmp_path, 'settle = "5m"').settle_s == 300
    assert _job(tmp_path, 'settle = "0s"').settle_s == 0


@pytest.mark.parametrize(
    ("more", "target", "words"),
    [
        ('engine = "restic"', "/backups", "restic"),
        ('encrypt_to = ["age1x"]', "/backups", "encrypt"),
        ("", "s3://bucket/models", "s3"),
        ("", "gs://bucket", "gs"),
        ("", "sftp://host/models", "sftp"),
    ],
)
def test_what_is_not_built_in_is_refused_in_one_line_with_a_remedy(
    tmp_path: Path, more: str, target: str, words: str
) -> None:
    with pytest.raises(EngineError, match=words) as refused:
        _job(tmp_path, more, target)
    assert (refused.value.code, "\n" in str(refused.value)) == (Exit.ENGINE, False)
    assert refused.value.hint
