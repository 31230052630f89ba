"""Every check of the catalogue under faults of its reading: UNKNOWN where it could not be told, never OK (C3).

The faults are those that a reading reports (it failed, it did not answer, it was refused), numbers that are none, and
values of a type that no reading gives, over which a check stumbles. What they do at the edge, in files and in the
driver, is tried in the integration tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mltop.checks.catalogue import CATALOGUE
from mltop.checks.judge import judgements
from mltop.checks.selection import select
from mltop.checks.verdict import results
from mltop.config.limits import Limits
from mltop.model.finding import Level
from mltop.model.gpu_facts import GpuFacts
from mltop.model.host_facts import HostFacts
from mltop.model.job_facts import DrillFacts, Ended, JobFacts, JobsFacts
from mltop.model.service import ServiceAnswer
from mltop.model.snapshot import Disk, Driver, Gpu, Snapshot, Status
from mltop.model.surroundings import Gap, Surroundings
from mltop.sampling.host.facts import SOURCES

REPORTED = {"raises": Status.ERROR, "hangs": Status.TIMEOUT, "is refused": Status.NO_PERMISSION}
VALUES: dict[str, Any] = {"is not a number": math.nan, "is garbage": "garbage"}
TARGET = "GPU-0"

SNAPSHOT = {
    "cpu.load": ("cpu", {"load": lambda value: (value, value, value)}),
    "mem.available": ("memory", {"available_bytes": None}),
    "mem.swap": ("memory", {"swap_used_bytes": None}),
}
"""Checks of a group of the snapshot: which, and the values that they look at."""
DISK = {
    "disk.space": (0, "used_percent"),
    "disk.inodes": (0, "inodes_used_percent"),
    "disk.shm": (2, "used_percent"),
}
"""Checks of a mount: which of the box's, and the value."""
GPU = {
    "gpu.ecc_uncorrected": ("ecc", ("ecc_uncorrected_volatile", "ecc_uncorrected_aggregate"), ()),
    "gpu.ecc_corrected": ("ecc", ("ecc_corrected_volatile",), ("ecc_corrected_dram", "ecc_corrected_sram")),
    "gpu.row_remap": ("remap", ("remap_pending", "remap_failed"), ("remap_uncorrectable",)),
    "gpu.retired_pages": ("retired", ("retired_pages",), ()),
    "gpu.temp": ("temperature", ("temperature_c",), ()),
    "gpu.temp_mem": ("memory_temperature", ("temperature_memory_c",), ()),
    "gpu.pcie_width": ("pcie_link", ("pcie_width",), ()),
    "gpu.pcie_gen": ("pcie_link", ("pcie_generation",), ()),
    "gpu.nvlink": ("nvlinks", ("nvlinks_active",), ()),
    "gpu.persistence": ("persistence", ("persistence_mode",), ()),
    "gpu.mem_orphan": ("compute", ("unattributed_bytes",), ()),
    "gpu.mem": ("memory", ("memory_used_bytes",), ()),
    "gpu.recovery_action": ("recovery", (), ("recovery_action",)),
    "gpu.fabric": ("fabric", (), ("fabric_state",)),
    "gpu.pcie_replay": ("pcie_replay", (), ("pcie_replays",)),
    "gpu.ecc_mode": ("ecc_mode", (), ("ecc_mode", "ecc_pending")),
    "gpu.power_cap": ("power_default", (), ("power_default_w",)),
    "gpu.vbios": ("vbios", (), ("vbios",)),
}
"""Checks of one GPU: the fact by its name in `sampling`, and its values in the snapshot and beside it."""
MEASURED = ("gpu.temp", "gpu.temp_mem", "gpu.mem", "gpu.pcie_width", "gpu.ecc_corrected", "gpu.mem_orphan")
"""Those of them that are held against a limit as they come; the others are flags, counts and texts of the driver."""
REMOTE = ("api", "redis", "pg", "tcp", "docker")
SYSTEMD = ("svc.unit", "svc.any_failed")
JOBS = ("job.failed", "job.late", "backup.age", "backup.drill")
ELSEWHERE = {
    "gpu.driver": "test_a_driver_that_cannot_be_told",
    "gpu.count": "test_a_driver_that_cannot_be_told",
    "gpu.responsive": "test_a_driver_that_cannot_be_told",
    "gpu.throttle": "event reasons are a tuple: tests/integration/test_check_faults.py",
    "gpu.idle_waste": "is never a fault",
    "disk.eta": "what earlier runs noted: tests/checks/test_memory.py",
    "disk.mount_stuck": "test_a_mount_that_does_not_answer_is_what_is_checked",
    "host.reboot": "the boot's id: tests/commands, with the state",
    "self.state": "the state: tests/commands, with the state",
    "self.stale": "the history: as the jobs",
    "self.config": "no verdict at all: tests/commands/test_check_refusal.py",
}
"""Checks whose reading is no number, and where they are tried."""
OF_FACTS = {check for source in SOURCES.values() for check in source.checks}


