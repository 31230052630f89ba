"""The child that asks the services, all at once; whoever started it can abandon it at any moment (D1).

A name that does not resolve, a password file on a dead mount and a server that drips bytes can hold a thread for as
long as they like: each has its time, and the child itself is killed when the run's is over.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import msgspec

from mltop.checks.service.asked import Asked, checks_of
from mltop.checks.service.outcome import Refused, Slow, Told
from mltop.checks.service.unit import Expectation
from mltop.config.service import Http, Postgres, Redis, Services, Tcp
from mltop.model.finding import Level
from mltop.model.service import ServiceAnswer
from mltop.system.process import set_name
from mltop.system.text import clean

UNIT_TIMEOUT_S = 3.0
_GRACE_S = 0.1
"""After its time is up, a thread may take so long to say so itself."""
Answers = list[ServiceAnswer]


def serve(services: Services, usual: Expectation | None, limit_s: float, write_fd: int) -> NoReturn:
    """Be the child: ask everything, write an answer a line as each is there, and end."""
    set_name("mltop-services")
    answers: queue.SimpleQueue[tuple[int, Answers]] = queue.SimpleQueue()
    started = time.monotonic()
    due: dict[int, tuple[float, Callable[[], Answers]]] = {}
    unit_s = min(UNIT_TIMEOUT_S, limit_s)

    def start(number: int, work: Callable[[], Answers], late: Callable[[], Answers], time_s: float) -> None:
        due[number] = (started + min(time_s, limit_s) + _GRACE_S, late)
        threading.Thread(target=lambda: answers.put((number, work())), daemon=True).start()

    for number, (check, one) in enumerate(checks_of(services)):
        start(number, partial(_asked, check, one), partial(_none, check, one), one.timeout_s)
    if services.unit or usual is not None:
        start(-1, partial(_units, services, usual, unit_s), list, unit_s)
    while due:
        number, (deadline, late) = min(due.items(), key=lambda item: item[1][0])
        try:
            number, found = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            found = late()
        if due.pop(number, None) is not None:
            for answer in found:
                os.write(write_fd, msgspec.json.encode(answer) + b"\n")
    os._exit(0)


def _asked(check: str, service: Asked) -> Answers:
    return [ask(check, service)]


def _none(check: str, service: Asked) -> Answers:
    return [_late(check, service)]


def ask(check: str, service: Asked) -> ServiceAnswer:
    """One service's answer, whatever it does."""
    started = time.monotonic()
    try:
        told = _question(service)()
    except Slow:
        return _late(check, service)
    except Refused as refused:
        return ServiceAnswer(
            check, service.name, refused.level, str(refused), refused.reason, refused.action, data=_where(service)
        )
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
        {**_where(service), **told.data},
    )


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
    return lambda: _connect(service)


def _connect(service: Tcp) -> Told:
    from mltop.checks.service.wire import Wire

    with Wire(service.host, service.port, service.timeout_s):
        return Told(words="takes connections")


def _late(check: str, service: Asked) -> ServiceAnswer:
    """No answer in time: of a remote service that is what is checked, so CRITICAL and not UNKNOWN."""
    words = f"no answer in {service.timeout_s:g} s"
    return ServiceAnswer(check, service.name, Level.CRITICAL, words, "timeout", data=_where(service))


def _where(service: Asked) -> dict[str, Any]:
    if isinstance(service, Http):
        return {"url": service.url.partition("?")[0]}  # what follows may be a key
    return {"host": service.host, "port": service.port}


def _units(services: Services, usual: Expectation | None, limit_s: float) -> Answers:
    from mltop.checks.service import unit

    return unit.ask(services.unit, usual, limit_s)
