"""A verdict as one JSON document, `mltop.check/1`, and its JSON Schema."""

from __future__ import annotations

import msgspec

from mltop.model.verdict import Verdict


def text(verdict: Verdict) -> str:
    """The document and a newline. What is no number in JSON (NaN, infinity) is null."""
    return msgspec.json.encode(verdict).decode() + "\n"


def schema() -> str:
    """The JSON Schema of every such document, those of a failure too."""
    described = msgspec.json.schema(Verdict)
    return msgspec.json.format(msgspec.json.encode(described), indent=2).decode() + "\n"
