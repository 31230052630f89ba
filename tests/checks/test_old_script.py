"""The bugs of the shell script that mltop replaces, each with the script's answer and ours (C15).

The usual kind of script: df, free, uptime, nvidia-smi in a loop, systemctl, bc, and a mail. Where a fragment of it is
cheap and always says the same, it runs; else its answer is in words. A row that cannot be a test here says why.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mltop.checks.judge import Memory, judgements
from mltop.checks.override import overridden
from mltop.checks.profile import PROFILES, limits_of
from mltop.checks.selection import select
from mltop.checks.service import unit
from mltop.checks.service.child import ask
from mltop.checks.verdict import results, verdict
from mltop.config.limits import Limits, parse_limit
from mltop.config.service import Http, Postgres, Redis
from mltop.model.finding import Level
from mltop.model.gpu_facts import GpuFacts
from mltop.model.snapshot import Cpu, Disk, Driver, Snapshot, Status
from mltop.model.snapshot import Memory as Ram
from mltop.model.surroundings import Gap, Surroundings
from mltop.model.verdict import Verdict
from mltop.reports import human, nagios, prometheus
from mltop.reports import json as document
from mltop.sampling.host.disk import measured
from mltop.sampling.host.mount import parse, shown

GIB = 1 << 30
Row = Callable[..., None]

NOT_HERE = {
    12: ("integration/test_check.py", "test_a_mount_that_hangs_is_told_and_leaves_one_child_after_many_runs"),
    24: ("commands/test_check.py", "test_a_driver_that_hangs_ends_the_run_in_its_time"),
}
"""Where the script hangs for good: ours is tried elsewhere, with FUSE and with the fake driver."""
NOT_BUILT = {
    35: "a mail on every run",
    36: "no word of a recovery",
    37: "it flaps at 85.0 and 84.9",
    38: "no escalation",
    39: "`mail` is missing and nobody knows",
    40: "the mail's queue is on the full disk",
    41: "no dead man's switch",
    42: "runs overlap and alerts come twice",
    43: "a literal \\n in the mail",
    44: "a subject of unclean text",
    45: "its own log fills the disk",
    46: "eight hot GPUs are eight mails",
}
"""Rows about telling somebody (`--check --notify`): that is not built yet, and not covered here."""
ROWS: dict[int, Row] = {}


def row(number: int) -> Callable[[Row], Row]:
    def add(test: Row) -> Row:
        ROWS[number] = test
        return test

    return add


def bash(fragment: str, *words: str) -> tuple[int, str]:
    """A fragment of the script: its code and what it printed."""
    done = subprocess.run(
        ["bash", "-c", fragment, "bash", *words],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=10, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout.strip()


def judged(snapshot: Snapshot, limits: Limits | None = None, profile: str = "default", **here: Any) -> Verdict:
    chosen, selection = PROFILES[profile], select()
    values = {"mounts": frozenset({"/", "/data"}), "driver_s": 0.1, **here}
    found = judgements(snapshot, limits_of(chosen, limits or Limits()), None, Surroundings(**values))
    made = results(found, selection, snapshot)
    return verdict(made, selection, snapshot, profile_name=profile, profile=chosen, duration_s=0.1)


def states(made: Verdict, check: str) -> dict[str, str]:
    return {one.target_name: str(one.state) for one in made.results if one.check == check}


def disk(mount: str, percent: float, total_gib: float, **changes: Any) -> Disk:
    free = int(total_gib * (100 - percent) / 100 * GIB)
    values = {"mount": mount, "fstype": "ext4", "used_percent": percent, "available_bytes": free, "is_readonly": False}
    return Disk(**values | changes)


def mounts(*lines: str) -> list[str]:
    text = "".join(f"{27 + number} 1 {line}\n" for number, line in enumerate(lines))
    return [mount.path for mount in shown(parse(text.encode()))]


@contextlib.contextmanager
def server(reply: bytes | None) -> Iterator[int]:
    """A server on loopback that says the same to everybody, or nothing at all; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                kept.append(connection)
                if reply is not None:
                    connection.recv(4096)
                    connection.sendall(reply)
                    connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in kept:
            connection.close()
        thread.join(5)


# --- wrong measurements


@row(1)
def alerts_that_are_raised_in_a_pipe_are_lost(make: Any) -> None:
    script = "alerts=(); printf '0, 97\\n' | while IFS=', ' read -r i t; do ((t > 85)) && alerts+=($i); done; "
    assert bash(script + "echo ${#alerts[@]}") == (0, "0")
    made = judged(make(gpus={0: {"temperature_c": 97}}))
    assert (states(made, "gpu.temp")["GPU 0"], made.exit_code) == ("CRITICAL", 2)


