"""Which logs the system's own logrotate has: one log, one who rotates it."""

from __future__ import annotations

import fnmatch
import shlex
from pathlib import Path

CONFIG = (Path("/etc/logrotate.conf"), Path("/etc/logrotate.d"))


def patterns(config: tuple[Path, ...] = CONFIG) -> list[tuple[str, str]]:
    """Return each pattern of logrotate's config and the file it is in; what cannot be read is not there."""
    found = []
    for file in (file for place in config for file in _files(place)):
        try:
            text = file.read_text("utf-8", "replace")
        except OSError:
            continue
        found += [(pattern, str(file)) for pattern in _paths(text)]
    return found


def owner(path: str, known: list[tuple[str, str]]) -> str | None:
    """Return the config file that has `path`, or `None`."""
    return next((file for pattern, file in known if _matches(path, pattern)), None)


def _matches(path: str, pattern: str) -> bool:
    """Whether a pattern has a path, as glob(7): no `*` goes over a slash."""
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def _files(place: Path) -> list[Path]:
    try:
        return sorted(place.iterdir())
    except NotADirectoryError:
        return [place]
    except OSError:
        return []


def _paths(text: str) -> list[str]:
    """Return the paths before each `{`; directives within braces and at the top are no paths."""
    found: list[str] = []
    depth = 0
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip()
        if depth == 0:
            try:
                words = shlex.split(line.split("{", 1)[0])
            except ValueError:
                words = line.split("{", 1)[0].split()
            found += [word for word in words if word.startswith("/")] if words and words[0].startswith("/") else []
        depth = max(0, depth + line.count("{") - line.count("}"))
    return found
