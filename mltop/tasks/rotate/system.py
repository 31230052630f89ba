"""Which logs the system's own logrotate has: one log, one who rotates it."""

from __future__ import annotations

import fnmatch
import shlex
from pathlib import Path

CONFIG = (Path("/etc/logrotate.conf"), Path("/etc/logrotate.d"))


def patterns(config: tuple[Path, ...] = CONFIG) -> list[tuple[str, str]]:
    """Return each pattern of logrotate's config and the file it is in; what cannot be read is not there."""
    files = [file for place in config for file in (sorted(place.iterdir()) if place.is_dir() else [place])]
    found = []
    for file in files:
        try:
            text = file.read_text("utf-8", "replace")
        except OSError:
            continue
        found += [(pattern, str(file)) for pattern in _paths(text)]
    return found


def owner(path: str, known: list[tuple[str, str]]) -> str | None:
    """Return the config file that has `path`, or `None`."""
    return next((file for pattern, file in known if fnmatch.fnmatchcase(path, pattern)), None)


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
