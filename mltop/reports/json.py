"""A verdict as one JSON document, `mltop.check/1`, and its JSON Schema."""

from __future__ import annotations

import msgspec

from mltop.model.verdict import Verdict


def text(verdict: Verdict) -> str:
    """The document and a newline. What is no number in JSON (NaN, infinity) is null, what is no character a `?`."""
    try:
        return msgspec.json.encode(verdict).decode() + "\n"
    except UnicodeEncodeError:  # half a surrogate pair: bytes of a name that are not UTF-8
        return msgspec.json.encode(_encodable(msgspec.to_builtins(verdict))).decode() + "\n"


def schema() -> str:
    """The JSON Schema of every such document, those of a failure too."""
    described = msgspec.json.schema(Verdict)
    return msgspec.json.format(msgspec.json.encode(described), indent=2).decode() + "\n"


def _encodable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(one) for key, one in value.items()}
    return [_encodable(one) for one in value] if isinstance(value, list | tuple) else value
