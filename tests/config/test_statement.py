from __future__ import annotations

import tomllib

import pytest

from mltop.config.statement import statements

ODD = '''# top
version = 1 # one

[ jobs . "a.b" ] # odd
"k # 1" = """
[jobs.not]
x = 1
"""  # after
l = [ # list
  "]", # [not]
  [1, 2],
]
i = { a = "}", b = [1] }\x20
m.n = \'\'\'
''\'\'\'
[[jobs.x.rules]]
p = 'it"s'
[[jobs.x.rules]]
q = ""
r = 2020-01-01 00:00:00 # time'''


def test_every_byte_belongs_to_one_statement() -> None:
    tomllib.loads(ODD)
    found = list(statements(ODD))
    assert "".join(ODD[one.start : one.end] for one in found) == ODD
    values = {one.path: ODD[slice(*one.value)] for one in found if one.kind == "key"}
    where = ("jobs", "a.b")
    assert values[("version",)] == "1"
    assert values[(*where, "k # 1")].endswith('x = 1\n"""')
    assert values[(*where, "l")].endswith("[1, 2],\n]")
    assert values[(*where, "i")] == '{ a = "}", b = [1] }'
    assert values[(*where, "m", "n")] == "'''\n'''''"
    assert values[("jobs", "x", "rules", "0", "p")] == "'it\"s'"
    assert values[("jobs", "x", "rules", "1", "q")] == '""'
    assert values[("jobs", "x", "rules", "1", "r")] == "2020-01-01 00:00:00"
    assert [one.path for one in found if one.kind == "table"] == [
        where,
        ("jobs", "x", "rules", "0"),
        ("jobs", "x", "rules", "1"),
    ]


def test_line_ends_of_windows_stay_out_of_values() -> None:
    text = "a = 1\r\n\r\n# c\r\nb = [1,\r\n2]\r\n"
    assert [(one.kind, text[slice(*one.value)]) for one in statements(text)] == [
        ("key", "1"),
        ("blank", ""),
        ("comment", ""),
        ("key", "[1,\r\n2]"),
    ]


def test_no_toml_is_no_statement() -> None:
    with pytest.raises(ValueError, match="not TOML"):
        list(statements("a = 1\nwhat is this\n"))
