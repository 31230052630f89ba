"""Which file systems are mounted, from `/proc/self/mountinfo`, and which of them are worth a line (M25, D15)."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Container
from functools import lru_cache

import msgspec

NETWORK_TYPES = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "cvfs", "fuse.JuiceFS", "fuse.alluxio", "fuse.beegfs",
    "fuse.blobfuse", "fuse.blobfuse2", "fuse.ceph", "fuse.ceph-fuse", "fuse.cephfs", "fuse.curlftpfs",
    "fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys", "fuse.juicefs", "fuse.mount-s3",
    "fuse.mountpoint-s3", "fuse.quobyte", "fuse.rclone", "fuse.s3fs", "fuse.seaweedfs", "fuse.sshfs",
    "fuse.weka", "gfs2", "glusterfs", "gpfs", "lustre", "mmfs", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs",
    "panfs", "pvfs2", "smb3", "smbfs", "virtiofs", "weka", "wekafs",
})  # fmt: skip
"""Always shown. virtiofs is a share of the virtual machine's host."""

_PSEUDO_TYPES = frozenset({
    "aufs", "autofs", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devfs",
    "devpts", "devtmpfs", "efivarfs", "functionfs", "fuse.archivemount", "fuse.fuse-overlayfs",
    "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fuse.snapfuse", "fuse.squashfuse", "fuse.unionfs",
    "fuse.unionfs-fuse", "fuse.vmware-vmblock", "fusectl", "hugetlbfs", "mqueue", "nfsd", "none", "nsfs",
    "overlay", "pipefs", "proc", "procfs", "pstore", "ramfs", "resctrl", "rootfs", "rpc_pipefs", "secretmem",
    "securityfs", "selinuxfs", "smackfs", "sockfs", "sysfs", "tracefs", "unionfs", "usbfs",
})  # fmt: skip
IMAGE_TYPES = frozenset({"squashfs", "iso9660", "erofs", "udf", "cramfs", "romfs"})
"""Read-only by nature: snaps, installation media, container images."""
_HIDDEN_PREFIXES = (
    "/dev/", "/etc/", "/proc/", "/sys/", "/run/", "/var/run/", "/snap/", "/var/snap/", "/var/lib/snapd/",
    "/tmp/.mount_", "/var/lib/docker/", "/var/lib/containers/", "/var/lib/containerd/", "/var/lib/kubelet/pods/",
)  # fmt: skip
"""What engines and desktops mount for themselves; /etc and /dev are where containers get single files."""
_NETWORK_SOURCE = r"//|[\w.@-]+:|\[[0-9a-fA-F:.]+\]:"
_ESCAPE = rb"\\([0-7]{3})"


class Mount(msgspec.Struct, frozen=True):
    """One line of mountinfo."""

    id: int
    parent: int
    device: str
    """`major:minor`, of the file system (`st_dev`)."""
    root: str
    """The directory within the file system that is mounted: not `/` for bind mounts."""
    path: str
    """As the kernel has it, with surrogates where it is not UTF-8."""
    fstype: str
    source: str
    is_readonly: bool
    """The mount or its file system is read-only, and not because it is an image that nobody can write."""
    is_shut_off: bool = False
    """It is mounted to be written, and its file system is read-only all the same: after an error the kernel does that
    (`errors=remount-ro`), while who mounts or remounts something read-only sets both."""

    @property
    def is_network(self) -> bool:
        """Whether its data is on another machine."""
        return self.fstype in NETWORK_TYPES or (
            self.fstype.startswith("fuse") and re.match(_NETWORK_SOURCE, self.source) is not None
        )


@lru_cache(maxsize=2)
def parse(text: bytes) -> tuple[Mount, ...]:
    """Read mountinfo (proc_pid_mountinfo(5)); a line that makes no sense is left out.

    Several readings want it, and it seldom changes between them.
    """
    # the kernel escapes no carriage return, and splitlines would end a line there
    mounts = [_parse_line(line) for line in text.split(b"\n")]
    return tuple(mount for mount in mounts if mount is not None)


