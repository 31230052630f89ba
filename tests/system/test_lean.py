from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from mltop.system.lean import import_msgspec
import_msgspec()
heavy = {"inspect", "ast", "dis", "tokenize", "dataclasses", "typing_extensions", "platform", "textwrap"}
heavy |= {"msgspec.inspect", "msgspec.toml", "msgspec.yaml", "msgspec._json_schema"}
heavy &= set(sys.modules)
assert not heavy, heavy
from typing import Annotated, Literal, NotRequired, TypedDict
import msgspec
class Row(TypedDict):
    one: int
    two: NotRequired[Annotated[str, msgspec.Meta(max_length=3)]]
class Table(msgspec.Struct):
    rows: list[Row]
    kind: Literal["a", "b"] = "a"
print(msgspec.json.decode(b'{"rows":[{"one":1,"two":"xyz"},{"one":2}]}', type=Table).rows[0]["two"])
import typing_extensions
print(typing_extensions.__name__)
print(msgspec.json.schema(Table)["$ref"], msgspec.json.schema_components([Table])[0][0]["$ref"])
import_msgspec()
import msgspec.inspect, msgspec.toml
print(type(msgspec.inspect.type_info(int)).__name__, hasattr(msgspec.toml, "decode"))
"""


def test_msgspec_understands_types_and_the_module_that_it_did_not_load_can_be_had_later() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=20)
    assert (done.stdout.split(), done.stderr) == (
        ["xyz", "typing_extensions", "#/$defs/Table", "#/$defs/Table", "IntType", "True"],
        "",
    )


ARGPARSE = """
import sys
from mltop.system.lean import import_argparse
import_argparse()
heavy = {"gettext", "locale"} & set(sys.modules)
assert not heavy, heavy
import argparse
parser = argparse.ArgumentParser(prog="x")
parser.add_argument("--one", nargs=2)
assert "options:" in parser.format_help()
import gettext
print(gettext.__file__ is not None)
parser.parse_args(["--one", "1"])
"""


def test_argparse_speaks_and_gettext_can_be_had_later() -> None:
    done = subprocess.run([sys.executable, "-c", ARGPARSE], capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stdout) == (2, "True\n")
    assert "expected 2 arguments" in done.stderr


PATHLIB = """
import sys
from mltop.system.lean import import_pathlib
import_pathlib()
heavy = {"urllib.parse", "ipaddress"} & set(sys.modules)
assert not heavy, heavy
from pathlib import Path
print(Path("/a b").as_uri())
import platform, urllib.parse, uuid
print(urllib.parse.urlsplit("http://[::1]:80/").port, platform.system(), uuid.uuid4().version)
"""


def test_a_path_has_its_uri_and_urls_can_be_had_later() -> None:
    done = subprocess.run([sys.executable, "-c", PATHLIB], capture_output=True, text=True, check=False, timeout=20)
    assert (done.stdout.splitlines(), done.stderr) == (["file:///a%20b", "80 Linux 4"], "")
