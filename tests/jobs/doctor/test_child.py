"""Looks in children: all at once, and none waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from patience import assert_within

from mltop.jobs.doctor.child import reports
from mltop.jobs.doctor.symptom import Report, ok
from mltop.jobs.site import SiteError
from mltop.model.doctor import Health


def hang() -> Report:
    signal.pause()
    return Report()


def fall() -> Report:
    raise OSError(5, "Input/output error", "/dead")


def vanish() -> Report:
    os._exit(1)


def test_each_look_answers_for_itself() -> None:
    began = time.monotonic()
    long = Report(tuple(ok("long", "x" * 100) for _ in range(2000)))
    found = reports({"well": lambda: long, "hung": hang, "fell": fall, "gone": vanish}, 1.0)
    assert_within(5, began)
    assert found[0] == long
    assert [(one.id, one.state) for report in found[1:] for one in report.symptoms] == [
        ("hung", Health.UNKNOWN),
        ("fell", Health.UNKNOWN),
        ("gone", Health.UNKNOWN),
    ]
    assert "within 1 s" in found[1].symptoms[0].summary
    assert "Input/output error" in found[2].symptoms[0].summary


FEW = """
import resource, sys
from mltop.jobs.doctor.child import reports
from mltop.jobs.doctor.symptom import Report, ok
from mltop.jobs.doctor import child
highest = max(map(int, __import__("os").listdir("/proc/self/fd")))
resource.setrlimit(resource.RLIMIT_NOFILE, (highest + int(sys.argv[1]), highest + int(sys.argv[1])))
found = reports({str(n): lambda n=n: Report((ok(str(n), "well"),)) for n in range(7)}, 20.0)
print(*(f"{one.id}:{one.summary}" for report in found for one in report.symptoms), sep="|")
"""


@pytest.mark.parametrize(
    ("room", "said"),
    [(8, "well"), (9, "well"), (10, "well"), (15, "well"), (2, "could not be looked at: Too many open files")],
)
def test_where_files_are_few_the_looks_follow_one_another(room: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FEW, str(room)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    found = done.stdout.strip().split("|")
    assert [one.split(":")[0] for one in found] == [str(number) for number in range(7)]
    assert all(said in one for one in found)


def homeless() -> Report:
    raise SiteError("no HOME to keep state in: set it, or give --state-dir")


def test_no_home_is_a_fault_with_its_remedy() -> None:
    (found,) = reports({"state": homeless}, 5.0)
    assert [(one.id, one.state) for one in found.symptoms] == [("state.home", Health.FAULT)]


def test_no_child_is_left() -> None:
    reports({"hung": hang}, 0.1)
    children = [pid for pid in os.listdir("/proc") if pid.isdigit() and _parent(pid) == os.getpid()]  # noqa: PTH208
    assert [pid for pid in children if _name(pid) == "mltop-doctor"] == []


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def _name(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""
