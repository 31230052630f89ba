"""Messages through a pipe: each with its length before it, for a pipe has no ends of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_LENGTH_BYTES = 4


def framed(message: bytes) -> bytes:
    """A message as it is written. One of no bytes is none."""
    return len(message).to_bytes(_LENGTH_BYTES, "big") + message


def taken(buffer: bytearray) -> bytes | None:
    """Take the first message off what was read; `None` while the whole of it is not there."""
    end = _LENGTH_BYTES + int.from_bytes(buffer[:_LENGTH_BYTES], "big")
    if len(buffer) <= _LENGTH_BYTES or len(buffer) < end:
        return None
    message = bytes(buffer[_LENGTH_BYTES:end])
    del buffer[:end]
    return message


def unpacked(buffer: bytearray) -> Any:
    """Take the first message off what was read, as MessagePack; `None` while the whole of it is not there."""
    import msgspec

    message = taken(buffer)
    return None if message is None else msgspec.msgpack.decode(message)
