"""Help: every key that works on the screen below, from its live bindings."""

from __future__ import annotations

from textual.binding import Binding

from mltop.ui.command import Command
from mltop.ui.commands import APP, PAGE
from mltop.ui.line import Line, Role
from mltop.ui.screens.page import PageScreen

KEY_WIDTH = 17
TWO_COLUMNS = 160
"""From this width on, two columns of groups."""


class HelpScreen(PageScreen):
    """Groups of keys, each with what it does."""

    heading = "mltop: keys"

    def content(self, width: int) -> list[Line]:
        """The groups, in two columns where there is room."""
        column = width // 2 if width >= TWO_COLUMNS else width
        blocks = [_block(name, entries, column - 2) for name, entries in self._groups()]
        if column == width:
            return [line for block in blocks for line in block]
        half = sum(map(len, blocks)) / 2
        left: list[Line] = []
        right: list[Line] = []
        for block in blocks:
            (left if len(left) + len(block) / 2 <= half and not right else right).extend(block)
        return [_beside(left, right, row, column) for row in range(max(len(left), len(right)))]

    def _groups(self) -> list[tuple[str, list[Binding]]]:
        """The live bindings of the app and of the screen below, by the group of their command."""
        bindings = self._live()
        groups: dict[str, list[Binding]] = {}
        for command in self.dashboard.possible(self._commands()):
            binding = bindings.pop(command.id, None)
            if binding is not None:
                groups.setdefault(command.group, []).append(binding)
        others = [binding for binding in bindings.values() if binding.description and not binding.system]
        if others:
            groups["more"] = others
        return list(groups.items())

    def _commands(self) -> dict[Command, None]:
        """Of the screen below, of the app and of pages, each once."""
        own = [
            command for screen in reversed(self.app.screen_stack[:-1]) for command in getattr(screen, "commands", ())
        ]
        return dict.fromkeys((*own, *APP, *PAGE))

    def _live(self) -> dict[str, Binding]:
        live: dict[str, Binding] = {}
        for node in (*reversed(self.app.screen_stack[:-1]), self, self.app):
            for bindings in node._bindings.key_to_bindings.values():
                for binding in bindings:
                    live.setdefault(binding.id or binding.action, binding)
        possible = {command.id for command in self.dashboard.possible(self._commands())}
        for command in self._commands():
            if command.id not in possible:
                live.pop(command.id, None)
        return live


def _block(name: str, entries: list[Binding], width: int) -> list[Line]:
    lines: list[Line] = [[(f" {name}", Role.LABEL)]]
    for binding in entries:
        keys = (binding.key_display or binding.key)[: KEY_WIDTH - 1]
        text = (binding.tooltip or binding.description)[: max(0, width - KEY_WIDTH - 3)]
        lines.append([(f"   {keys:<{KEY_WIDTH}}", Role.KEY), (text, Role.TEXT)])
    lines.append([])
    return lines


def _beside(left: list[Line], right: list[Line], row: int, column: int) -> Line:
    line = list(left[row]) if row < len(left) else []
    used = sum(len(text) for text, _ in line)
    line.append((" " * max(0, column - used), Role.TEXT))
    return line + (right[row] if row < len(right) else [])
