"""`mltop doctor`: what on this box would stop mltop from doing its job, the remedy, and how the box is kept."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from mltop import __version__
from mltop.commands.output import Document, write_document, write_lines
from mltop.commands.parser import ExitCode, Parser, common
from mltop.model.doctor import DOCTOR_SCHEMA, Habit, Health, Symptom


class DoctorDocument(Document, frozen=True, kw_only=True):
    """The document, `mltop.doctor/1`."""

    schema: str = DOCTOR_SCHEMA
    host: str
    version: str = __version__
    time: str
    exit_code: int
    symptoms: tuple[Symptom, ...] = ()
    checklist: tuple[Habit, ...] = ()


def main(arguments: Sequence[str]) -> int:
    """Look, and say: 0, or 1 where something is to be mended. What is only not done yet is no finding (D35)."""
    options = _parser().parse_args(arguments)
    from mltop.jobs.doctor.doctor import examined
    from mltop.jobs.moment import utc

    found = examined(options.config, options.state_dir, dict(os.environ))
    is_sound = all(symptom.state is Health.OK for symptom in found.symptoms)
    code = ExitCode.DONE if is_sound else ExitCode.FAILED
    if not options.json:
        return write_lines(_lines(found.symptoms, found.habits, is_all=options.verbose)) or code
    import time

    document = DoctorDocument(
        host=os.uname().nodename,
        time=utc(time.time()),
        exit_code=code,
        symptoms=found.symptoms,
        checklist=found.habits,
    )
    return write_document(document) or code


def _parser() -> argparse.ArgumentParser:
    what = "What on this box would stop mltop from doing its job, and the remedy."
    parser = Parser(prog="mltop doctor", description=what, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help=f"one JSON document, {DOCTOR_SCHEMA}")
    parser.add_argument("-v", "--verbose", action="store_true", help="what is well, too")
    common(parser)
    return parser


def _lines(symptoms: Sequence[Symptom], habits: Sequence[Habit], *, is_all: bool) -> list[str]:
    """A line each, the worst first, its remedy behind it; then the checklist."""
    from mltop.jobs.doctor.kept import lines

    order = (Health.FAULT, Health.WARNING, Health.UNKNOWN, Health.OK)
    shown = sorted(symptoms, key=lambda symptom: order.index(symptom.state))
    said = []
    for one in shown:
        if one.state is not Health.OK or is_all:
            where = f"{one.where}: " if one.where and one.where not in one.summary else ""
            remedy = f"; remedy: {one.remedy}" if one.remedy else ""
            said.append(f"{one.state:<8} {one.id:<19} {where}{one.summary}{remedy}")
    well = sum(one.state is Health.OK for one in symptoms)
    return [*said, f"{well} of {len(symptoms)} are well", "", "A kept box:", *lines(habits)]
