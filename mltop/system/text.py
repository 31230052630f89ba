"""Foreign text made harmless: process names, mounts, users, log lines (D14, M26)."""

from __future__ import annotations

_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\ufe0f\uffa0"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
    + "".join(map(chr, range(0xE0100, 0xE01F0)))
)
"""Characters that `str.isprintable` lets through and that draw nothing: fillers, joiners, variation selectors."""


def clean(text: str | bytes, limit: int = 512) -> str:
    """Return `text` on one line, without anything that a terminal or a reader's eye could take for something else.

    Bytes are read as UTF-8. Line ends, tabs and odd spaces become a space; control, bidi and other format characters,
    surrogates, unassigned and invisible characters become `?`. At most `limit` characters come back.
    """
    if isinstance(text, bytes):
        text = text[: 4 * limit].decode("utf-8", "replace").replace("\ufffd", "?")
    text = text[:limit]
    if text.isprintable() and (text.isascii() or _INVISIBLE.isdisjoint(text)):
        return text
    return "".join(_harmless(character) for character in text)


def _harmless(character: str) -> str:
    if character.isprintable() and character not in _INVISIBLE:
        return character
    return " " if character.isspace() else "?"
