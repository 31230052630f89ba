"""Whether a path lies where it should: under no mount point of fstab that is not mounted."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mltop.tasks.outcome import RefusedError

FSTAB = Path("/etc/fstab")
MOUNTINFO = Path("/proc/self/mountinfo")
_KERNEL = frozenset(
    {
        "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
        "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "resctrl", "rpc_pipefs", "securityfs", "selinuxfs",
        "smackfs", "sysfs", "tracefs",
    }
)  # fmt: skip
"""File systems that the kernel makes up: their files are no data, and /proc/kcore claims 128 TiB."""
_OCTAL = re.compile(r"\\([0-7]{3})")


def refuse_unmounted(path: str, fstab: Path = FSTAB, mountinfo: Path = MOUNTINFO) -> None:
    """Raise `RefusedError` when `path` is below a mount point of fstab and nothing is mounted there.

    A backup would otherwise fill the disk below, and be hidden as soon as the real one is mounted.
    """
    real = os.path.realpath(path)
    expected = [point for point in fstab_points(fstab) if f"{real}/".startswith(point.rstrip("/") + "/")]
    if not expected:
        return
    mounted = mount_points(mountinfo)
    for point in expected:
        if os.path.realpath(point) not in mounted:
            raise RefusedError(f"{point} is in fstab and not mounted", f"mount {point}, or choose another target")


def fstab_points(fstab: Path = FSTAB) -> list[str]:
    """Return the mount points that fstab names, but for `/` and swap; none when it cannot be read."""
    try:
        lines = fstab.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    points = [_unescape(field[1]) for field in fields if len(field) >= 3 and field[2] != "swap"]
    return [point for point in points if point.startswith("/") and point != "/"]


def mount_points(mountinfo: Path = MOUNTINFO) -> frozenset[str]:
    """Return all mount points of this process's view, bind mounts included (proc(5), field 5)."""
    lines = mountinfo.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    return frozenset(_unescape(fields[4]) for line in lines if len(fields := line.split(" ")) > 4)


def kernel_mounts(mountinfo: Path = MOUNTINFO) -> dict[int, str]:
    """Return the devices (`st_dev`) of the file systems that hold no data, and what each is called."""
    found: dict[int, str] = {}
    for line in mountinfo.read_bytes().decode("utf-8", "surrogateescape").split("\n"):
        fields = line.split(" ")
        kind = fields[fields.index("-", 6) + 1] if "-" in fields[6:] else ""
        major, _, minor = fields[2].partition(":") if len(fields) > 2 else ("", "", "")
        if kind in _KERNEL and major.isdigit() and minor.isdigit():
            found[os.makedev(int(major), int(minor))] = kind
    return found


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
