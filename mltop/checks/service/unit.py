"""systemd units, by one `systemctl show` for all of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Literal

from mltop.config.service import Unit
from mltop.model.finding import Level
from mltop.model.service import ServiceAnswer
from mltop.system.text import clean

USUAL = (Unit(name="docker"), Unit(name="ssh"))
"""Asked for where they are installed and enabled."""
CHECK = "svc.unit"
ANY_FAILED = "svc.any_failed"
DOCKER = "docker.service"
_NAMED = 5
"""At most so many units are named."""
STARTING_S = 120.0
"""A unit that takes longer than this to start is in trouble: node mixin, Netdata."""
_RUNNING = "/run/systemd/system"
"""There where systemd is the running init: sd_booted(3)."""
_ALIASES = {"ssh": ("ssh.service", "sshd.service"), "sshd": ("ssh.service", "sshd.service")}
"""One daemon, two names: Debian's and Red Hat's."""
_PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,UnitFileState,Type,Result,NRestarts,TriggeredBy,StateChangeTimestampMonotonic"
)
_ENABLED = frozenset({"enabled", "enabled-runtime", "linked", "linked-runtime", "generated", "alias"})
Show = Mapping[str, str]
Expectation = Literal["usual", "asked", "must"]
"""Whether a unit is looked at where it is enabled, was asked for, or is CRITICAL where it is not installed."""


def ask(
    units: Iterable[Unit], usual: Expectation | None, timeout_s: float, *, failed: bool = False
) -> list[ServiceAnswer]:
    """The answers for these units, and for the usual ones as they are expected; `None` leaves those out.

    With `failed` also that for `svc.any_failed`. One call of systemctl, and a second for sockets of other names.
    """
    wanted: dict[str, Expectation] = {unit.name: "asked" for unit in units}
    known = {_names(name) for name in wanted}
    if usual is not None:
        wanted |= {unit.name: usual for unit in USUAL if _names(unit.name) not in known}
    if not wanted and not failed:
        return []
    if not is_running():
        return _all_untold(wanted, failed, "no systemd here", "facility")
    import subprocess  # a run without systemd does without it

    until = time.monotonic() + timeout_s
    try:
        shown, all_failed = show(sorted({one for name in wanted for one in _with_sockets(name)}), timeout_s, failed)
        if missing := sorted(_sockets_of_idle(shown) - shown.keys()):
            shown |= show(missing, max(0.05, until - time.monotonic()))[0]
    except FileNotFoundError:
        return _all_untold(wanted, failed, "systemctl is not installed", "facility")
    except subprocess.TimeoutExpired:
        return _all_untold(wanted, failed, f"systemd did not answer in {timeout_s:.1f} s", "timeout")
    except (subprocess.SubprocessError, OSError) as error:
        return _all_untold(wanted, failed, f"systemctl: {clean(str(error), 120)}", "error")
    now = time.clock_gettime(time.CLOCK_MONOTONIC)
    found = [judge(name, shown, how, now) for name, how in wanted.items()]
    return [*found, judge_failed(all_failed)] if failed else found


def _all_untold(wanted: Mapping[str, Expectation], failed: bool, why: str, reason: str) -> list[ServiceAnswer]:
    is_missing = reason == "facility"
    found = [_untold(name, how if is_missing else "asked", why, reason) for name, how in wanted.items()]
    if failed:
        found.append(ServiceAnswer(ANY_FAILED, "", None if is_missing else Level.UNKNOWN, why, reason))
    return found


def judge_failed(shown: Iterable[Show]) -> ServiceAnswer:
    """Any unit that failed, by name."""
    names = sorted({clean(one.get("Id", "?"), 80) for one in shown if one.get("ActiveState") == "failed"})
    if not names:
        return ServiceAnswer(ANY_FAILED, "", Level.OK, "no unit has failed", "ok")
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    words = f"failed: {', '.join(names[:_NAMED])}{more}"
    action = f"systemctl status {names[0]}; systemctl reset-failed where it is done with"
    return ServiceAnswer(ANY_FAILED, "", Level.WARNING, words, "failed", action, data={"units": names})


def _sockets_of_idle(shown: Mapping[str, Show]) -> set[str]:
    """The sockets, timers and paths that may start those that are not active."""
    return {one for unit in shown.values() if not _is_up(unit) for one in unit.get("TriggeredBy", "").split()}


def _is_up(unit: Show) -> bool:
    return unit.get("ActiveState") == "active"


def is_running() -> bool:
    """Whether systemd is this box's init."""
    return os.path.isdir(_RUNNING)  # noqa: PTH112 - pathlib is not worth its import here


