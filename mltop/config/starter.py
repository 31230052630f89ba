"""The config that `mltop init` writes: commented, with the standard jobs of a GPU box, none of them scheduled."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

MODELS = "/var/ml/models"
BACKUPS = "/var/ml/backups"
CACHES = ("/tmp/ml_cache", "/var/ml/checkpoints/temp", "~/.cache/torch")
TRAINING_LOGS = "/var/ml/training/logs/*.log"
_NOTE_COLUMN = 34


def _noted(line: str, note: str) -> str:
    """A line with what is to know of it behind it."""
    return f"{line + '  ':<{_NOTE_COLUMN}}# {note}" if note else line


class Starter(msgspec.Struct, frozen=True, kw_only=True):
    """What a starter config is made for."""

    models: str = MODELS
    backups: str = BACKUPS
    caches: tuple[str, ...] = CACHES
    older_than: str = "7d"
    cleanup_profiles: tuple[str, ...] = ("pip",)
    logs: str = TRAINING_LOGS
    log_size: str = "100MiB"
    operations: str | None = None
    """mltop's own log of what it wrote; `None` where there is no place for it."""
    jitter: str = "5m"
    settle: str = "60s"
    obstacles: Mapping[str, str] = {}
    """By job: why it cannot run here and what to fill in; such a job is written disabled."""
    elsewhere: Mapping[str, str] = {}
    """By job: the other file that has a job of this name; such a job is left out."""
    answering: frozenset[str] = frozenset()
    """`http`, `redis`, `postgres`: those that answered on loopback; the rest is commented out."""
    gpus: int | None = None
    """How many the box has, for the line that expects them; it is commented out."""

    def text(self) -> str:
        """The file."""
        parts = [_HEAD, self._expect(), *(self._job(name, lines) for name, lines in self._jobs().items())]
        return "\n".join([*parts, self._services()])

    def _expect(self) -> str:
        return (
            "# What this box must have; what is missing is CRITICAL in the verdict.\n"
            "# [expect]\n"
            f"# gpus = {self.gpus or 8}\n"
            '# mounts = ["/data"]\n'
            '# links = ["eth0", "mlx5_0/1"]\n'
            '# link_gbit = { eth0 = 25, "mlx5_0/1" = 400 }\n'
            "\n"
            "# When a value is WARNING or CRITICAL; mltop --check --list shows all limits and their units.\n"
            "# [limits]\n"
            '# "disk.space" = { warn = 85, crit = 95 }\n'
            "\n"
            "# For every job that does not say otherwise.\n"
            "[defaults]\n"
            'timeout = "1h"\n'
        )

    def _jobs(self) -> Mapping[str, list[str]]:
        return {
            "models-backup": self._backup(),
            "temp-cleanup": self._cleanup(),
            "health-check": _CHECK,
            "gpu-metrics": _METRICS,
            "logs": self._rotation(),
        }

    def _job(self, name: str, lines: list[str]) -> str:
        if name in self.elsewhere:
            return f"# {name} is a job of {self.elsewhere[name]} already.\n"
        comment, kind, *rest = lines
        enabled = _noted("enabled = true", "")
        if name in self.obstacles:
            enabled = _noted("enabled = false", self.obstacles[name])
        return "\n".join([comment, f"[jobs.{name}]", kind, enabled, *rest]) + "\n"

    def _backup(self) -> list[str]:
        return [
            "# The models, every night: packed, verified, and the old ones removed.",
            'kind = "backup"',
            _noted('schedule = "0 2 * * *"', 'cron, "@daily", "every 15m" or systemd\'s OnCalendar'),
            f"source = {_quoted(self.models)}",
            f"target = {_quoted(self.backups)}",
            'compression = "zstd"',
            _noted(f'settle = "{self.settle}"', "waits for files written to less than this ago"),
            _noted("keep_days = 30", "or keep = { last = 3, daily = 7, weekly = 4 }"),
            _noted('drill = "@monthly"', 'a restore for a test; "" for never'),
            '# hooks = { before = ["sync"], on_error = ["/usr/local/bin/page", "backup"] }  # after, always',
            'timeout = "4h"',
            _noted("persistent = true", "one that was missed is made up once"),
            f'jitter = "{self.jitter}"',
        ]

    def _cleanup(self) -> list[str]:
        lines = [
            "# Temporary files that nobody has read or written for a while.",
            'kind = "cleanup"',
            'schedule = "0 */6 * * *"',
            f'older_than = "{self.older_than}"',
            f"paths = {_list(self.caches)}",
        ]
        if self.cleanup_profiles:
            lines.append(_noted(f"profiles = {_list(self.cleanup_profiles)}", "pip's cache, by pip itself"))
        return lines

    def _rotation(self) -> list[str]:
        lines = [
            "# Logs: rotated before they fill the disk.",
            'kind = "rotate"',
            'schedule = "@daily"',
            "",
            "[[jobs.logs.rules]]",
            f"paths = [{_quoted(self.logs)}]",
            f'size = "{self.log_size}"',
            "keep = 10",
        ]
        if self.operations is not None:
            lines += [
                "",
                _noted("[[jobs.logs.rules]]", "mltop's own list of what it wrote"),
                f"paths = [{_quoted(self.operations)}]",
                'age = "1d"',
                "keep = 7",
            ]
        return lines

    def _services(self) -> str:
        lines = ["# Services that a verdict asks; docker and ssh are asked where they are installed and enabled."]
        for kind, keys in _SERVICES.items():
            mark = "" if kind in self.answering else "# "
            lines += [f"{mark}{line}" for line in (f"[[services.{kind}]]", *keys)] + [""]
        for note, kind, keys in _MORE_SERVICES:
            lines += [f"# {line}" for line in (_noted(f"[[services.{kind}]]", note), *keys)] + [""]
        return "\n".join(lines[:-1]) + "\n"