def facts_of(check: str) -> list[str]:
    return [name for name, source in SOURCES.items() if check in source.checks]


class Case:
    """A healthy box, and one fault in it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.here: dict[str, Any] = {
            "mounts": frozenset({"/", "/data"}), "driver_s": 0.1, "gaps": {}, "host": HostFacts(),
            "gpus": {gpu.uuid: GpuFacts(ecc_mode=True, ecc_pending=True, vbios="1") for gpu in snapshot.gpus},
        }  # fmt: skip

    def group(self, name: str, **changes: Any) -> None:
        """Change a group of the snapshot."""
        changed = msgspec.structs.replace(getattr(self.snapshot, name), **changes)
        self.snapshot = msgspec.structs.replace(self.snapshot, **{name: changed})

    def disk(self, place: int = 0, **changes: Any) -> None:
        disks = list(self.snapshot.disks)
        disks[place] = msgspec.structs.replace(disks[place], **changes)
        self.snapshot = msgspec.structs.replace(self.snapshot, disks=tuple(disks))

    def gpu(self, **changes: Any) -> None:
        first, *rest = self.snapshot.gpus
        self.snapshot = msgspec.structs.replace(self.snapshot, gpus=(msgspec.structs.replace(first, **changes), *rest))

    def states(self, check: str | None = None) -> dict[tuple[str, str], str]:
        """The states of all targets; of one check where it was asked for."""
        selection = select([check] if check is not None else ())
        found = judgements(self.snapshot, Limits(mounts=("/data",)), None, Surroundings(**self.here))
        made = results(list(found), selection, self.snapshot)
        return {(one.check, one.target): str(one.state) for one in made}


def break_snapshot(case: Case, check: str, kind: str) -> None:
    group, fields = SNAPSHOT[check]
    if kind in REPORTED:
        empty = type(getattr(case.snapshot, group))(status=REPORTED[kind], reason="why")
        case.snapshot = msgspec.structs.replace(case.snapshot, **{group: empty})
    else:
        made = {name: VALUES[kind] if shape is None else shape(VALUES[kind]) for name, shape in fields.items()}
        case.group(group, **made)


def break_disk(case: Case, check: str, kind: str) -> None:
    place, field = DISK[check]
    if kind in REPORTED:
        case.disk(place, status=REPORTED[kind], reason="why", **{field: None})
    else:
        case.disk(place, **{field: VALUES[kind]})


def break_gpu(case: Case, check: str, kind: str) -> None:
    fact, fields, others = GPU[check]
    value = None if kind in REPORTED else VALUES[kind]
    if kind in REPORTED:
        case.here["gaps"] = {TARGET: {fact: Gap(REPORTED[kind], "why")}}
    case.gpu(**dict.fromkeys(fields, value))
    first = case.here["gpus"][TARGET]
    case.here["gpus"] = {**case.here["gpus"], TARGET: msgspec.structs.replace(first, **dict.fromkeys(others, value))}


def break_facts(case: Case, check: str, kind: str) -> None:
    """All that a check of the host reads beside the snapshot, and what the snapshot has of it."""
    broken = {name: SOURCES[name].kind(status=REPORTED[kind], reason="why") for name in facts_of(check)}
    case.here["host"] = msgspec.structs.replace(case.here["host"], **broken)
    if check == "cpu.psi":
        case.group("cpu", psi_some_avg10=None)
    elif check == "mem.psi":
        case.group("memory", psi_some_avg10=None, psi_full_avg10=None)
    elif check == "cpu.thermal":
        case.group("cpu", throttled=None, temperature_c=None)
    elif check == "gpu.xid":
        case.here["kernel_log"] = "why"
    elif check == "disk.mount_missing":
        case.here["mounts"] = None
    elif check == "disk.readonly":
        case.disk(is_readonly=None, status=REPORTED[kind])


BREAK: dict[str, Callable[[Case, str, str], None]] = {
    **dict.fromkeys(sorted(OF_FACTS), break_facts),
    **dict.fromkeys(SNAPSHOT, break_snapshot),
    **dict.fromkeys(DISK, break_disk),
    **dict.fromkeys(GPU, break_gpu),
}


def kinds(check: str) -> tuple[str, ...]:
    """What comes over a typed wire is a number where it is to be one."""
    is_typed = BREAK[check] is break_facts or (check in GPU and check not in MEASURED)
    return tuple(REPORTED) if is_typed else (*REPORTED, *VALUES)


CASES = [(check.id, kind) for check in CATALOGUE if check.id in BREAK for kind in kinds(check.id)]


@pytest.mark.parametrize(("check", "kind"), CASES)
def test_a_reading_that_fails_is_unknown_and_takes_no_other_with_it(make: Any, check: str, kind: str) -> None:
    case = Case(make())
    before = case.states()
    BREAK[check](case, check, kind)
    asked = {key: state for key, state in case.states(check).items() if key[0] == check}
    hit = {
        key: state
        for key, state in asked.items()
        if key[1] in ("", "/dev/shm" if check == "disk.shm" else "/", TARGET) or len(asked) == 1
    }
    stuck = check.startswith("disk.") and kind == "hangs"  # that is told by disk.mount_stuck
    assert stuck or "UNKNOWN" in hit.values(), asked
    assert stuck or kind == "is garbage" or not {"OK", "WARNING", "CRITICAL"} & set(hit.values()), asked
    after = case.states()
    lost = {key for key, state in before.items() if state == "OK" and after.get(key) not in ("OK", None)}
    family = {one.family for one in CATALOGUE if one.id == check}
    shared = {
        other for name in facts_of(check) for other in SOURCES[name].checks
    }  # the kernel log is read once for all
    assert all(one.family in family for one in CATALOGUE if one.id in {key[0] for key in lost} - shared), lost
    assert {key[0] for key in before} <= {key[0] for key in after}


@pytest.mark.parametrize("check", REMOTE)
def test_a_service_that_does_not_answer_is_what_is_checked(make: Any, check: str) -> None:
    """Source: the guidelines: a remote service that does not answer is no UNKNOWN; that it could not be asked is."""
    case = Case(make())
    late = ServiceAnswer(check=check, name="a", level=Level.CRITICAL, summary="no answer in 2 s", reason="timeout")
    for level, reason, state in ((Level.CRITICAL, "timeout", "CRITICAL"), (Level.UNKNOWN, "error", "UNKNOWN")):
        case.here["services"] = (msgspec.structs.replace(late, level=level, reason=reason),)
        assert case.states(check) == {(check, "a"): state}


@pytest.mark.parametrize("check", SYSTEMD)
def test_a_unit_that_could_not_be_asked_for_is_unknown(make: Any, check: str) -> None:
    case = Case(make())
    case.here["services"] = (ServiceAnswer(check=check, name="x", level=Level.UNKNOWN, summary="no answer"),)
    assert case.states(check) == {(check, "x"): "UNKNOWN"}


@pytest.mark.parametrize("check", ["docker", "svc.any_failed"])
def test_what_could_not_be_asked_of_the_box_is_unknown(make: Any, check: str) -> None:
    case = Case(make())
    case.here["services"] = (ServiceAnswer(check=check, name="", level=Level.UNKNOWN, summary="x", reason="error"),)
    assert case.states(check) == {(check, ""): "UNKNOWN"}


@pytest.mark.parametrize("check", JOBS)
def test_a_history_that_could_not_be_read_is_unknown(make: Any, check: str) -> None:
    case = Case(make())
    case.here["jobs"] = JobsFacts(trouble="history.db cannot be read: disk I/O error")
    assert case.states(check) == {(check, ""): "UNKNOWN"}
    broken: Any = "garbage"
    ended = Ended(state="ok", at="2026-01-01T00:00:00Z")
    job = JobFacts(id="m", kind="backup", last=ended, good_at="2026-01-01T00:00:00Z", drill=DrillFacts(last=ended))
    case.here["jobs"] = JobsFacts(
        jobs=(
            job,
            msgspec.structs.replace(job, id="n", last=broken, drill=broken),
        )
    )
    assert "UNKNOWN" in {state for (one, _), state in case.states().items() if one in JOBS}
    assert case.states()["disk.space", "/"] == "OK"


def test_a_mount_that_does_not_answer_is_what_is_checked(make: Any) -> None:
    case = Case(make())
    case.disk(status=Status.TIMEOUT, reason="no answer", used_percent=None)
    found = case.states()
    assert found["disk.mount_stuck", "/"] == "WARNING"
    assert ("disk.space", "/") not in found
    assert found["disk.space", "/data"] == "OK"


@pytest.mark.parametrize(
    ("status", "driver", "responsive"),
    [
        (Status.ERROR, "CRITICAL", None),
        (Status.NO_PERMISSION, "UNKNOWN", None),
        (Status.TIMEOUT, "UNKNOWN", "CRITICAL"),
    ],
)
def test_a_driver_that_cannot_be_told(make: Any, status: Status, driver: str, responsive: str | None) -> None:
    case = Case(make(0, driver=Driver(status=status, reason="why", pci_count=8)))
    found = case.states()
    assert found["gpu.driver", ""] == driver
    assert responsive is None or found["gpu.responsive", ""] == responsive
    gpus = {state for (check, _), state in found.items() if check.startswith("gpu.")}
    assert "OK" not in gpus - {"OK"} | ({"OK"} & {found["gpu.driver", ""]})
    assert found["disk.space", "/"] == "OK"


def test_a_gpu_with_values_of_no_type_leaves_the_host_alone(make: Any) -> None:
    broken: Any = object()
    case = Case(make())
    case.gpu(**{name: broken for name in Gpu.__struct_fields__ if name.startswith(("temp", "ecc", "pcie", "memory"))})
    found = case.states()
    assert {state for (check, target), state in found.items() if target == TARGET} == {"UNKNOWN", "OK"}
    assert {state for (check, target), state in found.items() if target == "GPU-1"} == {"OK", "SKIP"}
    assert found["disk.space", "/"] == found["mem.available", ""] == "OK"


def test_a_disk_with_values_of_no_type_leaves_the_gpus_alone(make: Any) -> None:
    broken: Any = object()
    case = Case(make())
    case.disk(**{name: broken for name in Disk.__struct_fields__ if "percent" in name or "bytes" in name})
    found = case.states()
    assert found["disk.space", "/"] == found["disk.inodes", "/"] == "UNKNOWN"
    assert found["disk.readonly", "/"] == found["disk.space", "/data"] == found["gpu.temp", TARGET] == "OK"


def test_the_whole_catalogue_is_tried() -> None:
    tried = {*BREAK, *REMOTE, *JOBS, "svc.unit", "svc.any_failed", "docker", *ELSEWHERE}
    assert {check.id for check in CATALOGUE} <= tried, {check.id for check in CATALOGUE} - tried