@row(2)
def bc_without_a_scale_cannot_tell_100_percent_from_199(make: Any) -> None:
    assert [bash(f"echo '{load} / 96 * 100' | bc")[1] for load in (95.9, 96.1, 191)] == ["0", "100", "100"]
    for load, percent, state in (
        (7.0, 7.292, "OK"),
        (95.9, 99.896, "OK"),
        (191.0, 198.958, "OK"),
        (193.0, 201.042, "WARNING"),
    ):
        made = judged(make(cpu=Cpu(count=96, load=(0.0, 0.0, load), age_s=0.0)))
        (one,) = [one for one in made.results if one.check == "cpu.load"]
        assert (one.value, one.state) == (percent, state)


@row(3)
def a_fraction_is_no_number_to_a_shell_and_so_all_is_well(make: Any) -> None:
    assert bash('[ 97.5 -gt 80 ] && echo alert; [ 97.5 -gt 80 ]; echo "code $?"') == (0, "code 2")
    assert states(judged(make(disks=(disk("/", 97.5, 100),))), "disk.space") == {"/": "CRITICAL"}


@row(4)
def what_the_driver_does_not_tell_is_well(make: Any) -> None:
    for word in ("[N/A]", "ERR!", ""):
        assert bash('[ "$1" -gt 85 ] && echo alert; (( $1 > 85 )) && echo alert; true', word) == (0, "")
    gaps = {"GPU-2": {"temperature": Gap(Status.ERROR, "unknown error")}}
    made = judged(make(gpus={2: {"temperature_c": None}}), gaps=gaps)
    assert (states(made, "gpu.temp")["GPU 2"], made.exit_code) == ("UNKNOWN", 3)


@row(5)
def a_number_with_its_unit_is_compared_as_a_text(make: Any) -> None:
    assert bash("echo '0, 100 %' | awk -F', ' '$2 > 95 {print \"alert\"}'") == (0, "")
    limits = Limits({"gpu.mem": parse_limit("gpu.mem", 95)})
    made = judged(make(gpus={0: {"memory_used_bytes": 80 * GIB}}), limits)
    assert states(made, "gpu.mem")["GPU 0"] == "WARNING"


