"""`mltop run --catch-up`: start what is persistent and was missed, each once, and wait for none of it."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

from mltop.commands.output import write
from mltop.config.jobs import load_jobs
from mltop.config.location import state_directory
from mltop.jobs import moment
from mltop.jobs.history.history import History
from mltop.jobs.place import fallback, memory_folder
from mltop.jobs.runner.catch_up import missed


def catch_up(config: str | None, state_dir: str | None, *, is_dry: bool = False) -> int:
    """Start them; 0, or 125 where a job could not be started. Faults of the config are said: cron mails them.

    `is_dry`: say what would be started, and start nothing.
    """
    jobs = load_jobs(config, os.environ)
    for line in jobs.faults:
        sys.stderr.write(f"mltop run: {line}\n")
    state = state_directory(state_dir) or (memory_folder() if is_dry else fallback())
    lasts = History(state).lasts(jobs.jobs)
    now = datetime.now(UTC)
    code = 0
    for id, job in jobs.jobs.items():
        slot = missed(job, lasts.get(id), now)
        if slot is not None and is_dry:
            code = write(f"{id} missed {moment.utc(slot.timestamp())}\n") or code
        elif slot is not None and not _start(id, slot, config, state_dir):
            code = 125
    return code


def _start(id: str, slot: datetime, config: str | None, state_dir: str | None) -> bool:
    words = [sys.executable, "-P", "-m", "mltop", "run", id, "--trigger", "catch-up"]
    words += ["--scheduled-for", moment.utc(slot.timestamp())]
    for option, value in (("--config", config), ("--state-dir", state_dir)):
        if value is not None:
            words += [option, value]
    try:
        null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        os.posix_spawn(words[0], words, os.environ, file_actions=[null], setsid=True)
    except OSError as error:
        sys.stderr.write(f"mltop run: {id} cannot be started: {error.strerror}\n")
        return False
    return True
