"""What the parts of the dashboard tell each other; all in the past tense."""

from __future__ import annotations

from textual.message import Message

from mltop.model.snapshot import Snapshot


class Sampled(Message):
    """A new snapshot was read. The latest replaces one that still waits: a burst becomes one repaint."""

    bubble = False

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """Whether this takes the place of a waiting `message`."""
        return isinstance(message, Sampled)


class SourceLost(Message):
    """A line could not be read, or there will be no more lines."""

    bubble = False

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__()
        self.reason = reason
        self.is_final = is_final


class Drained(Message):
    """The terminal takes output again, or its contents are not ours any more: everything has to be painted."""

    bubble = False

    def can_replace(self, message: Message) -> bool:
        """Whether this takes the place of a waiting `message`."""
        return isinstance(message, Drained)
