"""What a role looks like: the terminal's own colours by default, two themes of ours, and no colour at all.

Colour never says it alone: a word or a symbol stands beside it (M34), so every map here may be lossy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

from mltop.ui.line import Role

DEFAULT = "terminal"
"""Background and colours are the terminal's own: right on dark, light and 16-colour terminals alike."""


@dataclass(frozen=True, slots=True)
class Palette:
    """One theme: the style of each role, in Rich's words, and the base under all of them."""

    base: str
    roles: dict[Role, str]
    textual: Theme


_TERMINAL = {
    Role.TEXT: "",
    Role.DIM: "dim",
    Role.LABEL: "cyan",
    Role.TITLE: "bold",
    Role.FRAME: "dim",
    Role.OK: "green",
    Role.WARNING: "bold yellow",
    Role.CRITICAL: "bold red",
    Role.STALE: "dim italic",
    Role.KEY: "bold cyan",
    Role.CURSOR: "reverse",
    Role.TAGGED: "bold yellow",
    Role.TRACK: "dim",
    Role.CPU: "green",
    Role.MEMORY: "blue",
    Role.GPU: "cyan",
    Role.DISK: "magenta",
    Role.NETWORK: "blue",
}

_DARK = {
    Role.TEXT: "",
    Role.DIM: "#8b93a1",
    Role.LABEL: "#7fa6c9",
    Role.TITLE: "bold #e8ecf2",
    Role.FRAME: "#3f4855",
    Role.OK: "#8fc07a",
    Role.WARNING: "bold #e5b567",
    Role.CRITICAL: "bold #f2777a",
    Role.STALE: "italic #6c7482",
    Role.KEY: "bold #8abeea",
    Role.CURSOR: "#101418 on #8abeea",
    Role.TAGGED: "bold #e5b567",
    Role.TRACK: "#2e3540",
    Role.CPU: "#8fc07a",
    Role.MEMORY: "#6ea8fe",
    Role.GPU: "#5fc9c0",
    Role.DISK: "#c79be0",
    Role.NETWORK: "#d79a6b",
}

_LIGHT = {
    Role.TEXT: "",
    Role.DIM: "#626a76",
    Role.LABEL: "#2d5f8a",
    Role.TITLE: "bold #101418",
    Role.FRAME: "#b4bcc8",
    Role.OK: "#2f7d32",
    Role.WARNING: "bold #8a5a00",
    Role.CRITICAL: "bold #b3261e",
    Role.STALE: "italic #7d8590",
    Role.KEY: "bold #1d5fa8",
    Role.CURSOR: "#ffffff on #1d5fa8",
    Role.TAGGED: "bold #8a5a00",
    Role.TRACK: "#d7dce3",
    Role.CPU: "#2f7d32",
    Role.MEMORY: "#1d5fa8",
    Role.GPU: "#00736b",
    Role.DISK: "#7b3fa0",
    Role.NETWORK: "#9a5417",
}

_COLOURLESS = {
    Role.DIM: "dim",
    Role.TITLE: "bold",
    Role.FRAME: "dim",
    Role.WARNING: "bold",
    Role.CRITICAL: "bold reverse",
    Role.STALE: "dim",
    Role.KEY: "bold",
    Role.CURSOR: "reverse",
    Role.TAGGED: "bold underline",
    Role.TRACK: "dim",
}
"""Without colour: weight and reverse only."""

PALETTES: dict[str, Palette] = {
    DEFAULT: Palette(
        base="",
        roles=_TERMINAL,
        textual=Theme(
            **{
                **vars(BUILTIN_THEMES["ansi-dark"]),
                "name": DEFAULT,
                "variables": {
                    **BUILTIN_THEMES["ansi-dark"].variables,
                    "border-blurred": "ansi_bright_black",
                    "input-cursor-text-style": "reverse",
                },
            }
        ),
    ),
    "dark": Palette(
        base="#d5dae2 on #14181f",
        roles=_DARK,
        textual=Theme(
            name="dark",
            primary="#8abeea",
            secondary="#5fc9c0",
            warning="#e5b567",
            error="#f2777a",
            success="#8fc07a",
            accent="#8abeea",
            foreground="#d5dae2",
            background="#14181f",
            surface="#14181f",
            panel="#1c222b",
        ),
    ),
    "light": Palette(
        base="#24292f on #fbfcfd",
        roles=_LIGHT,
        textual=Theme(
            name="light",
            primary="#1d5fa8",
            secondary="#00736b",
            warning="#8a5a00",
            error="#b3261e",
            success="#2f7d32",
            accent="#1d5fa8",
            foreground="#24292f",
            background="#fbfcfd",
            surface="#fbfcfd",
            panel="#eef1f5",
            dark=False,
        ),
    ),
}
NAMES = tuple(PALETTES)


@lru_cache(maxsize=8)
def styles(theme: str, no_color: bool) -> dict[Role, Style]:
    """The style of every role under a theme; an unknown theme is the default one."""
    palette = PALETTES.get(theme, PALETTES[DEFAULT])
    base = Style.null() if no_color else Style.parse(palette.base)
    roles = _COLOURLESS if no_color else palette.roles
    return {role: base + Style.parse(roles.get(role, "")) for role in Role}
