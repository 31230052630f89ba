"""A terminal's screen as a PNG, cell by cell: boxes, blocks and braille are drawn as the shapes that they are.

A font would leave gaps between the rows; a real terminal does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyte
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 10, 20
"""Pixels of a cell."""
FONTS = Path("/usr/share/fonts/truetype/dejavu")
"""Debian's fonts-dejavu-core."""
NAMED = {
    "black": "#000000", "red": "#e0443e", "green": "#22b573", "brown": "#e0c341", "blue": "#3b82d6",
    "magenta": "#bb5cc2", "cyan": "#1fb4c8", "white": "#d8d8d8", "brightblack": "#7a7a7a", "brightred": "#ff6b64",
    "brightgreen": "#3fdc97", "brightbrown": "#ffe066", "brightyellow": "#ffe066", "brightblue": "#6aa9ff",
    "brightmagenta": "#e08ae6", "brightcyan": "#4fdcec", "brightwhite": "#ffffff",
}  # fmt: skip
DARK = ("#d8d8d8", "#101418")
LIGHT = ("#24292f", "#fbfbf8")
_LIGHT_NAMED = NAMED | {"white": "#57606a", "brown": "#8a6100", "cyan": "#0a7285", "green": "#137a49", "red": "#c0241e"}
_ARMS = {
    "─": "lr", "│": "ud", "┌": "rd", "┐": "ld", "└": "ru", "┘": "lu", "├": "rud", "┤": "lud", "┬": "lrd", "┴": "lru",
    "┼": "lrud", "╭": "rd", "╮": "ld", "╰": "ru", "╯": "lu", "━": "LR", "╸": "L", "╺": "R", "┄": "lr", "╌": "lr",
    "╍": "LR",
}  # fmt: skip
_BRAILLE_DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
_QUADRANTS = {
    "▖": "c", "▗": "d", "▘": "a", "▙": "acd", "▚": "ad", "▛": "abc", "▜": "abd", "▝": "b", "▞": "bc", "▟": "bcd",
}  # fmt: skip


def mixed(text: str, ground: str, share: float = 0.5) -> str:
    """A colour between two."""
    pairs = [(int(text[i : i + 2], 16), int(ground[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


class Screen(pyte.Screen):
    """A screen that knows faint text, which pyte drops: it is kept as `blink`, which nobody uses."""

    def select_graphic_rendition(self, *attrs: int, **more: Any) -> None:
        """Turn the code 2 into 5, but not where it says "true colour follows"."""
        kept: list[int] = []
        for code in attrs:
            is_colour = len(kept) > 0 and kept[-1] in (38, 48)
            skip = len(kept) > 1 and kept[-2] in (38, 48)
            kept.append(5 if code == 2 and not is_colour and not skip else code)
        super().select_graphic_rendition(*kept, **more)


class Picture:
    """Draws screens with one pair of default colours (text, background)."""

    def __init__(self, default: tuple[str, str] = DARK) -> None:
        self._default = default
        self._named = _LIGHT_NAMED if default == LIGHT else NAMED
        self._plain = ImageFont.truetype(str(FONTS / "DejaVuSansMono.ttf"), 16)
        self._bold = ImageFont.truetype(str(FONTS / "DejaVuSansMono-Bold.ttf"), 16)

    def save(self, ansi: str, columns: int, rows: int, path: Path) -> None:
        """Write what a terminal of this size shows after `ansi`."""
        screen = Screen(columns, rows)
        screen.set_mode(pyte.modes.LNM)
        pyte.Stream(screen).feed(ansi)
        image = Image.new("RGB", (columns * WIDTH, rows * HEIGHT), self._default[1])
        draw = ImageDraw.Draw(image)
        for row in range(rows):
            for column in range(columns):
                self._cell(draw, column * WIDTH, row * HEIGHT, screen.buffer[row][column])
        image.quantize(256).save(path, optimize=True)

    def _cell(self, draw: ImageDraw.ImageDraw, x: int, y: int, cell: pyte.screens.Char) -> None:
        text, ground = self._colour(cell.fg, self._default[0]), self._colour(cell.bg, self._default[1])
        if cell.blink:
            text = mixed(text, ground)
        if cell.reverse:
            text, ground = ground, text
        if ground != self._default[1]:
            draw.rectangle((x, y, x + WIDTH - 1, y + HEIGHT - 1), fill=ground)
        if cell.data.strip():
            self._glyph(draw, x, y, cell, text)
        if cell.underscore:
            draw.line((x, y + HEIGHT - 2, x + WIDTH - 1, y + HEIGHT - 2), fill=text)

    def _colour(self, name: str, default: str) -> str:
        return default if name == "default" else self._named.get(name, "#" + name)

    def _glyph(self, draw: ImageDraw.ImageDraw, x: int, y: int, cell: pyte.screens.Char, colour: str) -> None:
        glyph = cell.data[0]
        code = ord(glyph)
        if glyph in _ARMS:
            self._arms(draw, x, y, _ARMS[glyph], colour)
        elif 0x2581 <= code <= 0x2588:
            draw.rectangle((x, y + HEIGHT - round(HEIGHT * (code - 0x2580) / 8), x + WIDTH - 1, y + HEIGHT - 1), colour)
        elif 0x2589 <= code <= 0x258F:
            draw.rectangle((x, y, x + max(1, round(WIDTH * (0x2590 - code) / 8)) - 1, y + HEIGHT - 1), fill=colour)
        elif glyph in "░▒▓":
            self._shade(draw, x, y, {"░": 4, "▒": 2, "▓": 4}[glyph], glyph == "▓", colour)
        elif glyph in _QUADRANTS:
            for part in _QUADRANTS[glyph]:
                left, top = x + (part in "bd") * WIDTH // 2, y + (part in "cd") * HEIGHT // 2
                draw.rectangle((left, top, left + WIDTH // 2 - 1, top + HEIGHT // 2 - 1), fill=colour)
        elif 0x2800 <= code <= 0x28FF:
            for bit, (i, j) in enumerate(_BRAILLE_DOTS):
                if (code - 0x2800) >> bit & 1:
                    left, top = x + 2 + i * 5, y + 2 + j * 5
                    draw.rectangle((left, top, left + 1, top + 1), fill=colour)
        else:
            draw.text((x, y), glyph, font=self._bold if cell.bold else self._plain, fill=colour)

    @staticmethod
    def _arms(draw: ImageDraw.ImageDraw, x: int, y: int, arms: str, colour: str) -> None:
        middle_x, middle_y = x + WIDTH // 2, y + HEIGHT // 2
        for arm in arms:
            half = 1 if arm.isupper() else 0
            box = {
                "l": (x, middle_y - half, middle_x, middle_y + half),
                "r": (middle_x, middle_y - half, x + WIDTH - 1, middle_y + half),
                "u": (middle_x - half, y, middle_x + half, middle_y),
                "d": (middle_x - half, middle_y, middle_x + half, y + HEIGHT - 1),
            }[arm.lower()]
            draw.rectangle(box, fill=colour)

    @staticmethod
    def _shade(draw: ImageDraw.ImageDraw, x: int, y: int, step: int, is_inverse: bool, colour: str) -> None:
        for j in range(HEIGHT):
            for i in range(WIDTH):
                if ((i + 2 * j) % step == 0) != is_inverse:
                    draw.point((x + i, y + j), fill=colour)
