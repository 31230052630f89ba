"""The documents that mltop's own command line answers with, or in words why there is none."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from mltop.model.job import Job, Run
from mltop.model.verdict import Mishap
from mltop.system.text import clean
from mltop.ui.ask import Answer


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What all documents have."""

    schema: str = ""
    notes: tuple[str, ...] = ()
    """What could not be looked at, a line each."""
    errors: tuple[Mishap, ...] = ()


class Jobs(Document, frozen=True, kw_only=True):
    """`mltop jobs list --json`."""

    jobs: tuple[Job, ...] = ()


class Runs(Document, frozen=True, kw_only=True):
    """`mltop jobs history --json`."""

    runs: tuple[Run, ...] = ()


class Plan(Document, frozen=True, kw_only=True):
    """`mltop jobs plan --json`, and what an edit would change."""

    diff: str = ""


Kind = TypeVar("Kind", bound=Document)


def read(answer: Answer, kind: type[Kind]) -> tuple[Kind | None, str]:
    """The document, if there is one, and what is wrong, in words ("": nothing)."""
    if answer.is_late:
        return None, answer.complaint
    try:
        document = msgspec.json.decode(answer.output, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None, refusal(answer)
    trouble = "; ".join(said(error) for error in document.errors)
    return document, trouble


def said(error: Mishap) -> str:
    """An error on one line: where, what, and what to do."""
    where = f"{error.where}: " if error.where else ""
    remedy = f" ({error.remedy})" if error.remedy else ""
    return clean(f"{where}{error.message}{remedy}", 500)


def refusal(answer: Answer) -> str:
    """Why there is no document: what the child complained of, else its exit code."""
    if answer.complaint:
        return answer.complaint.removeprefix("mltop: ")
    if answer.code is not None and answer.code < 0:
        return f"mltop was ended by signal {-answer.code}"
    return f"mltop answered nothing to read (exit code {answer.code})"


def outcome(answer: Answer, done: str) -> str:
    """A sentence for the footer about an order: what is `done`, or why it is not."""
    if answer.is_late:
        return answer.complaint
    if answer.code == 0:
        return done
    _, trouble = read(answer, Document)
    return trouble or refusal(answer)
