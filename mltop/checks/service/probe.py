"""The owner of the child that asks the services: waits for nothing, and has an answer for each of them at any time."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

import msgspec

from mltop.checks.service.asked import Wanted, checks_of, is_active_docker, place_of, selected, wanted_of
from mltop.checks.service.unit import ANY_FAILED, USUAL, Expectation, ask, is_running
from mltop.config.service import Services
from mltop.model.finding import Level
from mltop.model.service import ServiceAnswer
from mltop.system.process import Child, fork_child

_NONE = {
    "svc.unit": "no units are configured ([[services.unit]])",
    "api": "none is configured ([[services.http]])",
    "redis": "none is configured ([[services.redis]])",
    "pg": "none is configured ([[services.postgres]])",
    "tcp": "none is configured ([[services.tcp]])",
    "docker": "none is configured ([[services.docker]]) and systemd runs none",
}


class ServiceProbe:
    """Asks the services of the config. Single-threaded; starts its child at once, if there is anything to ask."""

    def __init__(self, services: Services, checks: Collection[str], units: Expectation, limit_s: float) -> None:
        """Ask those whose check is among these, within this time; `units` is how docker and ssh are expected."""
        self._wanted = wanted = wanted_of(services, checks, units)
        self._services = services = selected(services, checks)
        self._answers: list[ServiceAnswer] = []
        self._buffer = b""
        self._has_ended = False
        """The child went by itself: what it did not say it will not say."""
        self._why = ""
        self._child: Child | None = None
        if not checks_of(services) and not is_running():
            # there is nothing to wait for
            self._answers = ask(services.unit, wanted.units, limit_s, failed=wanted.failed)
        elif checks_of(services) or wanted.asks_systemd(services):
            try:
                self._child = fork_child(lambda _, write_fd: _serve(services, wanted, limit_s, write_fd))
            except OSError as error:  # no process or file descriptor is left on this box
                self._why, self._has_ended = f": {error.strerror}", True

    def filenos(self) -> list[int]:
        """Readable when there is something to poll for."""
        return [] if self._child is None else [self._child.read_fd]

    def is_done(self) -> bool:
        """Whether everything that will be said is said."""
        return self._child is None

    def poll(self) -> None:
        """Take what the child has said, without waiting."""
        if self._child is None:
            return
        try:
            data = os.read(self._child.read_fd, 1 << 16)
        except BlockingIOError:
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        self._answers.extend(msgspec.json.decode(line, type=ServiceAnswer) for line in lines)
        if not data:
            self._has_ended = True
            self.close()

    def close(self) -> None:
        """End the child and what it started, without waiting for it."""
        if self._child is not None:
            self._child.leave()
            self._child = None

    def answers(self) -> Iterator[ServiceAnswer]:
        """Every service's answer; one that was not asked to its end has none, and that is said."""
        told = {(answer.check, answer.name) for answer in self._answers}
        yield from self._answers
        asked = [*self._asked()]
        for check, name, level, place in asked:
            if (check, name) not in told:
                yield self._untold(check, name, level, place)
        there = {check for check, *_ in asked}
        for check, words in _NONE.items():
            if check not in there and not any(check == one for one, _ in told):
                yield ServiceAnswer(check, "", None, words, "absent")

    def _untold(self, check: str, name: str, level: Level, place: str) -> ServiceAnswer:
        if self._has_ended:
            return ServiceAnswer(check, name, Level.UNKNOWN, f"could not be asked{self._why}", "error")
        return ServiceAnswer(check, name, level, "no answer in the time of this run", "timeout", place=place)

    def _asked(self) -> Iterator[tuple[str, str, Level, str]]:
        """Check, name, what a missing answer means, and place.

        A network service is down then, systemd's word is just not known.
        """
        for check, service in checks_of(self._services):
            yield check, service.name, Level.CRITICAL, place_of(service)
        for unit in self._services.unit:
            yield "svc.unit", unit.name, Level.UNKNOWN, ""
        if self._wanted.failed:
            yield ANY_FAILED, "", Level.UNKNOWN, ""
        if self._wanted.docker and any(is_active_docker(answer) for answer in self._answers):
            yield "docker", "docker", Level.CRITICAL, ""
        if self._wanted.units is not None:
            named = {unit.name.removesuffix(".service") for unit in self._services.unit}
            for unit in USUAL:
                if unit.name not in named and not (unit.name == "ssh" and "sshd" in named):
                    yield "svc.unit", unit.name, Level.UNKNOWN, ""


def _serve(services: Services, wanted: Wanted, limit_s: float, write_fd: int) -> None:
    from mltop.checks.service.child import serve  # in the child: its threads and queues are no part of a bare run

    serve(services, wanted, limit_s, write_fd)
