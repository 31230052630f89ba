"""Where a PostgreSQL connection string points to, without a client library to read it.

Source: PostgreSQL documentation, "Connection Strings": `host=db port=5432` and `postgresql://user@db:5432/name`.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit

_PAIR = re.compile(r"(\w+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)+)")


def place(dsn: str) -> tuple[str | None, int | None]:
    """Host (or a socket's folder) and port, `None` where none is named or more than one; raises ValueError."""
    if dsn.startswith(("postgresql://", "postgres://")):
        url = urlsplit(dsn)
        more = {key: values[-1] for key, values in parse_qs(url.query).items()}
        network = url.netloc.rpartition("@")[2]
        if "," in network or "," in more.get("host", ""):
            return None, None
        return unquote(url.hostname or "") or more.get("host"), url.port or _port(more.get("port"))
    pairs = {key: _unquoted(value) for key, value in _PAIR.findall(dsn)}
    host = pairs.get("hostaddr") or pairs.get("host")
    return (None, None) if host is not None and "," in host else (host, _port(pairs.get("port")))


def _port(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value.removeprefix("'").removesuffix("'"))
