"""`[log] events`: where each run and each verdict is noted, read without the rest of the config: a fault stops no job.

What is wrong with it, `mltop config check` and `mltop doctor` say (D22).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mltop.config.document import Document, read_files

PATTERN = r"^(/|~/)[^\x00-\x1f]+$"
"""An absolute path, or one in the home of who writes."""


def event_path(option: str | None = None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where events go by the config that holds for a caller; `None`: nowhere. Raises nothing."""
    return of_documents(read_files(option, environment).documents, environment)


def of_documents(documents: Iterable[Document], environment: Mapping[str, str] = os.environ) -> Path | None:
    """The same of files that were read, the later over the earlier."""
    found = None
    for document in documents:
        table = document.raw.get("log")
        text = table.get("events") if isinstance(table, dict) else None
        if isinstance(text, str) and re.match(PATTERN, text):
            found = text
    return expanded(found, environment) if found is not None else None


def expanded(text: str, environment: Mapping[str, str]) -> Path | None:
    """A path with `~` as the home of who writes; `None` without one."""
    if text.startswith("/"):
        return Path(text)
    home = environment.get("HOME", "")
    return Path(home) / text[2:] if home.startswith("/") else None