_HEAD = """# mltop's config. Nothing here is scheduled before `mltop jobs apply`; `mltop jobs plan`
# shows what that would do, and `mltop config check` what is wrong with this file.
# Keep secrets out of it: name a file (password_file, env_file) that only its owner reads.
version = 1
"""
_CHECK = [
    "# The verdict of mltop --check; its runs and their output are in the history.",
    'kind = "check"',
    'schedule = "0 * * * *"',
]
_METRICS = [
    "# One line a GPU: temperature, memory, power, errors.",
    'kind = "metrics"',
    'schedule = "*/5 * * * *"',
    'format = "csv"',
    "keep_days = 7",
]
_SERVICES: Mapping[str, tuple[str, ...]] = {
    "http": (
        'name = "model API"',
        'url = "http://localhost:8080/health"',
        _noted('timeout = "5s"', "no answer is CRITICAL; one of over 2 s is WARNING"),
    ),
    "redis": ('name = "redis"', "port = 6379"),
    "postgres": ('name = "postgres"', "port = 5432"),
}
"""Those that are turned on where they answer."""
_MORE_SERVICES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "vLLM, SGLang, llama.cpp: an engine that is asked to work",
        "http",
        (
            'name = "llm"',
            'url = "http://localhost:8000/health"',
            _noted("level = 4", "1 port, 2 page, 3 model, 4 makes a token, 5 tokens flow"),
            _noted('model = "mixtral-8x7b"', "its id in /v1/models"),
            _noted('timeout = "10s"', "a token of a busy engine takes its time"),
            _noted('token_file = "/etc/mltop/llm.token"', "chmod 600; or token_env"),
        ),
    ),
    (
        "with a password, over TLS",
        "redis",
        (
            'name = "shared cache"',
            'host = "cache.internal"',
            _noted('password_file = "/etc/mltop/cache"', "chmod 600; or password_env; user for an ACL"),
            "tls = true",
        ),
    ),
    (
        "connections and lag too, by pip install 'mltop[services]'",
        "postgres",
        (
            'name = "runs"',
            _noted('dsn_file = "/etc/mltop/runs.dsn"', "chmod 600: host=… user=… password=… dbname=…"),
            _noted('role = "primary"', 'or "standby"'),
        ),
    ),
    ("must be active", "unit", (_noted('name = "vllm"', 'a service, or "x.timer", "x.socket"'),)),
    ("answers, and no container is unhealthy or restarts", "docker", ('name = "docker"',)),
    ("must take a connection", "tcp", ('name = "nfs"', 'host = "storage.internal"', "port = 2049")),
)
"""Those that only somebody who knows them turns on: what is to know, kind and keys."""


def _list(texts: tuple[str, ...]) -> str:
    return "[" + ", ".join(_quoted(text) for text in texts) + "]"


def _quoted(text: str) -> str:
    """A TOML string; JSON's escapes are among TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
