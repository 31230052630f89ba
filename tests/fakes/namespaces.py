"""A box in namespaces of its own: a real cron daemon, or a real systemd as pid 1. Nothing of it outlives the test.

Root is needed. A pid namespace ends with its first process, mounts are private to it, and what a booted system writes
goes to a file system in memory laid over this one's root.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from patience import wait_until

_PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root", "USER": "root", "TERM": "dumb"}

CRON = """
set -e
mount --make-rprivate /
mount --bind "$1/spool" /var/spool/cron/crontabs
mount --bind "$1/cron.d" /etc/cron.d
mount --bind "$1/crontab" /etc/crontab
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm   # faketime's semaphores are named by pid
mount -t proc proc /proc
touch "$1/ready"
exec sleep 600
"""

BOOT = """
set -e
over="$1/over"; root="$over/root"
mkdir -p "$over"; mount -t tmpfs -o size=256m,mode=755 tmpfs "$over"; mkdir "$over/upper" "$over/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$over/upper,workdir=$over/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys" 2>/dev/null || mount --rbind -o ro /sys "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"; mkdir "$root/dev/pts" "$root/dev/shm"
for name in null zero full random urandom tty
do touch "$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"; done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"; ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"; for n in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${n%:*}" "$root/dev/${n#*:}"; done
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"; mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
units="$root/etc/systemd/system"
rm -rf "$units"/*.wants   # nothing of this machine's is started
for unit in systemd-{udevd,udev-trigger,timesyncd,firstboot,resolved,networkd,modules-load,remount-fs,pstore}.service \\
  systemd-{hwdb-update,update-done,update-utmp,journal-catalog-update,sysusers,random-seed,binfmt,sysctl}.service \\
  systemd-{machine-id-commit,udevd-kernel,udevd-control}.{service,socket} dev-{hugepages,mqueue}.mount tmp.mount \\
  sys-kernel-{debug,tracing,config}.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount \\
  ldconfig.service getty.target swap.target modprobe@.service
do ln -sf /dev/null "$units/$unit"; done
cat > "$units/tried.target" <<END
[Unit]
Requires=basic.target dbus.socket systemd-journald.service
After=basic.target
AllowIsolate=yes
END
mkdir -p "$root/etc/systemd/journald.conf.d" "$root/var/log/journal"; : > "$root/etc/fstab"
printf '[Journal]\\nStorage=persistent\\nReadKMsg=no\\nAudit=no\\n' > "$root/etc/systemd/journald.conf.d/tried.conf"
tr -d - < /proc/sys/kernel/random/uuid > "$root/etc/machine-id"
hostname tried; cd "$root"; mkdir -p old; pivot_root . old; cd /; umount -l /old; rmdir /old
exec env -i container=tried PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb \\
  /lib/systemd/systemd --system --unit=tried.target --log-target=console --log-level=notice --show-status=no
"""


class Namespaced:
    """A process in namespaces of its own, and commands run beside it."""

    flags: Sequence[str] = ("--mount", "--pid", "--ipc", "--fork", "--kill-child", "--propagation", "private")

    def __init__(self, folder: Path, script: str) -> None:
        self.folder = folder
        self.folder.chmod(0o755)
        self._log = (folder / "log").open("wb")
        self._unshare = subprocess.Popen(
            ["unshare", *self.flags, "bash", "-c", script, "box", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            preexec_fn=self.before,
        )

    def _await(self, condition: Callable[[], object]) -> None:
        try:
            wait_until(condition, 30, self.said)
        except BaseException:
            self.stop()
            raise

    def before(self) -> None:
        """What the first process does before it enters."""

    def first(self) -> int | None:
        """The box's first process, as it is seen from here."""
        path = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        with contextlib.suppress(OSError, ValueError, IndexError):  # not forked yet
            return int(path.read_text().split()[0])
        return None

    def said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def argv(self, *words: str) -> list[str]:
        given = [f"{name}={value}" for name, value in _PLAIN.items()]
        flags = ("-m", "-u", "-i", "-p", "-C") if "--uts" in self.flags else ("-m", "-i", "-p")
        return ["nsenter", "-t", str(self.first()), *flags, "env", "-i", "--chdir=/", *given, *words]

    def run(self, *words: str, code: int | None = 0, timeout_s: float = 30) -> str:
        """Run a command inside; its output."""
        done = subprocess.run(
            self.argv(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        assert code is None or done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file inside, with its folders."""
        self.run("sh", "-c", 'mkdir -p "$(dirname "$1")"; printf %s "$2" > "$1"', "sh", path, text)

    def stop(self) -> None:
        if (first := self.first()) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(first, signal.SIGKILL)
        self._unshare.kill()
        self._unshare.wait(10)
        self._log.close()


class CronBox(Namespaced):
    """A box with a crontab spool of its own; `start` runs the real daemon at sixty times its speed."""

    def __init__(self, folder: Path) -> None:
        import shutil

        for name in ("spool", "cron.d"):
            (folder / name).mkdir()
        shutil.chown(folder / "spool", "root", "crontab")
        (folder / "spool").chmod(0o1730)
        (folder / "crontab").write_text("SHELL=/bin/sh\n")
        super().__init__(folder, CRON)
        self._daemon: subprocess.Popen[bytes] | None = None
        self._await((folder / "ready").exists)

    def cover(self, *folders: str) -> None:
        """Lay a file system in memory over folders of this machine, inside: what is written there is not here."""
        for number, path in enumerate(folders):
            over = f"/run/over{number}"
            self.run("mkdir", "-p", f"{over}/upper", f"{over}/work")
            options = f"lowerdir={path},upperdir={over}/upper,workdir={over}/work"
            self.run("mount", "-t", "overlay", "overlay", "-o", options, path)
        self.run("mount", "--bind", str(self.folder / "cron.d"), "/etc/cron.d")
        self.run("mount", "--bind", str(self.folder / "crontab"), "/etc/crontab")

    def start(self, speed: int = 60) -> None:
        argv = self.argv("faketime", "-f", f"+0 x{speed}", "cron", "-f", "-L", "15")
        self._daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)

    def stop(self) -> None:
        super().stop()
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait(10)


class SystemdBox(Namespaced):
    """A box whose pid 1 is a real systemd, booted to nothing but its bus and its journal."""

    flags = (*Namespaced.flags, "--uts", "--cgroup")

    def __init__(self, folder: Path) -> None:
        self._group = _cgroups() / f"tried-{uuid.uuid4().hex[:8]}"
        self._group.mkdir()
        super().__init__(folder, BOOT)
        self._await(self._is_up)

    def before(self) -> None:
        (self._group / "cgroup.procs").write_text(str(os.getpid()))

    def _is_up(self) -> bool:
        assert self._unshare.poll() is None, self.said()
        if self.first() is None:
            return False
        return self.run("systemctl", "is-system-running", code=None).strip() in ("running", "degraded")

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            (self._group / "cgroup.kill").write_text("1")
        super().stop()
        wait_until(self._is_empty, 10)
        for path, _, _ in os.walk(self._group, topdown=False):
            Path(path).rmdir()

    def _is_empty(self) -> bool:
        return "populated 0" in (self._group / "cgroup.events").read_text()


def _cgroups() -> Path:
    """Where the version 2 hierarchy is mounted; raises LookupError."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            return Path(fields[4])
    raise LookupError("no cgroup v2 hierarchy is mounted")
