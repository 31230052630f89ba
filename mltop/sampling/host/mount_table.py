"""What should be mounted (fstab), what is read-only and who made it so. A path of a table may hang: for a child."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence

from mltop.model.host_facts import MountTable, ReadonlyMount, TableMount
from mltop.sampling.gpu.pci import is_container
from mltop.sampling.host.mount import Mount, parse, unescaped, visible
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes
from mltop.system.text import clean

_TAGS = {
    "UUID": "by-uuid", "LABEL": "by-label", "PARTUUID": "by-partuuid", "PARTLABEL": "by-partlabel", "ID": "by-id",
}  # fmt: skip
"""How fstab(5) names a device, and the folder of /dev/disk in which udev has it so."""


def read_mount_table(roots: Roots) -> MountTable:
    """What fstab wants against what is mounted; a container's fstab is nobody's. Raises OSError and ValueError."""
    every = parse(read_bytes(roots.proc / "self" / "mountinfo"))
    if not every:
        raise ValueError("no mount in it")
    mounts = visible(every)
    devices = {mount.path: _device(roots, mount) for mount in mounts}
    expected = () if is_container(roots) else tuple(_expected(roots, every))
    return MountTable(
        age_s=0.0,
        expected=expected,
        readonly=tuple(
            ReadonlyMount(path=_shown(mount.path), device=devices[mount.path], is_by_kernel=mount.is_shut_off)
            for mount in mounts
            if mount.is_readonly
        ),
        devices=_shortest(devices),
    )


def _shortest(devices: Mapping[str, str]) -> dict[str, str]:
    """Of several mounts of a device the shortest path (D15)."""
    paths = sorted(devices, key=lambda path: (len(path), path), reverse=True)
    return {devices[path]: _shown(path) for path in paths if devices[path]}


def _expected(roots: Roots, mounts: Sequence[Mount]) -> Iterator[TableMount]:
    try:
        table = read_bytes(roots.etc / "fstab")
    except FileNotFoundError:
        return
    there = {mount.path for mount in mounts}
    for spec, path, options in parse_table(table):
        # of a changed root the kernel does not say what is mounted there
        is_mounted = path == "/" or path in there or os.path.realpath(path) in there
        yield TableMount(
            path=_shown(path),
            is_mounted=is_mounted,
            is_readonly="ro" in options,
            is_optional="nofail" in options,
            may_be_absent=not is_mounted and "nofail" in options and not _is_there(roots, spec),
        )


def parse_table(text: bytes) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Device, mount point and options of each line of fstab(5) that is to be mounted at boot.

    Swap, what is mounted by hand (`noauto`) and a line that makes no sense are left out.
    """
    for line in text.split(b"\n"):
        fields = [unescaped(field) for field in line.split()]
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        spec, path, fstype = fields[:3]
        options = frozenset((fields[3] if len(fields) > 3 else "defaults").split(","))
        if path.startswith("/") and fstype not in ("swap", "ignore") and "noauto" not in options:
            yield spec, path.rstrip("/") or "/", options


def _is_there(roots: Roots, spec: str) -> bool:
    """Whether the device of a line is there; what is no local device always may be."""
    tag, equals, value = spec.partition("=")
    if equals and tag in _TAGS:
        return os.path.lexists(roots.dev / "disk" / _TAGS[tag] / _named_by_udev(value.strip('"')))
    if spec.startswith("/dev/"):
        return os.path.lexists(roots.dev / spec.removeprefix("/dev/"))
    return True


def _named_by_udev(value: str) -> str:
    """A label as the name of a link: udev writes what is not plain as `\\x20` (blkid_encode_string)."""
    return re.sub(r"(?![A-Za-z0-9#+:=@_.-])[\0-\x7f]", lambda one: f"\\x{ord(one[0]):02x}", value)


def _device(roots: Roots, mount: Mount) -> str:
    """The kernel's own name of the block device, as its log has it: `nvme0n1p2`, `dm-0`; else ""."""
    if not mount.device.startswith("0:"):
        try:
            return clean((roots.sys / "dev/block" / mount.device).readlink().name, 64)
        except OSError:
            pass
    return clean(mount.source.rpartition("/")[2], 64) if mount.source.startswith("/dev/") else ""


def _shown(path: str) -> str:
    return clean(os.fsencode(path))
