"""One config file as it is read: its tables, and where in its text each key stands."""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mltop.config.fault import Fault, Source
from mltop.config.location import SYSTEM_CONFIG, explicit_config, user_config

_MAX_BYTES = 1 << 20
_TWICE = r"Cannot declare \((.*)\) twice"
_TOO_LONG = f"longer than {_MAX_BYTES >> 20} MiB"


Scope = Literal["user", "system"]


class Document(NamedTuple):
    """A file's tables, not judged yet."""

    path: Path
    raw: dict[str, Any]
    source: Source
    scope: Scope = "user"


class Files(NamedTuple):
    """The config files that are there, the later over the earlier, and what keeps others from being read."""

    documents: tuple[Document, ...] = ()
    faults: tuple[str, ...] = ()
    is_explicit: bool = False
    """Whether `--config` or `MLTOP_CONFIG` named the last: its jobs are all there are (D19)."""


def read_files(
    option: str | None = None, environment: Mapping[str, str] = os.environ, system: Path = SYSTEM_CONFIG
) -> Files:
    """The system's config and the user's own. A file that is not there is no fault, unless it was named."""
    explicit = explicit_config(option, environment)
    own = explicit or user_config(environment)
    documents: list[Document] = []
    faults: list[str] = []
    for path in dict.fromkeys(path for path in (system, own) if path is not None):
        scope: Scope = "user" if path == own else "system"
        name = path.name if scope == "user" and not explicit else str(path)
        try:
            document = read_document(path, name, scope, must_exist=path == explicit)
        except Fault as fault:
            faults.extend(fault.lines)
            continue
        if document is not None:
            documents.append(document)
    return Files(tuple(documents), tuple(faults), explicit is not None)


def read_document(
    path: Path, name: str | None = None, scope: Scope = "user", *, must_exist: bool = False
) -> Document | None:
    """A config file, called `name` in its faults; raises `Fault`. `None` where there is none and need not be."""
    name = name or str(path)
    try:
        data = read_bytes(path)
        text = data.removeprefix(codecs.BOM_UTF8).decode()
    except (FileNotFoundError, NotADirectoryError):
        if must_exist:
            raise Fault([f"{name}: no such file"]) from None
        return None
    except IsADirectoryError:
        raise Fault([f"{name}: is a directory"]) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Fault([f"{name}:{line}: not UTF-8 (byte {error.start}): save it as UTF-8"]) from None
    except OSError as error:
        if not must_exist and isinstance(error, PermissionError) and not os.access(path.parent, os.X_OK):
            return None  # another user's folder (a HOME kept by sudo): what lies there is not this user's
        raise Fault([f"{path}: cannot be read: {error.strerror}"]) from None
    return parse_document(path, text, name, scope)


def parse_document(path: Path, text: str, name: str | None = None, scope: Scope = "user") -> Document:
    """A config file's text, parsed; raises `Fault` where it is no TOML."""
    import tomllib  # only where there is a file

    name = name or str(path)
    try:
        return Document(path, tomllib.loads(text), Source(name, text), scope)
    except tomllib.TOMLDecodeError as error:
        raise Fault([_syntax(name, str(error), text)]) from None
    except RecursionError:
        raise Fault([f"{name}: nested too deep"]) from None


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, or of /dev/null; raises OSError. A FIFO, which would keep the reader waiting, is refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):
            raise OSError(errno.EINVAL, "not a file")
        data = bytearray()
        while block := os.read(descriptor, 65536):
            data += block
            if len(data) > _MAX_BYTES:
                raise OSError(errno.EFBIG, _TOO_LONG)
        return bytes(data)
    finally:
        os.close(descriptor)


def _dotted(names: str) -> str:
    """`'jobs', 'a'` as a file has it."""
    return ".".join(re.findall(r"'([^']*)'", names))


def _syntax(name: str, message: str, text: str) -> str:
    """TOML's complaint, its place moved to the front."""
    what, _, place = message.rpartition(" (at ")
    what = what.replace("Cannot overwrite a value", "a key is there twice: take one of them out")
    if twice := re.search(_TWICE, what):
        what = f"{_dotted(twice[1])} is there twice: rename one of them, or make them one"
    line = place.removeprefix("line ").partition(",")[0]
    if place.startswith("end of document"):
        line = str(max(len(text.splitlines()), 1))
    return f"{name}:{line}: {what}" if what and line.isdigit() else f"{name}: {message}"
