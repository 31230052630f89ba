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
        meant = [each for each in self.patterns if each.rstrip("/")]
        self._of_folders = _names_and_paths(meant)
        self._of_files = _names_and_paths([each for each in meant if not each.endswith("/")])

    def match(self, relative: str, is_folder: bool) -> bool:
        """Whether `relative`, a path below the source, is left out."""
        names, paths = self._of_folders if is_folder else self._of_files
        if names is not None and names.fullmatch(relative, relative.rfind("/") + 1) is not None:
            return True
        return paths is not None and paths.fullmatch(relative) is not None


def is_cache(folder: str) -> bool:
    """Whether `folder` holds a valid CACHEDIR.TAG."""
    try:
        with Path(folder, "CACHEDIR.TAG").open("rb") as file:
            return file.read(len(_SIGNATURE)) == _SIGNATURE
    except OSError:
        return False


_Any = re.Pattern[str] | None
"""What any of some patterns matches; `None` for none of them. One search is for all, for a million names are asked."""


def _names_and_paths(patterns: Iterable[str]) -> tuple[_Any, _Any]:
    bodies = [each.rstrip("/") for each in patterns]
    return _any(each for each in bodies if "/" not in each), _any(each.lstrip("/") for each in bodies if "/" in each)


def _any(bodies: Iterable[str]) -> _Any:
    expressions = [_expression(each) for each in bodies]
    return re.compile("|".join(f"(?:{each})" for each in expressions), re.DOTALL) if expressions else None


def _expression(body: str) -> str:
    """Return a pattern as an expression; one that makes no sense, as `[z-a]`, is taken by the letter."""
    expression = _translate(body)
    try:
        re.compile(expression)
    except re.error:
        return re.escape(body)
    return expression


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
