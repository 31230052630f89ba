"""The parts of what is told of one process, each read by one function: values by their keys in `ProcessDetail`.

Imported by `mltop process` alone, a child that can be abandoned: psutil is in no other process of mltop. Paths come
from the links of /proc themselves: psutil also asks the file behind a link, which hangs where that is on a dead mount.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import psutil

from mltop.model.process_detail import Kin, OpenFile, Socket
from mltop.sampling.host.entry import PAGE_BYTES, TICKS_PER_S
from mltop.sampling.host.proc_stat import parse_container, parse_stat
from mltop.sampling.root import Roots
from mltop.sampling.source import read_bytes
from mltop.system.text import clean

MOST_LISTED = 300
"""Files, sockets and children listed one by one; the counts are of all."""
_MOST_LINKS = 8192
_COMMAND_BYTES = 32_768
_COMMAND_LETTERS = 4096
_PATH_LETTERS = 1024
_VALUE_LETTERS = 200
_DELETED = " (deleted)"
TOLD = frozenset({
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
    "CUDA_MPS_PIPE_DIRECTORY", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES",
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT",
    "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE",
    "SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_JOB_PARTITION", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID",
    "SLURM_NTASKS", "SLURM_STEP_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_JOB_GPUS",
    "PBS_JOBID", "LSB_JOBID", "JOB_ID",
    "NCCL_DEBUG", "NCCL_SOCKET_IFNAME", "NCCL_IB_HCA", "NCCL_IB_DISABLE", "NCCL_P2P_DISABLE", "NCCL_ALGO",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF",
    "XLA_PYTHON_CLIENT_PREALLOCATE", "XLA_PYTHON_CLIENT_MEM_FRACTION", "TF_FORCE_GPU_ALLOW_GROWTH",
    "CONDA_DEFAULT_ENV", "VIRTUAL_ENV",
})  # fmt: skip
"""Variables that are shown; each by its whole name, for a rule would let a token through some day."""
_IO_CLASSES = {0: "none", 1: "real-time", 2: "best-effort", 3: "idle"}  # ioprio_set(2)
_STATES = {psutil.CONN_NONE: "", psutil.CONN_ESTABLISHED: "ESTAB"}
"""Of sockets, where ss(8) has another word than psutil."""
_KINDS = {"socket": "sockets", "pipe": "pipes"}
"""What links of descriptors that have no path begin with: proc_pid_fd(5)."""
_ORDER = ("files", "sockets", "pipes", "others")

Values = dict[str, Any]


class Seen(NamedTuple):
    """The process that is looked at."""

    roots: Roots
    process: psutil.Process
    pid: int

    @property
    def folder(self) -> str:
        """Its folder in procfs."""
        return f"{self.roots.proc}/{self.pid}"


class Part(NamedTuple):
    """One thing to read."""

    words: str
    """What it is, for "… does not answer"."""
    keys: tuple[str, ...]
    read: Callable[[Seen], Values]
    """Raises OSError, ValueError, LookupError, RuntimeError and psutil.Error."""
    is_guarded: bool = True
    """Not read of a process in state D: it could hang (M12)."""


def _command(seen: Seen) -> Values:
    words = read_bytes(f"{seen.folder}/cmdline", _COMMAND_BYTES).rstrip(b"\0 ").replace(b"\0", b" ")
    return {"command": clean(words, _COMMAND_LETTERS) or None}


def _executable(seen: Seen) -> Values:
    path = _link(f"{seen.folder}/exe")
    return {"executable": _shown(path.removesuffix(_DELETED)), "is_replaced": path.endswith(_DELETED)}


def _directory(seen: Seen) -> Values:
    return {"directory": _shown(_link(f"{seen.folder}/cwd"))}


def _groups(seen: Seen) -> Values:
    groups = os.fsdecode(read_bytes(f"{seen.folder}/cgroup", 1 << 16))
    paths = [line.split(":", 2)[-1] for line in groups.splitlines()]
    own = max(paths, key=len, default="")
    return {"container": parse_container(groups), "control_group": clean(own, _PATH_LETTERS) or None}


def _times(seen: Seen) -> Values:
    times = seen.process.cpu_times()
    return {"cpu_user_s": times.user, "cpu_system_s": times.system}


def _threads(seen: Seen) -> Values:
    switches = seen.process.num_ctx_switches()
    return {
        "threads": seen.process.num_threads(),
        "switches_voluntary": switches.voluntary,
        "switches_involuntary": switches.involuntary,
    }


def _priority(seen: Seen) -> Values:
    _require_here(seen)
    io = seen.process.ionice()
    name = _IO_CLASSES.get(int(io.ioclass), str(int(io.ioclass)))
    has_level = int(io.ioclass) in (1, 2)
    return {"nice": seen.process.nice(), "io_class": f"{name} {io.value}" if has_level else name}


def _affinity(seen: Seen) -> Values:
    _require_here(seen)
    cpus = sorted(seen.process.cpu_affinity() or ())
    return {"affinity": ranges(cpus) or None, "affinity_count": len(cpus)}


def _io(seen: Seen) -> Values:
    counters = seen.process.io_counters()
    return {"read_bytes": counters.read_bytes, "written_bytes": counters.write_bytes}


def _memory(seen: Seen) -> Values:
    memory = seen.process.memory_full_info()
    return {
        "uss_bytes": memory.uss,
        "pss_bytes": memory.pss,
        "swap_bytes": memory.swap,
        "shared_bytes": memory.shared,
    }


def _files(seen: Seen) -> Values:
    """Descriptors against the limit, and the paths behind them."""
    folder = f"{seen.folder}/fd"
    numbers = os.listdir(folder)  # noqa: PTH208 - speed
    found: Counter[str] = Counter()
    for number in numbers[:_MOST_LINKS]:
        try:
            found[_link(f"{folder}/{number}")] += 1
        except FileNotFoundError:
            continue  # closed meanwhile
        except OSError as fault:
            if isinstance(fault, PermissionError):
                raise
            found[f"/… ({fault.strerror})"] += 1  # a path may be longer than any that can be asked for
    listed = [OpenFile(path=_shown(path), count=count) for path, count in sorted(found.items()) if path[:1] == "/"]
    kinds: Counter[str] = Counter()
    for path, count in found.items():
        kinds["files" if path[:1] == "/" else _KINDS.get(path.partition(":")[0], "others")] += count
    return {
        "files_open": len(numbers),
        "files_limit": _limit(seen),
        "kinds": {kind: kinds[kind] for kind in _ORDER if kinds[kind]},
        "files": tuple(listed[:MOST_LISTED]),
    }


def _limit(seen: Seen) -> int | None:
    """The soft limit of open files; from the file, which everybody may read, unlike prlimit(2)."""
    for line in read_bytes(f"{seen.folder}/limits").splitlines():
        if line.startswith(b"Max open files"):
            soft = line.split()[3]
            return int(soft) if soft.isdigit() else None
    return None


def _sockets(seen: Seen) -> Values:
    if _link(f"{seen.folder}/ns/net") != _link(f"{seen.roots.proc}/self/ns/net"):
        raise LookupError(f"in a network namespace of its own: nsenter -t {seen.pid} -n ss -tulpn")
    found = [_socket(each) for each in seen.process.net_connections("inet")]
    found.sort(key=lambda each: (each.state != "LISTEN", bool(each.remote), each.kind, each.local))
    return {"sockets": tuple(found[:MOST_LISTED]), "sockets_count": len(found)}


def _socket(each: Any) -> Socket:
    return Socket(
        kind="tcp" if each.type == socket.SOCK_STREAM else "udp",
        local=_address(each.laddr),
        remote=_address(each.raddr),
        state=_STATES.get(each.status, each.status.replace("_", "-")),
    )


def _address(address: Any) -> str:
    if not address:
        return ""
    host = f"[{address.ip}]" if ":" in address.ip else address.ip
    return f"{host}:{address.port}"


def _environment(seen: Seen) -> Values:
    told = {name: value for name, value in seen.process.environ().items() if name in TOLD}
    return {"environment": {name: clean(told[name], _VALUE_LETTERS) for name in sorted(told)}}


def _children(seen: Seen) -> Values:
    """All that it started, from `stat` alone: psutil's `name` may read the command line."""
    found = seen.process.children(recursive=True)
    below: dict[int, list[int]] = {}
    lines: dict[int, Kin] = {}
    for child in found:
        try:
            stat = parse_stat(read_bytes(f"{seen.roots.proc}/{child.pid}/stat", 1024))
        except (OSError, ValueError, IndexError):
            continue  # it has just ended
        below.setdefault(stat.ppid, []).append(child.pid)
        lines[child.pid] = Kin(
            pid=child.pid,
            name=clean(stat.name, 64),
            state=stat.state,
            cpu_s=stat.cpu_ticks / TICKS_PER_S,
            rss_bytes=stat.rss_pages * PAGE_BYTES,
        )
    return {"children": tuple(_tree(seen.pid, below, lines))[:MOST_LISTED], "children_count": len(lines)}


