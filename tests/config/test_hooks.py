"""The commands around a backup, as a config has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mltop.config.fault import Fault
from mltop.config.job import BackupSpec, Hooks
from mltop.config.jobs import load_job


def _hooks(tmp_path: Path, text: str) -> Hooks:
    file = tmp_path / "config.toml"
    file.write_text(f'version = 1\n[jobs.b]\nkind = "backup"\nsource = "/a"\ntarget = "/b"\n{text}\n')
    spec = load_job("b", str(file)).spec
    assert isinstance(spec, BackupSpec)
    return spec.hooks


def test_they_are_words_and_none_by_default(tmp_path: Path) -> None:
    assert _hooks(tmp_path, "") == Hooks()
    assert Hooks().is_empty
    found = _hooks(tmp_path, 'hooks = { before = ["sync"], on_error = ["mail", "-s", ""], timeout = "2m" }')
    assert found == Hooks(before=("sync",), on_error=("mail", "-s", ""), timeout_s=120)
    assert not found.is_empty
    assert _hooks(tmp_path, '[jobs.b.hooks]\nalways = ["a"]').always == ("a",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('hooks = { befor = ["a"] }', "jobs.b.hooks.befor: unknown key; did you mean before?"),
        ('hooks = { before = "a b" }', "jobs.b.hooks.before: expected a command as a list of its words"),
        ("hooks = { before = [] }", "jobs.b.hooks.before: expected a command as a list of its words"),
        ("hooks = [1]", "jobs.b.hooks: expected a table"),
        ('hooks = { timeout = "0" }', "jobs.b.hooks.timeout: expected a duration"),
    ],
)
def test_what_is_wrong_has_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Fault, match="config.toml:6: " + said.replace("?", r"\?")):
        _hooks(tmp_path, text)
