"""The command palette, whose list may be moved in before it is laid out."""

from __future__ import annotations

from textual.command import CommandPalette


class Palette(CommandPalette):
    """Textual's own; there a page up right after a letter, or in a terminal of a few cells, ends the app."""

    def _action_command_list(self, action: str) -> None:
        """Move in the list; where its rows are not laid out yet (`OptionList._index_to_line`) the key does nothing."""
        try:
            super()._action_command_list(action)
        except (KeyError, IndexError):
            return
