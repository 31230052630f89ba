"""All looks at a box at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from mltop.jobs.doctor import box, cron, files, kept, schedule, state, wrapper
from mltop.jobs.doctor.child import DEADLINE_S, reports
from mltop.jobs.doctor.scene import Scene
from mltop.jobs.doctor.symptom import Report
from mltop.model.doctor import Symptom
from mltop.sampling.root import Roots


def examined(
    config: str | None, state_dir: str | None, environment: Mapping[str, str], deadline_s: float = DEADLINE_S
) -> Report:
    """What a user's box is like for mltop; back within the deadline, whatever hangs. One thread only."""
    roots = Roots.from_environment()
    of: Callable[[], Scene] = partial(Scene, config, state_dir, environment)
    looks = {
        "config": lambda: files.look(of(), roots),
        "wrapper": lambda: wrapper.look(of()),
        "cron": lambda: cron.look(of(), roots),
        "schedule": lambda: schedule.look(of()),
        "state": lambda: state.look(of()),
        "box": lambda: box.look(of(), roots),
        "kept": lambda: kept.look(of()),
    }
    found = reports(looks, deadline_s)
    symptoms: list[Symptom] = []
    for symptom in (one for report in found for one in report.symptoms):
        if symptom not in symptoms:  # no HOME is no HOME to every look
            symptoms.append(symptom)
    return Report(tuple(symptoms), tuple(habit for report in found for habit in report.habits))
