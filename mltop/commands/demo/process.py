"""What the demo tells of one of its processes on request: samples of a trainer's files, sockets and memory."""

from __future__ import annotations

from datetime import UTC, datetime

from mltop.commands.demo.box import snapshot
from mltop.commands.demo.gpu import GIB
from mltop.model.process_detail import Kin, OpenFile, ProcessDetail, Socket
from mltop.model.snapshot import Process, Status

_LIMIT = 1024


def detail(pid: int, at: float) -> ProcessDetail:
    """One reading, at seconds since the epoch."""
    time = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    process = next((one for one in snapshot(at).processes.top if one.pid == pid), None)
    if process is None:
        return ProcessDetail(pid=pid, time=time, status=Status.ABSENT, reason="it has ended")
    return _of_gpus(process, time) if process.gpus else _of_host(process, time)


def _of_host(process: Process, time: str) -> ProcessDetail:
    """One without a GPU, of somebody else: what a plain user may see."""
    refused = "not permitted: run mltop as root, or as the user it belongs to"
    keys = ("executable", "directory", "files_open", "sockets_count", "environment", "read_bytes", "written_bytes")
    return ProcessDetail(
        pid=process.pid,
        time=time,
        missing=dict.fromkeys((*keys, "uss_bytes", "swap_bytes"), refused),
        name=process.name,
        state=process.state,
        command=process.command,
        control_group=f"/system.slice/{process.name}.service",
        cpu_percent=process.cpu_percent,
        cpu_user_s=4120.0,
        cpu_system_s=310.0,
        threads=14,
        switches_voluntary=1_920_000,
        switches_involuntary=41_000,
        switches_voluntary_per_s=120.0,
        switches_involuntary_per_s=2.0,
        nice=0,
        io_class="none",
        affinity="0-95",
        affinity_count=96,
        rss_bytes=process.rss_bytes,
        children_count=0,
    )


def _of_gpus(process: Process, time: str) -> ProcessDetail:
    """One that trains or serves."""
    resident = process.rss_bytes or 0
    loaders = tuple(
        Kin(pid=process.pid + 1 + each, name="pt_data_worker", state="S", cpu_s=8120.0 + each, rss_bytes=int(1.7 * GIB))
        for each in range(4)
    )
    return ProcessDetail(
        pid=process.pid,
        time=time,
        name=process.name,
        state=process.state,
        command=process.command,
        executable="/opt/conda/envs/llm/bin/python3.11",
        is_replaced=False,
        directory="/data/runs/llama-70b",
        control_group=f"/slurm/uid_1001/job_88231/step_0/task_{process.gpus[0]}",
        cpu_percent=process.cpu_percent,
        cpu_user_s=802_000.0,
        cpu_system_s=41_000.0,
        threads=212,
        switches_voluntary=2_600_000_000,
        switches_involuntary=8_600_000,
        switches_voluntary_per_s=9400.0,
        switches_involuntary_per_s=31.0,
        nice=0,
        io_class="best-effort 4",
        affinity="0-47",
        affinity_count=48,
        rss_bytes=resident,
        uss_bytes=int(resident * 0.94),
        pss_bytes=int(resident * 0.96),
        swap_bytes=0,
        read_bytes=3940 * GIB,
        written_bytes=812 * GIB,
        read_bytes_per_s=1.1e9,
        written_bytes_per_s=2.4e5,
        files_open=463,
        files_limit=_LIMIT,
        kinds={"files": 88, "sockets": 204, "pipes": 96, "others": 75},
        files=(
            OpenFile(path="/data/runs/llama-70b/train.log"),
            OpenFile(path="/data/sets/tokens-0412.bin", count=4),
            *(OpenFile(path=f"/dev/nvidia{gpu}", count=6) for gpu in process.gpus),
            OpenFile(path="/dev/nvidia-uvm", count=2),
            OpenFile(path="/dev/nvidiactl", count=9),
        ),
        sockets=(
            Socket(kind="tcp", local="0.0.0.0:29500", state="LISTEN"),
            Socket(kind="tcp", local="10.0.4.7:51644", remote="10.0.4.2:443", state="ESTAB"),
        ),
        sockets_count=2,
        environment={
            "CUDA_VISIBLE_DEVICES": ",".join(map(str, process.gpus)),
            "LOCAL_RANK": "0",
            "RANK": "0",
            "SLURM_JOB_ID": "88231",
            "WORLD_SIZE": str(len(process.gpus)),
        },
        children=loaders,
        children_count=len(loaders),
    )
