"""The child that asks the services, all at once; whoever started it can abandon it at any moment (D1).

A name that does not resolve, a password file on a dead mount and a server that drips bytes can hold a thread for as
long as they like: each has its time, and the child itself is killed when the run's is over.
"""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

import msgspec

from mltop.checks.service.asked import ENGINE_SOCKET, Asked, Wanted, checks_of, is_active_docker, place_of
from mltop.checks.service.outcome import Refused, Slow, Told, Unasked
from mltop.config.service import Docker, Http, Postgres, Redis, Services, Tcp
from mltop.model.finding import Level
from mltop.model.service import ServiceAnswer
from mltop.system.process import set_name
from mltop.system.text import clean

UNIT_TIMEOUT_S = 3.0
_GRACE_S = 0.1
"""After its time is up, a thread may take so long to say so itself."""
_ENGINE = Docker(name="docker", socket=ENGINE_SOCKET)
Answers = list[ServiceAnswer]


class _Questions:
    """What is asked at the same time, each in a thread with a time of its own."""

    def __init__(self, limit_s: float, write_fd: int) -> None:
        self._answers: queue.SimpleQueue[tuple[int, Answers]] = queue.SimpleQueue()
        self._until = time.monotonic() + limit_s
        self._due: dict[int, tuple[float, Callable[[], Answers]]] = {}
        self._write_fd = write_fd
        self._count = 0

    def start(self, work: Callable[[], Answers], late: Callable[[], Answers], time_s: float) -> None:
        """Ask; what `late` says is told where there is no answer in that time."""
        self._count += 1
        number, answers = self._count, self._answers
        self._due[number] = (min(time.monotonic() + time_s, self._until) + _GRACE_S, late)
        try:
            threading.Thread(target=lambda: answers.put((number, work())), daemon=True).start()
        except RuntimeError:  # this box has no thread left: that it could not be asked says its owner
            del self._due[number]

    def told(self) -> Iterator[ServiceAnswer]:
        """Each answer as it is there, passed on; more may be asked on the way."""
        while self._due:
            number, (deadline, late) = min(self._due.items(), key=lambda item: item[1][0])
            try:
                number, found = self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                found = late()
            if self._due.pop(number, None) is not None:
                for answer in found:
                    os.write(self._write_fd, msgspec.json.encode(_sound(answer)) + b"\n")
                    yield answer


def serve(services: Services, wanted: Wanted, limit_s: float, write_fd: int) -> NoReturn:
    """Be the child: ask everything, write an answer a line as each is there, and end."""
    set_name("mltop-services")
    questions = _Questions(limit_s, write_fd)
    for check, one in checks_of(services):
        questions.start(partial(_asked, check, one), partial(_none, check, one, limit_s), one.timeout_s)
    if wanted.asks_systemd(services):
        unit_s = min(UNIT_TIMEOUT_S, limit_s)
        questions.start(partial(_units, services, wanted, unit_s), list, unit_s)
    for answer in questions.told():
        if wanted.docker and is_active_docker(answer):
            questions.start(_engine, partial(_none, "docker", _ENGINE, limit_s), _ENGINE.timeout_s)
    os._exit(0)


def _asked(check: str, service: Asked) -> Answers:
    return [ask(check, service)]


def _none(check: str, service: Asked, limit_s: float) -> Answers:
    return [_late(check, service, limit_s)]


def ask(check: str, service: Asked) -> ServiceAnswer:
    """One service's answer, whatever it does."""
    started = time.monotonic()
    try:
        told = _question(service)()
    except Slow:
        return _late(check, service)
    except Refused as refused:
        place = "" if isinstance(refused, Unasked) else place_of(service)
        return ServiceAnswer(
            check, service.name, refused.level, str(refused), refused.reason, refused.action, place=place,
            data=_where(service),
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001 - whatever it is (a password file, a fault of ours): could not tell
        words = f"cannot ask: {clean(str(error) or type(error).__name__, 160)}"
        return ServiceAnswer(check, service.name, Level.UNKNOWN, words, "error", data=_where(service))
    took_s = told.took_s if told.took_s is not None else time.monotonic() - started
    return ServiceAnswer(
        check,
        service.name,
        told.level,
        f"{told.words} in {took_s:.3f} s",
        told.reason,
        told.action,
        took_s,
        told.values,
        told.counters,
        place_of(service),
        {**_where(service), **told.data},
    )


def _sound(answer: ServiceAnswer) -> ServiceAnswer:
    """The answer if it can be passed on, for what a server says is not ours: no number is infinite, no text broken."""
    try:
        msgspec.json.decode(msgspec.json.encode(answer), type=ServiceAnswer)
    except (msgspec.MsgspecError, UnicodeError):
        words = "cannot ask: its answer has no sense"
        return ServiceAnswer(answer.check, answer.name, Level.UNKNOWN, words, "parse", place=answer.place)
    return answer


def _question(service: Asked) -> Callable[[], Told]:
    """What asks this kind of service; imports its client."""
    if isinstance(service, Http):
        from mltop.checks.service import http

        return lambda: http.ask(service)
    if isinstance(service, Redis):
        from mltop.checks.service import redis

        return lambda: redis.ask(service)
    if isinstance(service, Postgres):
        from mltop.checks.service import postgres

        return lambda: postgres.ask(service)
    if isinstance(service, Docker):
        from mltop.checks.service import docker

        return lambda: docker.ask(service)
    return lambda: _connect(service)


def _engine() -> Answers:
    """The engine that systemd runs. Who may not ask it, or may not list its containers, has not asked for that."""
    answer = ask("docker", _ENGINE)
    if answer.level is Level.UNKNOWN and answer.duration_s is not None:
        return [msgspec.structs.replace(answer, level=Level.OK, reason="ok", action=None)]
    return [msgspec.structs.replace(answer, level=None) if answer.reason == "permission" else answer]


def _connect(service: Tcp) -> Told:
    from mltop.checks.service.wire import Wire

    with Wire(service.host, service.port, service.timeout_s):
        return Told(words="takes connections")


def _late(check: str, service: Asked, limit_s: float = math.inf) -> ServiceAnswer:
    """No answer in time: of a remote service that is what is checked, so CRITICAL and not UNKNOWN."""
    is_cut = limit_s < service.timeout_s
    words = "no answer in the time of this run" if is_cut else f"no answer in {service.timeout_s:g} s"
    place = place_of(service)
    return ServiceAnswer(check, service.name, Level.CRITICAL, words, "timeout", place=place, data=_where(service))


def _where(service: Asked) -> dict[str, Any]:
    if isinstance(service, Http):
        return {"url": service.url.partition("?")[0]}  # what follows may be a key
    if isinstance(service, Docker):
        return {}
    return {"host": service.host, "port": service.port}


def _units(services: Services, wanted: Wanted, limit_s: float) -> Answers:
    from mltop.checks.service import unit

    try:
        return unit.ask(services.unit, wanted.units_to_ask(), limit_s, failed=wanted.failed)
    except Exception:  # noqa: BLE001 - its owner says of each unit that there is no answer
        return []