def show(names: list[str], timeout_s: float, failed: bool = False) -> tuple[dict[str, Show], list[Show]]:
    """What systemd says of each of these units, by the name that was asked, and with `failed` of all that failed.

    A state chooses among what a pattern finds, never among names; names come first (systemctl(1)). Raises
    SubprocessError, OSError.
    """
    import subprocess

    command = ["systemctl", "--no-ask-password", "--no-pager", "show", f"--property={_PROPERTIES}"]
    command += ["--state=failed", "--", *names, "*"] if failed else ["--", *names]
    environment = {**os.environ, "LC_ALL": "C", "PATH": os.environ.get("PATH") or os.defpath}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False, env=environment
    )
    blocks = parse(done.stdout)
    if len(blocks) < len(names) or (len(blocks) > len(names) and not failed) or (not blocks and done.returncode != 0):
        complaint = clean(done.stderr.strip() or b"no answer", 120)
        raise subprocess.SubprocessError(complaint)
    return dict(zip(names, blocks, strict=False)), blocks[len(names) :]


def parse(output: bytes) -> list[Show]:
    """The blocks of `systemctl show`: key to value, one block a unit, in the order in which they were asked."""
    blocks: list[Show] = []
    for block in output.decode("utf-8", "replace").strip().split("\n\n"):
        pairs = (line.partition("=") for line in block.splitlines())
        if properties := {key: value for key, separator, value in pairs if separator}:
            blocks.append(properties)
    return blocks


def judge(name: str, shown: Mapping[str, Show], how: Expectation, now: float) -> ServiceAnswer:
    """What the properties say; `now` is the monotonic clock's seconds, by which systemd dates its changes."""
    there = [shown[one] for one in _names(name) if shown.get(one, {}).get("LoadState", "not-found") != "not-found"]
    if not there:
        if how == "must":
            return ServiceAnswer(CHECK, name, Level.CRITICAL, "not installed", "absent")
        return _untold(name, how, "not installed", "absent")
    unit = min(there, key=lambda one: one.get("ActiveState") != "active")
    sockets = [shown[one] for one in unit.get("TriggeredBy", "").split() if one in shown]
    if how == "usual" and not any(one.get("UnitFileState") in _ENABLED for one in (unit, *sockets)):
        return ServiceAnswer(CHECK, name, None, "not enabled", "absent")
    level, summary, reason = _state(unit, sockets, now)
    action = None if level is Level.OK else f"systemctl status {unit.get('Id', name)}"
    data = {key: unit.get(key) for key in ("Id", "ActiveState", "SubState", "Result", "NRestarts")}
    restarts = _number(unit, "NRestarts")
    counters = {} if restarts is None else {"svc.unit.restarts": restarts}
    return ServiceAnswer(CHECK, name, level, summary, reason, action, counters=counters, data=data)


def _state(unit: Show, sockets: list[Show], now: float) -> tuple[Level, str, str]:
    active, sub = unit.get("ActiveState", ""), unit.get("SubState", "")
    since_s = now - (_number(unit, "StateChangeTimestampMonotonic") or 0.0) / 1e6
    if sub == "auto-restart":
        return Level.WARNING, f"restarts again and again ({unit.get('NRestarts', '?')} times)", "restarts"
    if active == "activating":
        level = Level.WARNING if since_s > STARTING_S else Level.OK
        return level, f"starting for {since_s:.0f} s", "starting"
    if active in ("active", "reloading", "refreshing"):
        return Level.OK, active, "ok"
    if active == "deactivating":
        return Level.WARNING, f"stopping for {since_s:.0f} s", "stopping"
    if unit.get("LoadState") == "masked":
        return Level.CRITICAL, "masked", "masked"
    if active == "failed":
        return Level.CRITICAL, f"failed ({unit.get('Result', 'no result')})", "failed"
    if active == "inactive" and unit.get("Type") == "oneshot" and unit.get("Result") == "success":
        return Level.OK, "ran", "ok"
    listening = [one.get("Id", "a socket") for one in sockets if one.get("ActiveState") == "active"]
    if listening:
        return Level.OK, f"started by {listening[0]} when needed", "ok"
    return Level.CRITICAL, active or "in no state", "inactive"


def _number(unit: Show, key: str) -> float | None:
    text = unit.get(key, "")
    return float(text) if text.isdecimal() else None


def _untold(name: str, how: Expectation, summary: str, reason: str) -> ServiceAnswer:
    return ServiceAnswer(CHECK, name, None if how == "usual" else Level.UNKNOWN, summary, reason)


def _names(name: str) -> tuple[str, ...]:
    """The full names that a short one may stand for."""
    bare = name.removesuffix(".service")
    return _ALIASES.get(bare) or (name if "." in name else f"{name}.service",)


def _with_sockets(name: str) -> list[str]:
    """Its names, and those of the sockets that may start it."""
    names = _names(name)
    return [*names, *(one.removesuffix(".service") + ".socket" for one in names if one.endswith(".service"))]
