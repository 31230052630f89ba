"""Which paths are left out: patterns as shells know them, and the tag of cache folders."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
"""The first bytes of a CACHEDIR.TAG (the Cache Directory Tagging specification)."""


class Excludes:
    """Patterns against a path below its source.

    Without a slash a pattern is matched with the last component; with one it is anchored at the source. `*` and `?`
    stop at slashes, `**` does not, and a slash at the end means folders only.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(patterns)
        self._names: list[tuple[re.Pattern[str], bool]] = []
        self._paths: list[tuple[re.Pattern[str], bool]] = []
        for pattern in self.patterns:
            folders_only = pattern.endswith("/")
            body = pattern.rstrip("/")
            if not body:
                continue
            anchored = "/" in body
            compiled = re.compile(_translate(body.lstrip("/")), re.DOTALL)
            (self._paths if anchored else self._names).append((compiled, folders_only))

    def match(self, relative: str, is_folder: bool) -> bool:
        """Whether `relative`, a path below the source, is left out."""
        name = relative.rpartition("/")[2]
        return _any(self._names, name, is_folder) or _any(self._paths, relative, is_folder)


def is_cache(folder: str) -> bool:
    """Whether `folder` holds a valid CACHEDIR.TAG."""
    try:
        with Path(folder, "CACHEDIR.TAG").open("rb") as file:
            return file.read(len(_SIGNATURE)) == _SIGNATURE
    except OSError:
        return False


def _any(patterns: list[tuple[re.Pattern[str], bool]], text: str, is_folder: bool) -> bool:
    return any(pattern.fullmatch(text) for pattern, folders_only in patterns if is_folder or not folders_only)


def _translate(pattern: str) -> str:
    out = ""
    index = 0
    while index < len(pattern):
        if pattern.startswith("**/", index):
            out, index = out + "(?:.*/)?", index + 3
        elif pattern.startswith("**", index):
            out, index = out + ".*", index + 2
        elif pattern[index] == "*":
            out, index = out + "[^/]*", index + 1
        elif pattern[index] == "?":
            out, index = out + "[^/]", index + 1
        elif pattern[index] == "[" and (end := pattern.find("]", index + 2)) > 0:
            body = pattern[index + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out, index = out + "[" + ("^" + body[1:] if body[0] == "!" else body) + "]", end + 1
        else:
            out, index = out + re.escape(pattern[index]), index + 1
    return out
