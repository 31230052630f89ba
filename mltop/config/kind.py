"""Which keys a job has, by its kind, and what each takes (interface: the config; D24)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from mltop.config import field
from mltop.config.fault import Source, one_of, shown
from mltop.config.field import Field, Fields, read_table
from mltop.config.job import (
    DAY_S,
    Backend,
    BackupSpec,
    CheckSpec,
    CleanupSpec,
    CommandSpec,
    Hooks,
    Keep,
    Kind,
    MetricsSpec,
    RotateRule,
    RotateSpec,
    Spec,
)
from mltop.config.profile import PROFILES

KINDS: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind != "drill")
"""Those that a config may name."""
COMPRESSIONS = ("zstd", "gzip", "none")
_LEVEL_MAX = {"zstd": 19, "gzip": 9, "none": 19}
_A_DURATION = 'a duration such as "15m"'
_A_SIZE = 'a size such as "100MiB"'
_A_TEXT = "a text"
_A_BOOLEAN = "true or false"
_A_PATH = "an absolute path, or one that begins with ~/"
_MANY = 100_000
_ACCOUNT = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"


def _whole(name: str, least: int, most: int = _MANY) -> Field:
    words = f"a whole number from {least} to {most}" if most < _MANY else f"a whole number >= {least}"
    return Field(name, field.whole(least, most), words)


def _choice(name: str, words: Sequence[str]) -> Field:
    return Field(name, field.choice(words), one_of(words))


def _duration(name: str) -> Field:
    return Field(name, field.duration, _A_DURATION)


def _paths(name: str) -> Field:
    return Field(name, field.listed(field.path, least=1), "a list of absolute paths; ~/ may begin one")


def _patterns(name: str) -> Field:
    return Field(name, field.listed(field.text), "a list of patterns")


DEFAULTS: Fields = {
    "timeout": Field("timeout_s", field.duration_or_none, _A_DURATION + ' ("0": no limit)'),
    "kill_grace": _duration("kill_grace_s"),
    "start_grace": _duration("start_grace_s"),
    "warn_after": Field("warn_after_s", field.duration_or_none, _A_DURATION),
    "on_overlap": Field("on_overlap", field.overlap, '"skip", "wait:10m", "queue", "replace" or "allow"'),
    "retries": _whole("retries", 0, 100),
    "retry_wait": _duration("retry_wait_s"),
    "retry_wait_max": _duration("retry_wait_max_s"),
    "soft_fail": Field("soft_fail", field.listed(field.whole(1, 255)), "a list of exit codes, 1 to 255"),
    "history_runs": _whole("history_runs", 1),
    "history_days": _whole("history_days", 1),
    "history_bytes": Field("history_max_bytes", field.size, _A_SIZE),
    "log_max": Field("log_max_bytes", field.size, _A_SIZE),
    "nice": _whole("nice", -20, 19),
    "io_class": _choice("io_class", ("idle", "best-effort", "realtime")),
    "memory_max": Field("memory_max_bytes", field.size, _A_SIZE),
    "cpu_quota": Field("cpu_quota_percent", field.percent, 'a percentage of one CPU such as "200%"'),
    "env": Field("env", field.environment, "a table of names and texts"),
    "env_file": Field("env_file", field.path, _A_PATH),
    "backend": _choice("backend", get_args(Backend)),
}
"""`[defaults]`: for every job. What is kept of backups and the like is no default (D21)."""
COMMON: Fields = {
    **DEFAULTS,
    "kind": _choice("kind", KINDS),
    "schedule": Field("schedule", field.texts, "a schedule, or a list of them"),
    "enabled": Field("enabled", field.boolean, _A_BOOLEAN),
    "description": Field("description", field.text, _A_TEXT),
    "run_as": Field("run_as", field.matching(_ACCOUNT), "a user's name"),
    "persistent": Field("persistent", field.boolean, _A_BOOLEAN),
    "jitter": _duration("jitter_s"),
    "workdir": Field("workdir", field.path, _A_PATH),
    "tags": Field("tags", field.listed(field.text), "a list of texts"),
}
"""A job's keys, whatever its kind; `alert` beside them."""
KEEP: Fields = {
    **{word: _whole(word, 0) for word in ("last", "hourly", "daily", "weekly", "monthly", "yearly", "min")},
    "within": _duration("within_s"),
}


