"""What became of a unit's runs, told by the journal: for timers that are not mltop's. One question to journalctl.

Runs are told by the catalogue's message ids, which every language and version of systemd has, and put together by
their invocation (systemd.journal-fields(7)); the words of a message are read only where nothing else tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from mltop.jobs.moment import utc
from mltop.jobs.program import ProgramError, ask
from mltop.jobs.systemd.manager import environment_for
from mltop.model.job import Run, RunState
from mltop.system.text import clean

_DEADLINE_S = 10.0
_PER_RUN = 8
"""Entries of a run: it starts, its process exits, its result, its resources, one a process more."""
STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
STARTED = "39f53479d3a045ac8e11786248231fbf"
START_FAILED = "be02cf6855d2428ba40df7e9d022f03d"
SUCCEEDED = "7ad2d189f7e94e70a38c781354912448"
FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
PROCESS_EXITED = "98e322203f7a4ed290d09fe03c09fe15"
SKIPPED = "0e4284a0caca4bfc81c0bb6786972673"
RESOURCES = "ae8f7b866b0347b9af31fe1c80b127c0"
OOM = "fe6faa94e7774663a0da52717891d8ef"
_IDS = (STARTING, STARTED, START_FAILED, SUCCEEDED, FAILED, PROCESS_EXITED, SKIPPED, RESOURCES, OOM)
_FIELDS = (
    "MESSAGE_ID,MESSAGE,INVOCATION_ID,USER_INVOCATION_ID,JOB_RESULT,UNIT_RESULT,EXIT_CODE,EXIT_STATUS,CPU_USAGE_NSEC"
)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CLOSED = (b"not seeing messages", b"insufficient permissions", b"No journal files were opened")
CLOSED_NOTE = "you can read only your own messages of the journal: join the group systemd-journal to see all"


class _Message(msgspec.Struct):
    time: str = msgspec.field(name="__REALTIME_TIMESTAMP", default="0")
    boot: str = msgspec.field(name="_BOOT_ID", default="")
    id: str = msgspec.field(name="MESSAGE_ID", default="")
    invocation: str = msgspec.field(name="INVOCATION_ID", default="")
    user_invocation: str = msgspec.field(name="USER_INVOCATION_ID", default="")
    job_result: str = msgspec.field(name="JOB_RESULT", default="")
    result: str = msgspec.field(name="UNIT_RESULT", default="")
    exit_code: str = msgspec.field(name="EXIT_CODE", default="")
    exit_status: str = msgspec.field(name="EXIT_STATUS", default="")
    cpu: str = msgspec.field(name="CPU_USAGE_NSEC", default="")
    message: msgspec.Raw = msgspec.field(name="MESSAGE", default=msgspec.Raw(b"null"))

    @property
    def words(self) -> str:
        """The message, harmless on a terminal.

        One that is not UTF-8 comes as a list of bytes, one that is there twice as a list, one too long as null.
        """
        found = msgspec.json.decode(self.message)
        while isinstance(found, list) and found and isinstance(found[0], list | str):
            found = found[0]
        if isinstance(found, list):
            found = bytes(byte & 0xFF for byte in found if isinstance(byte, int))
        return clean(found, 400) if isinstance(found, str | bytes) else ""


def unit_runs(
    job: str, service: str, scope: str, environment: Mapping[str, str], limit: int
) -> tuple[list[Run], list[str]]:
    """The newest runs of a service, called `job` in them, newest first; and what keeps from seeing them, in lines.

    Never with `--quiet`: a journal that may not be read then looks like one with nothing in it.
    """
    unit = "--user-unit" if scope == "user" else "--unit"
    matches = [f"MESSAGE_ID={id}" for id in _IDS]
    argv = ("journalctl", "--no-pager", "--output=json", f"--output-fields={_FIELDS}", f"--lines={limit * _PER_RUN}")
    try:
        answer = ask((*argv, f"{unit}={service}", *matches), _DEADLINE_S, environment_for(scope, environment))
    except ProgramError as error:
        return [], [f"the journal: {error}"]
    notes = [CLOSED_NOTE] if any(word in answer.err for word in _CLOSED) else []
    if answer.code != 0 and not answer.out and not notes:
        return [], [f"the journal: {answer.complaint()}"]
    runs = [_run(job, several) for several in _grouped(_messages(answer.out))]
    return sorted(runs, key=lambda run: run.started_at or "", reverse=True)[:limit], notes


def _messages(data: bytes) -> Iterable[_Message]:
    for line in data.splitlines():
        try:
            yield msgspec.json.decode(line, type=_Message)
        except msgspec.MsgspecError:  # a torn line, or an entry of another shape
            continue


def _grouped(messages: Iterable[_Message]) -> list[list[_Message]]:
    """The messages of each invocation; one that is cut at the front, by the limit, still has its end."""
    found: dict[str, list[_Message]] = {}
    for message in messages:
        key = message.invocation or message.user_invocation
        if not key and _is_skip(message):
            key = f"skipped@{message.time}"
        if key:
            found.setdefault(key, []).append(message)
    return list(found.values())


def _is_skip(message: _Message) -> bool:
    """Whether a condition was not met: then there is no invocation (systemd 252 calls that a start that was done)."""
    has_none = not (message.invocation or message.user_invocation)
    return message.id == SKIPPED or (has_none and message.id == STARTED and " skipped " in message.words)


def _run(job: str, messages: Sequence[_Message]) -> Run:
    by_id = {message.id: message for message in messages}
    last = _last(by_id)
    exited = by_id.get(PROCESS_EXITED)
    state = _state(by_id)
    times = [int(message.time) / 1e6 for message in messages if message.time.isdigit()] or [0.0]
    ended = int(last.time) / 1e6 if last is not None and last.time.isdigit() else None
    status = exited.exit_status if exited else ""
    was_killed = exited is not None and exited.exit_code in ("killed", "dumped")
    cpu = by_id[RESOURCES].cpu if RESOURCES in by_id else ""
    return Run(
        id=messages[0].invocation or messages[0].user_invocation or f"skipped@{messages[0].time}",
        job=job,
        started_at=utc(min(times)),
        ended_at=utc(ended) if ended is not None else None,
        duration_s=round(max(0.0, ended - min(times)), 3) if ended is not None else None,
        state=state,
        exit_code=_exit_code(state, status, was_killed=was_killed),
        signal=_signal(status) if was_killed else None,
        reason=_reason(by_id, state),
        cpu_s=int(cpu) / 1e9 if cpu.isdigit() else None,
        last_error_line=None if state in (RunState.OK, RunState.RUNNING) or last is None else last.words or None,
        boot_id=messages[0].boot or None,
    )


def _last(by_id: Mapping[str, _Message]) -> _Message | None:
    """What says that it ended: its result, else that a oneshot has finished, which has no other end."""
    for id in (FAILED, SUCCEEDED, START_FAILED, SKIPPED):
        if id in by_id:
            return by_id[id]
    started = by_id.get(STARTED)
    has_ended = started is not None and (started.words.startswith("Finished") or _is_skip(started))
    return started if has_ended else None


def _state(by_id: Mapping[str, _Message]) -> RunState:
    if FAILED in by_id or START_FAILED in by_id:
        return RunState.TIMEOUT if FAILED in by_id and by_id[FAILED].result == "timeout" else RunState.FAILED
    if any(_is_skip(message) for message in by_id.values()):
        return RunState.SKIPPED
    if _last(by_id) is not None:
        return RunState.OK
    boot = next(iter(by_id.values())).boot
    return RunState.RUNNING if not boot or boot == _boot() else RunState.LOST


def _reason(by_id: Mapping[str, _Message], state: RunState) -> str | None:
    if OOM in by_id:
        return "oom-kill"
    for id in (FAILED, SKIPPED, START_FAILED):
        if id in by_id and (said := by_id[id].result or by_id[id].job_result):
            return clean(said, 100)
    return "the box went down" if state is RunState.LOST else None


def _exit_code(state: RunState, status: str, *, was_killed: bool) -> int | None:
    """A success is told without its code, which is 0 but for those that the unit calls one."""
    if status.isdigit() and not was_killed:
        return int(status)
    return 0 if state is RunState.OK and not status else None


def _signal(status: str) -> int | None:
    """`EXIT_STATUS` of a killed process is a signal's number, or its name without `SIG`."""
    import signal

    if status.isdigit():
        return int(status)
    try:
        return int(signal.Signals[f"SIG{status}"])
    except KeyError:
        return None


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip().replace("-", "")
    except OSError:
        return ""
