from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltop.sampling.host.mount import Mount, parse, shown

BARE_METAL = rb"""
21 27 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw
22 27 0:21 / /proc rw,nosuid shared:14 - proc proc rw
23 27 0:5 / /dev rw,nosuid shared:2 - devtmpfs udev rw,size=1k
24 23 0:22 / /dev/pts rw,nosuid shared:3 - devpts devpts rw,gid=5
25 23 0:23 / /dev/shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw
26 27 0:24 / /run rw,nosuid shared:5 - tmpfs tmpfs rw
27 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
28 21 0:6 / /sys/kernel/security rw shared:8 - securityfs securityfs rw
29 21 0:25 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw
33 22 0:29 / /proc/sys/fs/binfmt_misc rw shared:13 - autofs systemd-1 rw,fd=29
40 27 7:1 / /snap/core/1 ro,nodev shared:30 - squashfs /dev/loop1 ro
41 27 7:2 / /media/install ro shared:31 - iso9660 /dev/sr0 ro
42 27 259:1 / /boot/efi rw shared:32 - vfat /dev/nvme0n1p1 rw
43 27 253:0 / /data\040one rw shared:33 - xfs /dev/mapper/vg-data rw
44 27 253:0 /sub /srv/deep/bind rw shared:33 - xfs /dev/mapper/vg-data rw
45 27 0:50 / /models ro,relatime shared:34 master:1 propagate_from:2 - nfs4 nas:/models rw,vers=4.2
46 27 0:51 / /home rw shared:35 - autofs /etc/auto.home rw
47 46 0:52 / /home rw shared:36 - nfs nas:/home rw
48 27 0:53 / /var/lib/docker/overlay2/abc/merged rw - overlay overlay rw,lowerdir=/x
49 27 0:54 / /mnt/bucket rw - fuse.s3fs s3fs rw
50 27 0:55 / /mnt/box rw - fuse mlu1@login:/scratch rw
51 27 0:56 / /run/user/1000 rw - tmpfs tmpfs rw
52 27 8:1 / /old rw - ext4 /dev/sda1 ro,errors=remount-ro
53 27 0:57 / /btr rw - btrfs /dev/sdb1 rw,subvol=/
54 27 0:57 /home /btr/home rw - btrfs /dev/sdb1 rw,subvol=/home
55 27 0:58 / /ramdisk rw - tmpfs tmpfs rw
56 27 0:59 / /tmp/.mount_app ro - fuse.app.AppImage app ro
garbage
1 2 3
60 27 0:60 / /no-dash rw shared:1 ext4 /dev/x rw
61 27 0:61 / /weird\012\134name rw - xfs /dev/weird rw
"""

CONTAINER = rb"""
500 400 0:99 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a
501 500 0:100 / /proc rw - proc proc rw
502 500 0:101 / /dev rw - tmpfs tmpfs rw,size=65536k
503 502 0:102 / /dev/shm rw - tmpfs shm rw,size=65536k
504 500 259:2 /var/lib/docker/containers/x/hosts /etc/hosts rw - ext4 /dev/nvme0n1p2 rw
505 500 259:2 /usr/bin/nvidia-smi /usr/bin/nvidia-smi ro - ext4 /dev/nvme0n1p2 rw
506 500 259:2 /lib/libcuda.so.1 /lib/libcuda.so.1 ro - ext4 /dev/nvme0n1p2 rw
507 500 259:2 /srv/datasets /workspace/datasets rw - ext4 /dev/nvme0n1p2 rw
"""


def by_path(mounts: list[Mount]) -> dict[str, Mount]:
    return {mount.path: mount for mount in mounts}


def test_what_is_shown_on_a_box() -> None:
    mounts = shown(parse(BARE_METAL))
    assert [mount.path for mount in mounts] == [
        "/", "/boot/efi", "/btr", "/data one", "/dev/shm", "/home", "/mnt/box", "/mnt/bucket", "/models", "/old",
        "/ramdisk", "/weird\n\\name",
    ]  # fmt: skip
    found = by_path(mounts)
    assert {path for path, mount in found.items() if mount.is_network} == {
        "/home",
        "/mnt/box",
        "/mnt/bucket",
        "/models",
    }
    assert {path for path, mount in found.items() if mount.is_readonly} == {"/models", "/old"}
    assert found["/home"].fstype == "nfs"
    assert found["/data one"].device == "253:0"
    assert found["/models"].source == "nas:/models"


def test_in_a_container_the_root_is_in_and_files_are_out() -> None:
    mounts = shown(parse(CONTAINER))
    assert [mount.path for mount in mounts] == ["/", "/dev/shm", "/workspace/datasets"]
    assert [mount.path for mount in shown(parse(CONTAINER), {"/workspace/datasets"})][2:] == ["/lib/libcuda.so.1"]


def test_a_mount_below_a_later_one_is_not_seen() -> None:
    mounts = parse(
        b"1 0 8:1 / / rw - ext4 /dev/a rw\n"
        b"2 1 8:2 / /data rw - ext4 /dev/b rw\n"
        b"3 2 8:3 / /data/deep rw - ext4 /dev/c rw\n"
        b"4 2 8:4 / /data rw - ext4 /dev/d rw\n"
        b"5 4 8:5 / /data/new rw - ext4 /dev/e rw\n"
    )
    assert [mount.source for mount in shown(mounts)] == ["/dev/a", "/dev/d", "/dev/e"]


def test_an_image_as_root_is_not_a_remount() -> None:
    [root] = shown(parse(b"1 0 7:0 / / ro - squashfs /dev/loop0 ro\n"))
    assert not root.is_readonly


@pytest.mark.parametrize(
    "fstype", ["nfs", "cifs", "smb3", "lustre", "beegfs", "gpfs", "9p", "fuse.sshfs", "fuse.rclone"]
)
def test_network_mounts_are_always_in(fstype: str) -> None:
    mounts = parse(f"1 0 0:9 / /var/lib/docker/volumes/x rw - {fstype} far rw".encode())
    assert [mount.is_network for mount in shown(mounts)] == [True]


def test_a_path_that_is_no_text_can_still_be_asked() -> None:
    [mount] = shown(parse(b"1 0 8:9 / /d\xff rw - ext4 /dev/x rw"))
    assert os.fsencode(mount.path) == b"/d\xff"


def test_a_path_may_have_a_carriage_return() -> None:
    """The kernel escapes space, tab, line feed and backslash only (fs/proc_namespace.c)."""
    [mount] = shown(parse(b"1 0 8:9 / /odd\rname\x0b rw - ext4 /dev/x rw\n"))
    assert mount.path == "/odd\rname\x0b"


def test_a_snapshot_of_zfs_is_left_out() -> None:
    """It has no space left by nature, and mounts itself where somebody looks into `.zfs`."""
    mounts = parse(
        b"1 0 0:50 / /tank rw - zfs tank/data rw\n2 1 0:51 / /tank/.zfs/snapshot/daily ro - zfs tank/data@daily ro\n"
    )
    assert [mount.path for mount in shown(mounts)] == ["/tank"]


@given(st.binary(max_size=400))
def test_no_content_breaks_it(noise: bytes) -> None:
    assert isinstance(shown(parse(BARE_METAL + noise)), list)
    shown(parse(noise))