def _some_time(value: object) -> float:
    """A duration above 0."""
    seconds = field.duration(value)
    if not seconds:
        raise ValueError(value)
    return seconds


HOOKS: Fields = {
    **{
        word: Field(word, lambda value: field.listed(_word, least=1)(value), "a command as a list of its words")
        for word in ("before", "after", "on_error", "always")
    },
    "timeout": Field("timeout_s", _some_time, _A_DURATION),
}
_BACKUP: Fields = {
    "source": Field("sources", lambda value: (field.path(value),), _A_PATH),
    "sources": _paths("sources"),
    "target": Field("target", field.matching(r"(/|~/|[a-z][a-z0-9+.-]*:).+"), _A_PATH + ", or a URL"),
    "engine": _choice("engine", ("archive", "restic")),
    "compression": _choice("compression", COMPRESSIONS),
    "level": _whole("level", 1, 19),
    "keep_days": Field("keep", lambda days: Keep(within_s=field.whole(1, 3650)(days) * DAY_S), "days, 1 to 3650"),
    "exclude": _patterns("exclude"),
    "encrypt_to": Field("encrypt_to", field.listed(field.text), "a list of age recipients"),
    "drill": Field("drill", lambda value: value if value == "" else field.text(value), 'a schedule; "" for never'),
    "settle": _duration("settle_s"),
}
_CLEANUP: Fields = {
    "paths": _paths("paths"),
    "older_than": _duration("older_than_s"),
    "profiles": Field("profiles", field.listed(field.matching(r"[a-z][a-z0-9_-]*")), "a list of profiles"),
    "exclude": _patterns("exclude"),
}
RULE: Fields = {
    "paths": _paths("paths"),
    "size": Field("size_bytes", field.size, _A_SIZE),
    "age": _duration("age_s"),
    "keep": _whole("keep", 0),
    "max_size": Field("max_bytes", field.size, _A_SIZE),
    "mode": _choice("mode", ("rename", "copytruncate")),
    "compression": _choice("compression", COMPRESSIONS),
    "after": Field("after", field.listed(field.text, least=1), "a command as a list of its words"),
}
_METRICS: Fields = {"format": _choice("format", ("csv", "jsonl")), "keep_days": _whole("keep_days", 1, 3650)}
_CHECK: Fields = {"profile": _choice("profile", PROFILES)}
_COMMAND: Fields = {
    "command": Field(
        "command",
        lambda value: field.listed(_word, least=1)(value) if isinstance(value, list) else _script(value),
        "a list of words, or a text for /bin/sh -c",
    )
}
OF_KIND: Mapping[str, Fields] = {
    "backup": _BACKUP,
    "cleanup": _CLEANUP,
    "rotate": {},
    "metrics": _METRICS,
    "check": _CHECK,
    "command": _COMMAND,
}
ALERT: Fields = {
    "after": _whole("after", 1),
    "recovery": Field("recovery", field.boolean, _A_BOOLEAN),
    "on_success": Field("on_success", field.boolean, _A_BOOLEAN),
    "on_late": Field("on_late", field.boolean, _A_BOOLEAN),
    "on_skip_after": _whole("on_skip_after", 1),
    "exec": Field("exec", field.listed(field.text, least=1), "a command as a list of its words"),
    "ping_url": Field("ping_url", field.matching(r"https?://[^\s/]+.*"), "an http or https URL"),
    "ping_url_file": Field("ping_url_file", field.path, _A_PATH),
    "ping_log": Field("ping_log", field.boolean, _A_BOOLEAN),
}
_SPECS: Mapping[str, type[Spec]] = {
    "backup": BackupSpec,
    "cleanup": CleanupSpec,
    "rotate": RotateSpec,
    "metrics": MetricsSpec,
    "check": CheckSpec,
    "command": CommandSpec,
}
_TABLES: Mapping[str, frozenset[str]] = {"backup": frozenset({"keep", "hooks"}), "rotate": frozenset({"rules"})}


