"""Symbolic links on their way out of an archive: those that lead out of the restored folder are told apart."""

from __future__ import annotations

import posixpath
from typing import Literal

from mltop.tasks.archive.record import Source

Links = Literal["auto", "keep", "skip", "rebase"]
"""For links that lead out: keep them, skip them, or point those into a source at its restored copy. `auto` keeps
those of our own archives and skips those of foreign ones."""


def leads_out(name: str, target: str) -> bool:
    """Whether a link called `name` points out of the folder that its archive is restored to."""
    if target.startswith("/"):
        return True
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), target)).split("/")[0] == ".."


def arrange(name: str, target: str, policy: Links, sources: tuple[Source, ...] | None) -> tuple[str | None, str | None]:
    """Return what to link to (`None`: not at all) and what to say about it.

    `sources` is `None` for a foreign archive.
    """
    if not leads_out(name, target):
        return target, None
    if policy == "rebase":
        rebased = _rebase(name, target, sources or ())
        return (rebased, None) if rebased else (None, f"it leads out, to {target}, and into no source")
    if policy == "skip" or (policy == "auto" and sources is None):
        return None, f"it leads out, to {target}"
    return target, f"it leads out, to {target}"


def _rebase(name: str, target: str, sources: tuple[Source, ...]) -> str | None:
    absolute = posixpath.normpath(target)
    for source in sources:
        if f"{absolute}/".startswith(source.path.rstrip("/") + "/"):
            inside = posixpath.join(source.name, absolute[len(source.path.rstrip("/")) :].lstrip("/"))
            return posixpath.relpath(inside, posixpath.dirname(name) or ".")
    return None
