"""Any size: no exception, nothing outside, nothing over another; ASCII where asked for (M4, M34)."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from mltop.ui.format import cells
from mltop.ui.layout import PANES, arrange
from mltop.ui.line import text_of


def _scenes() -> Any:
    spec = importlib.util.spec_from_file_location("frames_scenes", Path(__file__).parent / "test_frames.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.SCENES


SCENES = _scenes()


def _sizes(count: int, seed: int) -> list[tuple[int, int]]:
    chance = random.Random(seed)
    corners = [(1, 1), (300, 1), (1, 100), (300, 100), (80, 24), (30, 8), (64, 16), (79, 30), (100, 30)]
    return corners + [(chance.randint(1, 300), chance.randint(1, 100)) for _ in range(count)]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_every_size_draws(build: Any, scene: Any) -> None:
    view = scene(build)
    for width, height in _sizes(18, seed=len(scene.__name__)):
        build.compose(view, width, height)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_ascii_is_ascii(build: Any, scene: Any) -> None:
    view = scene(build)
    view.graphs = "ascii"
    for width, height in _sizes(3, seed=7):
        for line in build.compose(view, width, height):
            assert text_of(line).isascii(), text_of(line)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_widths_are_what_the_terminal_library_counts(build: Any, scene: Any) -> None:
    for line in build.compose(scene(build), 120, 40):
        assert cell_len(text_of(line)) == cells(text_of(line))


@pytest.mark.parametrize("pane", ["cpu", "memory", "gpu", "disk", "network", "process"])
def test_a_pane_hides_and_fills_the_screen(build: Any, pane: str) -> None:
    """M7."""
    view = SCENES[1](build)
    for width, height in _sizes(6, seed=3):
        view.full, view.hidden = None, {pane}
        assert all(place.pane != pane for place in arrange(view, width, height))
        build.compose(view, width, height)
        view.full, view.hidden = pane, set()
        assert any(place.pane == pane for place in arrange(view, width, height))
        build.compose(view, width, height)


def test_all_hidden_is_still_a_screen(build: Any) -> None:
    view = SCENES[0](build)
    view.hidden = set(PANES)
    for width, height in _sizes(6, seed=4):
        build.compose(view, width, height)


@pytest.mark.parametrize("cores", [1, 8, 32, 33, 96, 256])
def test_cores_never_push_processes_away(build: Any, cores: int) -> None:
    """M5: whatever the cores and GPUs, processes stay at 24 rows or more."""
    for gpus in (0, 1, 8, 16, 64):
        view = build.view(build.snapshot(gpus, cores=cores), history=build.history(build.snapshot(0), 2))
        for width, height in ((80, 24), (64, 24), (100, 30), (120, 40), (200, 60)):
            places = {place.pane: place for place in arrange(view, width, height)}
            assert places["process"].height >= 3, (cores, gpus, width, height)
            build.compose(view, width, height)


def test_256_cores_have_a_cell_each(build: Any) -> None:
    from mltop.ui.panes.cpu import cores

    view = build.view(build.snapshot(0, cores=256))
    lines = cores(view, view.snapshot.cpu, 70, 4)
    assert len(lines) <= 4
    assert sum(len(text_of(line)) for line in lines) == 256
