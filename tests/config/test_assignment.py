from __future__ import annotations

from typing import Any

import pytest

from mltop.config.assignment import assignment
from mltop.config.change import RemoveKey, SetKey
from mltop.config.fault import Fault


@pytest.mark.parametrize(
    ("kind", "text", "key", "value"),
    [
        ("backup", "schedule=0 3 * * *", ("schedule",), "0 3 * * *"),
        ("backup", 'schedule=["@daily", "@weekly"]', ("schedule",), ["@daily", "@weekly"]),
        ("backup", "schedule=@daily", ("schedule",), "@daily"),
        ("backup", "enabled=false", ("enabled",), False),
        ("backup", "keep.daily=7", ("keep", "daily"), 7),
        ("backup", "keep={ last = 3 }", ("keep",), {"last": 3}),
        ("backup", "timeout=4h", ("timeout",), "4h"),
        ("backup", "timeout=0", ("timeout",), 0),
        ("backup", "description=5", ("description",), "5"),
        ("backup", "description=2026-01-01", ("description",), "2026-01-01"),
        ("backup", "description=a=b # c", ("description",), "a=b # c"),
        ("backup", "drill=", ("drill",), ""),
        ("backup", "nice=lots", ("nice",), "lots"),
        ("backup", "alert.after=3", ("alert", "after"), 3),
        ("command", "command=echo true", ("command",), "echo true"),
        ("command", "command=true", ("command",), "true"),
        ("command", 'command=["a", "b"]', ("command",), ["a", "b"]),
        ("command", "env.PORT=80", ("env", "PORT"), "80"),
        ("rotate", "rules.0.size=1MiB", ("rules", "0", "size"), "1MiB"),
    ],
)
def test_a_value_needs_no_quotes(kind: str, text: str, key: tuple[str, ...], value: Any) -> None:
    change = assignment("x", kind, text)
    assert change == SetKey("x", key, value)
    assert isinstance(change, SetKey)
    assert type(change.value) is type(value)


def test_no_value_takes_the_key_away() -> None:
    assert assignment("x", "check", "nice=") == RemoveKey("x", ("nice",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("enabled", 'expected KEY=VALUE, got "enabled"'),
        ("a..b=1", 'expected KEY=VALUE, got "a..b=1"'),
        ("timeuot=1h", "timeuot: unknown key; did you mean timeout?"),
        ("older_than=1h", "older_than: unknown key"),
    ],
)
def test_what_is_none_is_said(text: str, said: str) -> None:
    with pytest.raises(Fault) as caught:
        assignment("x", "check", text)
    assert caught.value.lines == (said,)