@row(6)
def a_tool_that_is_not_in_crons_path_is_well() -> None:
    assert bash('PATH=; v=$(nvidia-smi); [ "$v" -gt 85 ] && echo alert; echo end') == (0, "end")
    command = [sys.executable, "-m", "mltop", "--check", "--no-state", "--json", "--only", "disk.space,mem.available"]
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {"PATH": "", "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=30, check=False)
    told = json.loads(done.stdout)["results"]
    assert {one["check"] for one in told if one["value"] is not None} == {"disk.space", "mem.available"}


@row(7)
def what_is_reserved_for_root_counts_as_free() -> None:
    # 100 blocks, 85 used, 5 of the 15 others reserved: used / total is 85 %, and a user has 10 left of 95
    assert bash("echo $((100 * 85 / 100))") == (0, "85")
    one = measured((4096, 100, 15, 10, 100, 50, False))
    assert round(one.used_percent or 0, 1) == 89.5


@row(8)
def an_image_that_is_always_full_alerts_for_ever() -> None:
    df = "/dev/loop0 64 64 0 100% /snap/core/1\n"
    assert bash("printf '%s' \"$1\" | grep ^/dev/ | awk '$5 + 0 > 85 {print $6}'", df) == (0, "/snap/core/1")
    assert mounts(
        "8:1 / / rw - ext4 /dev/sda1 rw",
        "7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro",
        "7:1 / /media/cd ro - iso9660 /dev/loop1 ro",
        "7:2 / /mnt/cd ro - iso9660 /dev/sr0 ro",
    ) == ["/"]


@row(9)
def what_is_no_dev_path_is_not_looked_at() -> None:
    df = "tank/data 1 1 0 99% /tank\nnas:/x 1 1 0 99% /nfs\ntmpfs 1 1 0 99% /dev/shm\n"
    assert bash("printf '%s' \"$1\" | grep -c ^/dev/", df) == (1, "0")
    assert mounts(
        "8:1 / / rw - ext4 /dev/sda1 rw",
        "0:40 / /tank rw - zfs tank/data rw",
        "0:41 / /nfs rw - nfs4 nas:/x rw",
        "0:42 / /lustre rw - lustre ost@tcp:/x rw",
        "0:43 / /dev/shm rw - tmpfs tmpfs rw",
    ) == ["/", "/dev/shm", "/lustre", "/nfs", "/tank"]


@row(10)
def one_file_system_alerts_at_each_place_where_it_is_mounted() -> None:
    df = "/dev/sda1 1 1 0 90% /\n/dev/sda1 1 1 0 90% /srv/bind\n"
    assert bash("printf '%s' \"$1\" | grep -c '^/dev/.*90%'", df) == (0, "2")
    assert mounts("8:1 / / rw - ext4 /dev/sda1 rw", "8:1 /srv /srv/bind rw - ext4 /dev/sda1 rw") == ["/"]


@row(11)
def a_long_device_or_a_blank_shifts_the_columns() -> None:
    wrapped = "/dev/mapper/a-very-long-volume-group\n            100  99  1  99% /data\n"
    assert bash("printf '%s' \"$1\" | grep ^/dev/ | awk '$5 + 0 > 85 {print $6}'", wrapped) == (0, "")
    assert bash("echo '/dev/sda1 100 99 1 99% /mnt/my data' | awk '{print $6}'") == (0, "/mnt/my")
    assert mounts("8:1 / / rw - ext4 /dev/sda1 rw", "8:2 / /mnt/my\\040data rw - xfs /dev/sdb1 rw") == [
        "/",
        "/mnt/my data",
    ]


@row(13)
def inodes_a_mount_that_is_read_only_or_gone_are_not_looked_at(make: Any) -> None:
    sick = (disk("/", 40, 100, inodes_used_percent=98.0), disk("/data", 40, 100, is_readonly=True))
    made = judged(make(disks=sick), Limits(mounts=("/models",)))
    assert states(made, "disk.inodes")["/"] == "CRITICAL"
    assert states(made, "disk.readonly")["/data"] in ("WARNING", "CRITICAL")
    assert states(made, "disk.mount_missing") == {"/models": "CRITICAL"}


@row(14)
def percent_alone_is_alarm_at_4_terabytes_free(make: Any) -> None:
    made = judged(make(disks=(disk("/", 50, 400), disk("/boot", 86, 20), disk("/data", 86, 30_000))))
    assert states(made, "disk.space") == {"/": "OK", "/boot": "WARNING", "/data": "OK"}


@row(15)
def used_memory_is_not_what_is_missing(make: Any) -> None:
    free = "Mem: 100 96 2 0 2 60\n"  # total used free shared cache available: a cache that counts as used
    assert bash('echo "$1" | awk \'/^Mem:/ {if (100 * $3 / $2 > 90) print "alert"}\'', free) == (0, "alert")
    ram = Ram(total_bytes=100 * GIB, used_bytes=96 * GIB, available_bytes=60 * GIB, psi_some_avg10=0.0, age_s=0.0)
    assert states(judged(make(memory=ram)), "mem.available") == {"memory": "OK"}


@row(16)
def a_box_that_trains_is_overloaded_by_design(make: Any) -> None:
    busy = make(cpu=Cpu(count=96, load=(90.0, 90.0, 90.0), psi_some_avg10=5.0, throttled=False, age_s=0.0))
    assert states(judged(busy, profile="seed"), "cpu.load") == {"CPU": "WARNING"}  # the script's limit
    assert states(judged(busy), "cpu.load") == {"CPU": "OK"}


@row(17)
def gpu_memory_that_a_server_reserved_alerts_for_ever(make: Any) -> None:
    held = make(gpus={0: {"memory_used_bytes": 78 * GIB}})
    assert states(judged(held, profile="seed"), "gpu.mem")["GPU 0"] == "WARNING"
    made = judged(held)
    assert (states(made, "gpu.mem")["GPU 0"], made.exit_code) == ("SKIP", 0)


@row(18)
def one_temperature_for_all_cards_is_too_late_for_some_and_too_early_for_others(make: Any) -> None:
    fits = {
        0: {"temperature_c": 84, "temperature_slowdown_c": 87},
        1: {"temperature_c": 88, "temperature_slowdown_c": 105},
    }
    made = judged(make(gpus=fits))
    assert [bash("(( $1 > 85 )) && echo alert; true", str(celsius))[1] for celsius in (84, 88)] == ["", "alert"]
    assert [states(made, "gpu.temp")[f"GPU {index}"] for index in (0, 1)] == ["WARNING", "OK"]


@row(19)
def a_slowdown_between_two_samples_never_was(make: Any) -> None:
    memory, levels = Memory(), []
    for at, slowed_s in ((1000.0, 5.0), (4600.0, 905.0)):  # cool in both moments, and slow for a quarter of the hour
        here = Surroundings(
            driver_s=0.1, gpus={"GPU-0": GpuFacts(slowed_down_s={"thermal": slowed_s, "hw-thermal": slowed_s})}
        )
        found = judgements(make(1, uptime_s=at), Limits(), memory, here, ("gpu",))
        levels += [one.level for one in found if one.check == "gpu.throttle"]
    assert levels == [Level.OK, Level.CRITICAL]


@row(20)
def a_count_of_its_whole_life_is_held_against_a_card_for_ever(make: Any) -> None:
    old = {"ecc_uncorrected_volatile": 0, "ecc_uncorrected_aggregate": 3, "xid_last": 79, "xid_last_age_s": 3 * 86400.0}
    made = judged(make(gpus={0: old, 1: {"ecc_uncorrected_volatile": 3, "ecc_uncorrected_aggregate": 3}}))
    found = states(made, "gpu.ecc_uncorrected")
    assert (found["GPU 0"], found["GPU 1"]) == ("WARNING", "CRITICAL")
    assert states(made, "gpu.xid")["GPU 0"] == "OK"


@row(21)
def a_card_in_mig_mode_has_no_utilization_and_so_is_well(make: Any) -> None:
    assert bash('[ "[N/A]" -gt 95 ] && echo alert; true') == (0, "")
    made = judged(make(gpus={0: {"mig_mode": True, "utilization_percent": None, "remap_failed": True}}))
    assert (states(made, "gpu.row_remap")["GPU 0"], made.counts.unknown) == ("CRITICAL", 0)


@row(22)
def a_card_that_fell_off_the_bus_has_no_line(make: Any) -> None:
    assert bash("printf '0, 60\\n' | while IFS=', ' read -r i t; do ((t > 85)) && echo alert; done; true") == (0, "")
    made = judged(make(7, driver=Driver(status=Status.OK, gpu_count=7, pci_count=7, expected_count=8, age_s=0.0)))
    assert (list(states(made, "gpu.count").values()), made.exit_code) == (["CRITICAL"], 2)


@row(23)
def a_driver_that_does_not_start_makes_no_round_of_the_loop(make: Any) -> None:
    assert bash("false | while read -r line; do echo alert; done") == (0, "")
    made = judged(make(0, driver=Driver(status=Status.ERROR, reason="driver/library version mismatch", pci_count=8)))
    assert (states(made, "gpu.driver"), made.exit_code) == ({"driver": "CRITICAL"}, 2)


UNIT = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}
NO_UNIT = {"LoadState": "not-found", "ActiveState": "inactive"}


