"""Several that change jobs at the same time: nobody's change is lost, in the config or in the crontab (J11)."""

from __future__ import annotations

import pytest
from jobs_command import CONFIG, MINE, Here, add_at_once
from scheduler_box import CRONTAB


def test_what_two_processes_add_is_all_there(here: Here) -> None:
    add_at_once(here, 8)  # fifty each: integration


@pytest.mark.parametrize("place", range(1, 7))
def test_somebody_who_edits_meanwhile_loses_nothing(here: Here, place: int) -> None:
    """Another program adds a line just before the n-th question of ours is answered."""
    count = here.box.folder / "count"
    here.box.program(
        "crontab",
        f'if [ "$1" = -l ]; then echo x >> {count}; '
        f'[ "$(wc -l < {count})" = {place} ] && echo "5 5 * * * theirs" >> "$TAB"; fi\n{CRONTAB}',
    )
    code = _code(here)
    data = here.box.tab.read_bytes()
    if count.read_text().count("x") < place:
        assert code == 0
        return
    assert data.startswith(MINE)
    if b"5 5 * * * theirs\n" not in data:  # it came between our writing and our looking at what was written
        assert "not what was written, but what" in here.said
        kept = [path.read_bytes() for path in (here.box.state / "backups").glob("crontab-*.bak")]
        assert any(b"theirs" in one for one in kept), "nothing is lost"
        assert (data, here.config.read_text()) == (MINE, CONFIG)
        return
    if code:
        assert "chang" in here.said
        assert (data, here.config.read_text()) == (MINE + b"5 5 * * * theirs\n", CONFIG)
    else:
        assert b" run new " in data


def _code(here: Here) -> int:
    words = ("add", "new", "--kind", "command", "--set", "command=true", "--set", "schedule=@daily", "--apply")
    try:
        here(*words)
    except AssertionError:
        assert "Traceback" not in here.said
        return 1
    return 0
