"""SHA-256 of a few bytes, without OpenSSL: to load that takes `hashlib` longer than a run hashes."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

# the interpreter's own, which `random` of the standard library takes for the same reason
_OWN = "_sha2", "_sha256"
"""From Python 3.12, and before."""


def sha256_hex(data: bytes) -> str:
    """The digest in hexadecimal."""
    return str(_sha256()(data).hexdigest())


@cache
def _sha256() -> Any:
    for name in _OWN:
        try:
            return importlib.import_module(name).sha256
        except ImportError:
            continue
    return importlib.import_module("hashlib").sha256
