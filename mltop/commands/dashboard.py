"""`mltop`: the dashboard. Starts its sampler first, then imports Textual, so that both happen at once."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn, get_args

from mltop.commands.setting import settings_of
from mltop.config.settings import Settings, Theme

if TYPE_CHECKING:
    from mltop.model.history import History
    from mltop.sampling.recorder import Recorder
    from mltop.ui.app import Dashboard
    from mltop.ui.feed import Source
    from mltop.ui.session import Session
    from mltop.ui.view import Graphs, View

USAGE = 2


class Box(NamedTuple):
    """Whose dashboard it is."""

    source: Source
    reopen: Callable[[], Source] | None = None
    """How another source is made where this one ends."""
    recorder: Recorder | None = None
    ask: tuple[str, ...] = ()
    """What answers the screens, where it is not this mltop's own command line."""
    history: History | None = None
    """What is known of the time before."""
    state: Path | None = None
    """Where what is done to the box is noted."""


def run(options: argparse.Namespace) -> int:
    """Show the dashboard until it ends: 0 (`q`, Ctrl-C), 128 + the signal, 1 after a fault, 2 for a wrong theme."""
    settings = Settings() if options.demo else settings_of(options)
    theme = options.theme or settings.ui.theme
    names = get_args(get_args(Theme)[0])
    if theme not in names:
        sys.stderr.write(f"mltop: --theme: expected {', '.join(names)}, got {theme!r}\n")
        return USAGE
    box = _box(options, settings)
    if isinstance(box, str):
        sys.stderr.write(f"mltop: {box}\n")
        return 1
    no_color = _choose_colours(options.no_color)
    from mltop.ui.terminal import splash

    view = _view(options, settings)
    if box.history is not None:
        view.history = box.history
    is_shown = splash.show(view, no_color=no_color)
    try:
        app = _dashboard(box, _session(view, settings), theme, _files(options))
    except BaseException:
        if is_shown:
            splash.hide()
        raise
    app.has_splash = is_shown
    app.run()
    return _leave(app)


def _dashboard(box: Box, session: Session, theme: str, files: dict[str, str]) -> Dashboard:
    """The app: this is where Textual is imported."""
    gc.disable()  # nothing of an import is garbage; looking for it costs a tenth of the time
    from mltop.ui.app import Dashboard
    from mltop.ui.ask import Ask

    gc.enable()
    ask = Ask(box.ask, environment=files) if box.ask else Ask(environment=files)
    return Dashboard(
        box.source, session, theme=theme, reopen=box.reopen, recorder=box.recorder, ask=ask, state=box.state
    )


def _files(options: argparse.Namespace) -> dict[str, str]:
    """The config and the state that were named, for the commands that the screens call."""
    named = {"MLTOP_CONFIG": options.config, "MLTOP_STATE_DIR": options.state_dir}
    return {name: os.path.abspath(value) for name, value in named.items() if value}  # noqa: PTH100


def _box(options: argparse.Namespace, settings: Settings) -> Box | str:
    """The box to show, or why it cannot be shown. Starts its sampler; forks, so it comes before Textual."""
    if options.demo:
        from mltop.commands.demo.stage import stage

        return stage(options.interval or settings.ui.interval)
    if options.host:
        from mltop.commands.remote import source

        remote = source(options, settings)
        return remote if isinstance(remote, str) else Box(remote)
    from mltop.config.location import state_directory
    from mltop.sampling.local import LocalSource, this_box
    from mltop.sampling.recorder import Recorder

    def local() -> Source:
        return LocalSource(options.interval or settings.ui.interval, lambda: this_box(settings.expect.gpus))

    state = state_directory(options.state_dir)
    return Box(local(), local, Recorder(state), state=state)


def _choose_colours(no_color: bool) -> bool:
    """Whether there are none. Textual takes an empty NO_COLOR for a set one; the convention does not (no-color.org)."""
    no_color = no_color or bool(os.environ.get("NO_COLOR"))
    if no_color:
        os.environ["NO_COLOR"] = "1"
    else:
        os.environ.pop("NO_COLOR", None)
    os.environ["TEXTUAL_ANIMATIONS"] = "none"
    return no_color


def _session(view: View, settings: Settings) -> Session:
    from mltop.checks.event import changes
    from mltop.checks.judge import Memory, judge
    from mltop.ui.session import Session

    memory = Memory()
    return Session(
        view,
        lambda snapshot: judge(snapshot, settings.limits, memory),
        changes,
        at=time.monotonic(),
    )


def _view(options: argparse.Namespace, settings: Settings) -> View:
    from mltop.ui.view import View

    return View(
        graphs=_graphs(options, settings),
        readonly=options.readonly or bool(options.host),
        is_demo=options.demo,
        remote=options.host,
        hidden=set(settings.ui.hidden),
    )


def _graphs(options: argparse.Namespace, settings: Settings) -> Graphs:
    """ASCII where the locale has no more, and on terminals whose fonts have no braille (Linux console, VT100)."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    has_braille = not os.environ.get("TERM", "").startswith(("linux", "vt"))
    if options.ascii or encoding != "utf8" or (settings.ui.graphs == "braille" and not has_braille):
        return "ascii"
    return settings.ui.graphs


def _leave(app: Dashboard) -> NoReturn:
    """End at once: the terminal is restored, and whatever is stuck somewhere is not waited for."""
    from mltop.ui.terminal.driver import fatal

    if app.report is not None:
        sys.stderr.write(f"mltop: stopped by a fault of its own; the report is in {app.report}\n")
    fatal(None, app.return_code or 0)  # does not return