def _tree(pid: int, below: Mapping[int, list[int]], lines: Mapping[int, Kin]) -> list[Kin]:
    """Parents before their children; what lost its parent meanwhile is left out."""
    ordered: list[Kin] = []
    waiting = [(child, 1) for child in sorted(below.get(pid, ()), reverse=True)]
    while waiting:
        child, depth = waiting.pop()
        ordered.append(msgspec.structs.replace(lines[child], depth=depth))
        waiting += [(next_one, depth + 1) for next_one in sorted(below.get(child, ()), reverse=True)]
    return ordered


def _require_here(seen: Seen) -> None:
    """Raise LookupError where the number means another process to a system call than it does in this procfs."""
    if str(seen.roots.proc) != "/proc":
        raise LookupError(f"only the box itself tells, not {seen.roots.proc}")


def ranges(numbers: list[int]) -> str:
    """Sorted numbers as taskset(1) has them: `0-3,8`."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def _link(path: str) -> str:
    return os.readlink(path)  # noqa: PTH115 - the file behind it is not to be asked


def _shown(path: str) -> str:
    return clean(path, _PATH_LETTERS)


PARTS: tuple[Part, ...] = (
    Part("times", ("cpu_user_s", "cpu_system_s"), _times, is_guarded=False),
    Part("threads", ("threads", "switches_voluntary", "switches_involuntary"), _threads, is_guarded=False),
    Part("priority", ("nice", "io_class"), _priority, is_guarded=False),
    Part("CPU affinity", ("affinity", "affinity_count"), _affinity, is_guarded=False),
    Part("control groups", ("container", "control_group"), _groups, is_guarded=False),
    Part("children", ("children", "children_count"), _children, is_guarded=False),
    Part("command line", ("command",), _command),
    Part("executable", ("executable", "is_replaced"), _executable),
    Part("working directory", ("directory",), _directory),
    Part("input and output", ("read_bytes", "written_bytes"), _io),
    Part("environment", ("environment",), _environment),
    Part("open files", ("files_open", "files_limit", "kinds", "files"), _files),
    Part("sockets", ("sockets", "sockets_count"), _sockets),
    Part("memory map", ("uss_bytes", "pss_bytes", "swap_bytes", "shared_bytes"), _memory),
)
"""In this order: what cannot hang first."""
