"""The drives' own health, by smartctl's JSON (smartmontools 7.0 and later); for a reader's child."""

from __future__ import annotations

import os
import re
from typing import Any

import msgspec

from mltop.model.host_facts import Drive, Smart
from mltop.model.snapshot import Status
from mltop.sampling.host.program import find_program, outputs
from mltop.sampling.root import Roots
from mltop.system.text import clean

DEADLINE_S = 4.0
MOST_DRIVES = 64
_OPTIONS = ("--json=c", "--info", "--health", "--attributes", "--nocheck=standby")
"""A disk that sleeps is left asleep."""
_DRIVE = re.compile(r"sd[a-z]+")
_CONTROLLER = re.compile(r"nvme\d+")
_CANNOT_OPEN = 0x02
"""Bits of smartctl's exit status (smartctl(8), EXIT STATUS): the device did not open, or sleeps."""
_BAD_CALL = 0x01
_NOT_TOLD = (
    r"STANDBY|SLEEP|[Uu]nable to detect|Unknown USB|[Uu]nsupported|[Nn]ot supported|lacks SMART"
    r"|[Pp]lease (?:try|specify|use|add)|[Nn]o [Mm]edium|device type '"
)
"""A disk that sleeps, or one behind a USB bridge or a RAID controller, of which smartctl would have to be told."""
_REFUSED = r"Permission denied|Operation not permitted"
_TOO_OLD = rb"UNRECOGNIZED OPTION: json"
"""What smartmontools before 7.0 says."""
_PENDING_SECTOR = 197
"""The attribute of sectors that could not be read and wait for being written."""


def read_smart(roots: Roots) -> Smart:
    """Asks all drives at once; only root can."""
    names = _drives(roots)
    if not names:
        return Smart(status=Status.UNSUPPORTED, reason="no drive that could tell its health")
    program = find_program("smartctl")
    if program is None:
        return Smart(status=Status.ABSENT, reason="no smartctl: install smartmontools")
    if os.geteuid() != 0:
        return Smart(status=Status.NO_PERMISSION, reason="drives tell their health to root only: run as root")
    said = outputs({name: (program, *_OPTIONS, str(roots.dev / name)) for name in names}, DEADLINE_S)
    return Smart(age_s=0.0, drives=tuple(_drive(name, said[name]) for name in names))


def _drives(roots: Roots) -> list[str]:
    """NVMe controllers and SCSI disks that have a node here: a container has none of its host's."""
    found = []
    for folder, form in (("class/nvme", _CONTROLLER), ("block", _DRIVE)):
        try:
            names = sorted(os.listdir(roots.sys / folder))  # noqa: PTH208 - names only
        except OSError:
            continue
        found += [name for name in names if form.fullmatch(name) and os.path.lexists(roots.dev / name)]
    return found[:MOST_DRIVES]


def _drive(name: str, said: bytes | None) -> Drive:
    if said is None:
        return Drive(name=name, status=Status.TIMEOUT, reason=f"smartctl did not answer in {DEADLINE_S:g} s")
    if re.search(_TOO_OLD, said):
        reason = "its smartctl has no --json: install smartmontools 7.0 or later"
        return Drive(name=name, status=Status.ABSENT, reason=reason)
    try:
        return parse(name, msgspec.json.decode(said, type=dict[str, Any]))
    except (msgspec.DecodeError, TypeError, ValueError, LookupError, AttributeError):
        return Drive(name=name, status=Status.ERROR, reason="cannot make sense of what smartctl says")


def parse(name: str, document: dict[str, Any]) -> Drive:
    """Read one document of `smartctl --json`. Raises what goes with a document of another shape."""
    exit_status = int(document["smartctl"]["exit_status"])
    words = "; ".join(str(one["string"]) for one in document["smartctl"].get("messages", ()))
    if exit_status & (_CANNOT_OPEN | _BAD_CALL):
        status, reason = _why_not(words)
        return Drive(name=name, status=status, reason=clean(reason, 160))
    log = document.get("nvme_smart_health_information_log", {})
    attributes = document.get("ata_smart_attributes", {}).get("table", [])
    worn, spare = document.get("endurance_used", {}), document.get("spare_available", {})
    drive = Drive(
        name=name,
        age_s=0.0,
        model=clean(str(document.get("model_name", "")), 64),
        is_passed=_flag(document.get("smart_status", {}).get("passed")),
        temperature_c=_number(document.get("temperature", {}).get("current")),
        used_percent=_first(
            log.get("percentage_used"),
            document.get("scsi_percentage_used_endurance_indicator"),
            worn.get("current_percent"),
        ),
        spare_percent=_first(log.get("available_spare"), spare.get("current_percent")),
        spare_least_percent=_first(log.get("available_spare_threshold"), spare.get("threshold_percent")),
        critical_warning=_whole(log.get("critical_warning")),
        pending_sectors=_pending(attributes),
        failing_attributes=tuple(clean(str(one["name"]), 40) for one in attributes if one.get("when_failed") == "now"),
    )
    if drive.is_passed is None and not log and not attributes:
        reason = clean(words, 120) or "has no SMART"
        return Drive(name=name, model=drive.model, status=Status.UNSUPPORTED, reason=reason)
    return drive


def _why_not(words: str) -> tuple[Status, str]:
    """Why smartctl did not get so far as to ask: only a drive that fails at it is a fault."""
    if re.search(_REFUSED, words):
        return Status.NO_PERMISSION, f"{words}: give this container the device and CAP_SYS_RAWIO, or run on the host"
    if re.search(_NOT_TOLD, words):
        return Status.UNSUPPORTED, words
    return Status.ERROR, words or "smartctl cannot open it"


def _pending(attributes: list[dict[str, Any]]) -> int | None:
    return next((_whole(one["raw"]["value"]) for one in attributes if one.get("id") == _PENDING_SECTOR), None)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _first(*values: object) -> float | None:
    """Of what drives of several kinds call the same the first that is told."""
    return next((number for value in values if (number := _number(value)) is not None), None)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
