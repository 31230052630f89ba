"""Names of users. Asking for one may go out to the network and hang, so a reader's child does (D4)."""

from __future__ import annotations

import pwd

from mltop.sampling.reader import Reader
from mltop.system.text import clean

_TASK = "user"
_ASK_AGAIN_S = 600.0
_ASK_AGAIN_AFTER_FAULT_S = 60.0


def read_user(uid: int) -> str:
    """For a reader's child. Raises KeyError where nobody has this number."""
    return clean(pwd.getpwuid(uid).pw_name, 64)


class Users:
    """Names by number, as far as they are known by now."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        reader.learn(_TASK, read_user)
        self._names: dict[int, str] = {}
        self._ask_at: dict[int, float] = {}

    def refresh(self, now: float) -> None:
        """Take the names that have come."""
        for uid, answer in self._reader.take(_TASK).items():
            if isinstance(uid, int):
                if answer.error is None:
                    self._names[uid] = answer.value
                self._ask_at[uid] = now + (_ASK_AGAIN_S if answer.error is None else _ASK_AGAIN_AFTER_FAULT_S)

    def name(self, uid: int, now: float) -> str:
        """The user's name, or the number while no name is known."""
        if now >= self._ask_at.get(uid, now):
            self._reader.ask(_TASK, uid)
        return self._names.get(uid) or str(uid)