@row(25)
def ssh_that_waits_for_its_socket_is_critical() -> None:
    script = 'is_active() { echo inactive; return 3; }; [ "$(is_active ssh)" = active ] || echo CRITICAL'
    assert bash(script) == (0, "CRITICAL")
    service = {**UNIT, "Id": "ssh.service", "ActiveState": "inactive", "TriggeredBy": "ssh.socket"}
    ubuntu = {"ssh.service": service, "sshd.service": NO_UNIT, "ssh.socket": {**UNIT, "Id": "ssh.socket"}}
    red_hat = {"ssh.service": NO_UNIT, "sshd.service": {**UNIT, "Id": "sshd.service"}}
    assert unit.judge("ssh", ubuntu, "asked", 1000.0).level is Level.OK
    assert unit.judge("ssh", red_hat, "asked", 1000.0).level is Level.OK


@row(26)
def failed_starting_masked_and_not_installed_are_one_word() -> None:
    script = 'for s in failed activating inactive unknown; do [ $s = active ] || echo -n "not active,"; done'
    assert bash(script) == (0, "not active," * 4)
    kinds = (
        {**UNIT, "ActiveState": "failed"}, {**UNIT, "ActiveState": "activating", "StateChangeTimestampMonotonic": "1"},
        {**UNIT, "ActiveState": "inactive", "LoadState": "masked"}, NO_UNIT,
    )  # fmt: skip
    told = [unit.judge("x", {"x.service": kind}, "asked", 1000.0) for kind in kinds]
    assert [one.reason for one in told] == ["failed", "starting", "masked", "absent"]
    assert [one.level for one in told] == [Level.CRITICAL, Level.WARNING, Level.CRITICAL, Level.UNKNOWN]


@row(27)
def an_api_that_answers_200_and_never_generates_is_well() -> None:
    """`curl -s -o /dev/null -w '%{http_code}'` has 200, and no `--max-time`; the whole story is an integration test."""
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as port:
        url = f"http://127.0.0.1:{port}/health"
        assert ask("api", Http(name="a", url=url, level=2)).level is Level.OK
        assert ask("api", Http(name="a", url=url, level=4, model="m", timeout="1s")).level is Level.CRITICAL
    with server(None) as port:
        late = ask("api", Http(name="a", url=f"http://127.0.0.1:{port}/health", timeout="0.2s"))
        assert (late.level, late.reason) == (Level.CRITICAL, "timeout")