def _parse_line(line: bytes) -> Mount | None:
    fields = line.split(b" ")
    try:
        dash = fields.index(b"-", 6)
    except ValueError:
        return None
    if len(fields) < dash + 3 or not (fields[0].isdigit() and fields[1].isdigit()):
        return None
    fstype = unescaped(fields[dash + 1])
    options = set(fields[5].split(b","))
    super_options = set(fields[dash + 3].split(b",")) if len(fields) > dash + 3 else set()
    is_image = fstype in IMAGE_TYPES
    return Mount(
        id=int(fields[0]),
        parent=int(fields[1]),
        device=unescaped(fields[2]),
        root=unescaped(fields[3]),
        path=unescaped(fields[4]),
        fstype=fstype,
        source=unescaped(fields[dash + 2]),
        is_readonly=(b"ro" in options or b"ro" in super_options) and not is_image,
        is_shut_off=b"ro" in super_options and b"ro" not in options and not is_image,
    )


def unescaped(field: bytes) -> str:
    """A field of mountinfo or fstab: spaces and the like are octal there (getmntent(3))."""
    return os.fsdecode(
        re.sub(_ESCAPE, lambda match: bytes([int(match[1], 8) & 0xFF]), field) if b"\\" in field else field
    )


def shown(mounts: Collection[Mount], files: Container[str] = ()) -> list[Mount]:
    """The mounts worth a line: `/` first, the rest by path; of several of one file system the shortest path.

    `files` are paths that turned out to be bind-mounted files: only asking tells, and asking may hang.
    """
    chosen: dict[str, Mount] = {}
    for mount in visible(mounts):
        if mount.path in files or not is_worth_showing(mount):
            continue
        known = chosen.get(mount.device)
        if known is None or _rank(mount) < _rank(known):
            chosen[mount.device] = mount
    return sorted(chosen.values(), key=lambda mount: (mount.path != "/", mount.path))


def _rank(mount: Mount) -> tuple[bool, bool, int, str]:
    """`/` before all, then what does not look like a bind-mounted file, then the shortest path (D15)."""
    name = mount.path.rpartition("/")[2]
    seems_file = mount.root != "/" and ("." in name or mount.path.startswith("/usr/"))
    return mount.path != "/", seems_file, len(mount.path), mount.path


def is_worth_showing(mount: Mount) -> bool:
    """Whether a mount holds somebody's data."""
    if mount.path in {"/", "/dev/shm"} or mount.is_network:
        return True
    if mount.fstype in _PSEUDO_TYPES or mount.fstype in IMAGE_TYPES or mount.fstype.endswith(".AppImage"):
        return False
    if mount.path in {"/dev", "/run"} or mount.path.startswith(_HIDDEN_PREFIXES):
        return False
    if mount.fstype == "zfs" and "@" in mount.source:  # a snapshot, which is always full
        return False
    return not (mount.fstype == "tmpfs" and mount.is_readonly)


def visible(mounts: Collection[Mount]) -> list[Mount]:
    """Those that a path leads to: not the ones below a later mount on the same or a higher directory."""
    parents = {mount.id: mount.parent for mount in mounts}
    latest: dict[str, tuple[int, Mount]] = {}
    for order, mount in enumerate(mounts):
        latest[mount.path] = (order, mount)
    found = []
    for order, mount in enumerate(mounts):
        if latest[mount.path][0] != order:
            continue
        ancestors = _ancestors(mount.id, parents)
        above = (latest.get(path) for path in _directories_above(mount.path))
        if all(over is None or over[0] < order or over[1].id in ancestors for over in above):
            found.append(mount)
    return found


def _ancestors(mount: int, parents: dict[int, int]) -> set[int]:
    seen: set[int] = set()
    while mount in parents and mount not in seen:
        seen.add(mount)
        mount = parents[mount]
    return seen


def _directories_above(path: str) -> list[str]:
    if path == "/":
        return []
    parts = path.split("/")
    return ["/", *("/".join(parts[:end]) for end in range(2, len(parts)))]