def keys_of(kind: str) -> frozenset[str]:
    """All keys of a job of this kind."""
    return frozenset({"alert", *COMMON, *OF_KIND[kind]}) | _TABLES.get(kind, frozenset())


def read_spec(
    kind: str, table: Mapping[str, Any], source: Source, path: Sequence[str], into: dict[str, Any]
) -> Iterator[str]:
    """Read the keys that only this kind has, without those of every job; puts the `Spec` into `into`; yields faults."""
    values: dict[str, Any] = {}
    own = {key: value for key, value in table.items() if key in OF_KIND[kind]}
    faults = [*read_table(own, OF_KIND[kind], source, path, values)]
    if kind == "backup":
        faults += _backup(table, source, path, values)
    elif kind == "rotate":
        faults += _rules(table, source, path, values)
    elif kind == "cleanup" and not ("paths" in table or "profiles" in table):
        faults.append(source.fault(path, "paths or profiles is missing"))
    elif kind == "command" and "command" not in table:
        faults.append(source.fault(path, "command is missing"))
    yield from faults
    if not faults:
        into["spec"] = _SPECS[kind](**values)


def _backup(table: Mapping[str, Any], source: Source, path: Sequence[str], values: dict[str, Any]) -> Iterator[str]:
    if "source" in table and "sources" in table:
        yield source.fault((*path, "sources"), "either source or sources")
    if "source" not in table and "sources" not in table:
        yield source.fault(path, "source is missing")
    if "target" not in table:
        yield source.fault(path, "target is missing")
    most = _LEVEL_MAX[values.get("compression", "zstd")]
    if values.get("level", 1) > most:
        yield source.fault((*path, "level"), f"{values['compression']} has levels 1 to {most}, got {values['level']}")
    if "hooks" in table:
        yield from _hooks(table["hooks"], source, (*path, "hooks"), values)
    if "keep" not in table:
        return
    if "keep_days" in table:
        yield source.fault((*path, "keep_days"), "either keep or keep_days")
    kept: dict[str, Any] = {}
    if not isinstance(table["keep"], dict):
        yield source.fault((*path, "keep"), f"expected a table such as {{ daily = 7 }}, got {shown(table['keep'])}")
        return
    yield from read_table(table["keep"], KEEP, source, (*path, "keep"), kept)
    values["keep"] = Keep(**kept)


def _hooks(given: object, source: Source, path: Sequence[str], values: dict[str, Any]) -> Iterator[str]:
    if not isinstance(given, dict):
        yield source.fault(path, f'expected a table such as {{ before = ["sync"] }}, got {shown(given)}')
        return
    found: dict[str, Any] = {}
    yield from read_table(given, HOOKS, source, path, found)
    values["hooks"] = Hooks(**found)


def _rules(table: Mapping[str, Any], source: Source, path: Sequence[str], values: dict[str, Any]) -> Iterator[str]:
    given = table.get("rules", [])
    if not isinstance(given, list) or not all(isinstance(rule, dict) for rule in given):
        where = ".".join(("jobs", path[-1], "rules"))
        yield source.fault((*path, "rules"), f"expected [[{where}]], got {shown(given)}")
        return
    if not given:
        yield source.fault(path, "rules are missing")
    rules: list[RotateRule] = []
    for number, rule in enumerate(given):
        place = (*path, "rules", str(number))
        found: dict[str, Any] = {}
        faults = [*read_table(rule, RULE, source, place, found)]
        if "paths" not in rule:
            faults.append(source.fault(place, "paths is missing"))
        if "size" not in rule and "age" not in rule:
            faults.append(source.fault(place, "size or age is missing"))
        yield from faults
        if not faults:
            rules.append(RotateRule(**found))
    values["rules"] = tuple(rules)


def _word(value: object) -> str:
    """A word of a command: anything that an argument can be, also nothing."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(value)
    return value


def _script(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(value)
    return value