@row(28)
def redis_that_refuses_or_loads_is_up() -> None:
    """`redis-cli ping` prints the refusal and returns 0; with `-a` the password is in every `ps`."""
    answers = []
    for reply in (b"-NOAUTH Authentication required.\r\n", b"-LOADING loading the dataset\r\n"):
        with server(reply) as port:
            answers.append(ask("redis", Redis(name="r", port=port)).level)
    assert answers == [Level.UNKNOWN, Level.WARNING]


@row(29)
def postgres_that_starts_up_refuses_or_is_gone_is_one_thing() -> None:
    """`psql` may ask for a password and wait; the codes 1, 2 and 3 of `pg_isready` are all just not 0."""
    body = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"
    with server(b"E" + (4 + len(body)).to_bytes(4, "big") + body) as port:
        assert ask("pg", Postgres(name="p", port=port)).level is Level.WARNING
    with server(None) as port:
        late = ask("pg", Postgres(name="p", port=port, timeout="0.2s"))
    gone = ask("pg", Postgres(name="p", port=port, timeout="1s"))
    assert [(one.level, one.reason) for one in (late, gone)] == [(Level.CRITICAL, "timeout"), (Level.CRITICAL, "down")]


# --- severity and exit


@row(30)
def only_a_service_can_be_critical(make: Any) -> None:
    full = make(disks=(disk("/", 100, 100),))
    assert judged(full, profile="seed").exit_code == 0  # the script's exit rule, kept for who asks for it
    assert judged(full).exit_code == 2


@row(31)
def one_is_a_warning_to_every_monitoring_server(make: Any) -> None:
    lost = make(gpus={3: {"status": Status.LOST}})
    assert judged(lost, profile="seed").exit_code == 1
    assert judged(lost).exit_code == 2


@row(32)
def what_could_not_be_measured_is_well(make: Any) -> None:
    assert bash('v=$(false); [ "$v" -gt 90 ] && exit 1; exit 0')[0] == 0
    made = judged(make(memory=Ram(status=Status.ERROR, reason="/proc/meminfo: Input/output error")))
    assert (states(made, "mem.available"), made.exit_code) == ({"memory": "UNKNOWN"}, 3)


@row(33)
def the_first_service_that_is_down_ends_the_script_before_its_mail() -> None:
    script = "is_active() { return 3; }; is_active docker; is_active ssh; echo mail"
    assert bash(f"set -e; {script}") == (3, "")
    down = {**UNIT, "ActiveState": "failed"}
    told = [unit.judge(name, {f"{name}.service": down}, "asked", 1000.0) for name in ("docker", "mlflow")]
    assert [one.level for one in told] == [Level.CRITICAL] * 2


@row(34)
def no_program_can_read_it(make: Any) -> None:
    made = judged(make(gpus={3: {"status": Status.LOST}}))
    assert json.loads(document.text(made))["results"][0]["reason"] == "lost"
    assert nagios.text(made).startswith("MLTOP CRITICAL - GPU 3 lost")
    assert 'mltop_check_severity{check="gpu.count",target="GPU-3"} 2' in prometheus.text(made)
    assert human.text(made).splitlines()[-1].startswith("mltop CRITICAL: 1 critical")


@row(47)
def its_limits_cannot_be_tried_without_the_hardware(make: Any) -> None:
    limits = overridden(Limits(), ["gpu.temp=50"], ["gpu.temp=60"])
    assert states(judged(make(), limits), "gpu.temp")["GPU 0"] == "CRITICAL"  # and MLTOP_SYSFS, MLTOP_KMSG, a fake NVML


@pytest.mark.parametrize("number", sorted(ROWS), ids=lambda number: f"{number}-{ROWS[number].__name__}")
def test_row(number: int, request: pytest.FixtureRequest) -> None:
    test = ROWS[number]
    test(
        *([request.getfixturevalue("make")] if "make" in test.__code__.co_varnames[: test.__code__.co_argcount] else [])
    )


def test_every_row_is_a_test_or_says_why_not() -> None:
    assert sorted([*ROWS, *NOT_HERE, *NOT_BUILT]) == list(range(1, 48))
    for path, name in NOT_HERE.values():
        assert re.search(rf"def {name}\(", (Path(__file__).parents[1] / path).read_text())
