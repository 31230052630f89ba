"""Well-known caches by name: where they lie, and for pip's the tool that owns it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

from mltop.tasks.cleanup.clean import Cleaned
from mltop.tasks.outcome import UsageError, display, problem

FOLDERS = {
    "torch": ("~/.cache/torch",),
    "triton": ("~/.triton/cache",),
    "inductor": ("/tmp/torchinductor_{user}",),
}
"""Cleaned by age as any other folder. Sources: torch.hub.get_dir, TRITON_CACHE_DIR, TORCHINDUCTOR_CACHE_DIR."""
NAMES = ("pip", *FOLDERS)
_PIP_S = 120.0
_PURGED = ("http", "http-v2", "wheels")
"""Folders of its cache that `pip cache purge` empties (pip's commands/cache.py); the rest is a tag and a note."""


def folders_of(profiles: tuple[str, ...], user: str) -> tuple[str, ...]:
    """The folders of profiles; raises `UsageError` for a profile that is not known."""
    for each in profiles:
        if each not in NAMES:
            raise UsageError(f"profile {each!r} is not in this version; there are {', '.join(NAMES)}")
    return tuple(path.format(user=user) for each in profiles for path in FOLDERS.get(each, ()))


def clean_pip(dry_run: bool) -> Cleaned:
    """Empty pip's cache by `pip cache purge`: the cache's layout is pip's own, and so it has no age rule."""
    pip = _pip()
    if pip is None:
        return Cleaned(path="pip cache", is_missing=True)
    try:
        folder = _ask(pip, "dir")
        if not folder.startswith("/") or not os.path.isdir(folder):  # noqa: PTH112 - as text
            return Cleaned(path=display(folder) or "pip cache", is_missing=True)
        files, before, owned, owned_bytes = _measure(folder)
        if not dry_run and owned:
            _ask(pip, "purge")
        left, after = (files - owned, before - owned_bytes) if dry_run else _measure(folder)[:2]
    except (OSError, subprocess.SubprocessError) as error:
        return Cleaned(path="pip cache", problems=(problem("failed", "pip cache", _words(error)),))
    return Cleaned(
        path=display(folder),
        files_before=files,
        files_removed=files - left,
        bytes_before=before,
        bytes_removed=before - after,
        bytes_after=after,
        kept={"not pip's to remove": left} if left else {},
    )


def _pip() -> list[str] | None:
    """The pip of the user's PATH, else our own interpreter's."""
    if found := shutil.which("pip3") or shutil.which("pip"):
        return [found]
    try:
        import pip  # noqa: F401
    except ImportError:
        return None
    return [sys.executable, "-P", "-m", "pip"]


def _ask(pip: list[str], word: str) -> str:
    done = subprocess.run(
        [*pip, "--disable-pip-version-check", "--no-input", "cache", word],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PIP_S,
        check=True,
        env={**os.environ, "LC_ALL": "C", "PIP_NO_COLOR": "1"},
    )
    return os.fsdecode(done.stdout).strip().splitlines()[-1] if done.stdout.strip() else ""


def _measure(folder: str) -> tuple[int, int, int, int]:
    """Files, and the bytes that they take on the disk: all, and those that `purge` removes."""
    files = taken = owned = owned_bytes = 0
    deadline = time.monotonic() + _PIP_S
    for path, _, names in os.walk(folder):
        if time.monotonic() > deadline:
            raise OSError(62, "the cache is too large to be measured in time")  # ETIME
        for name in names:
            try:
                status = os.lstat(os.path.join(path, name))  # noqa: PTH118
            except FileNotFoundError:
                continue
            files, taken = files + 1, taken + status.st_blocks * 512
            if path[len(folder) :].lstrip("/").partition("/")[0] in _PURGED:
                owned, owned_bytes = owned + 1, owned_bytes + status.st_blocks * 512
    return files, taken, owned, owned_bytes


def _words(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        said = (error.stderr or b"").strip().splitlines()
        return f"pip ended with {error.returncode}" + (f": {display(os.fsdecode(said[-1]))}" if said else "")
    if isinstance(error, subprocess.TimeoutExpired):
        return f"pip did not answer within {_PIP_S:.0f} s"
    return str(error)
