"""`mltop run` as a scheduler calls it: real processes, to their ends and past them."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import assert_within
from run_box import FALLBACK_S, Box, sh, wait_until

from mltop.jobs import moment
from mltop.jobs.history.history import History
from mltop.jobs.runner import alive
from mltop.model.job import Run, RunState


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    found = Box(tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("words", "code", "state", "number", "reason", "said"),
    [
        (sh("exit 0"), 0, "ok", None, None, ""),
        (sh("echo out; echo err >&2; exit 3"), 3, "failed", None, None, ""),
        (sh("exit 124"), 124, "failed", None, None, ""),
        (sh("exit 75"), 75, "failed", None, None, ""),
        (sh("kill -TERM $$"), 143, "failed", 15, "killed by SIGTERM", ""),
        (sh("kill -KILL $$"), 137, "failed", 9, "killed by SIGKILL", ""),
        (("--timeout", "0.2s", *sh("sleep 60")), 124, "timeout", 15, "wrapper timeout (0.2 s)", ""),
        (("--", "no-such-program"), 127, "failed", None, "no-such-program: command not found", "command not found"),
        (("--", "/etc/passwd"), 126, "failed", None, "/etc/passwd: Permission denied", "Permission denied"),
        (("--", "/"), 126, "failed", None, "/: Permission denied", "Permission denied"),
    ],
)
def test_exit_codes(
    box: Box, words: tuple[str, ...], code: int, state: str, number: int | None, reason: str | None, said: str
) -> None:
    got, out, err = box.run("--id", "job", *words)
    run = box.last()
    assert (got, out) == (code, "")
    assert (said in err) if said else err == ""
    assert len(err.splitlines()) == (1 if said else 0)
    assert (run.job, run.state, run.exit_code, run.signal, run.reason) == ("job", state, code, number, reason)
    assert run.trigger == "schedule"
    assert run.ended_at is not None
    assert run.duration_s is not None


def test_the_log_has_all_output_between_a_first_and_a_last_line(box: Box) -> None:
    box.run("--id", "job", *sh("echo one; echo two >&2; printf three; exit 4"))
    run = box.last()
    first, *output, last = box.log().splitlines()
    assert first == f"# mltop run {run.id} job job trigger schedule at {run.started_at} on {run.host}"
    assert output == ["one", "two", "three"]
    assert last.startswith("# mltop end failed code 4 after 0.")
    assert run.last_error_line == "three"
    assert run.log_bytes == len(box.log())
    assert run.max_rss_bytes is not None
    assert run.max_rss_bytes > 100_000


@pytest.mark.parametrize(
    "words",
    [(), ("job", "--", "true"), ("--id", "Not An Id", "--", "true"), ("--timeout", "soon", "--", "true"), ("--",)],
)
def test_wrong_usage_is_the_wrappers_own_code(box: Box, words: tuple[str, ...]) -> None:
    code, out, err = box.run(*words)
    assert (code, out) == (125, "")
    assert err.startswith("mltop run: ")
    assert len(err.splitlines()) == 1
    assert not box.state.exists()


def test_a_command_without_an_id_has_one_of_its_own(box: Box) -> None:
    box.run("--", "true", "a")
    box.run("--", "true", "b")
    box.run("--", "true", "a")
    jobs = [run.job for run in History(box.state).runs()]
    assert jobs[0] == jobs[2] != jobs[1]
    assert all(job.startswith("true-") for job in jobs)


def test_a_timeout_ends_the_whole_family(box: Box) -> None:
    box.write(
        '[jobs.family]\nkind = "command"\ntimeout = "1s"\nkill_grace = "0.2s"\n'
        "command = \"trap '' TERM; setsid sh -c 'trap \\\"\\\" TERM; sleep 61 & sleep 60' & sleep 62\"\n"
    )
    began = time.monotonic()
    code, _, _ = box.run("family")
    assert (code, box.last().state, box.last().signal) == (124, "timeout", 9)
    assert_within(5, began)
    assert alive.of_run(box.last().id) == []


def test_the_end_does_not_wait_for_what_keeps_the_output_open(box: Box) -> None:
    began = time.monotonic()
    code, _, _ = box.run("--id", "job", *sh("sleep 60 & echo $!; echo last words"))
    spent_s = time.monotonic() - began
    run = box.last()
    assert (code, run.state) == (0, "ok")
    assert run.duration_s is not None
    assert run.duration_s < spent_s < 20  # of 60
    assert "last words" in box.log()
    (survivor,) = alive.of_run(run.id)
    assert run.reason == f"left running: {survivor} (sleep)"
    assert box.run("--id", "job", *sh("exit 0"))[0] == 0  # it does not block the next run
    os.kill(survivor, signal.SIGKILL)


@pytest.mark.parametrize("name", ["mltop-probe", "mltop-m-0123456"])
def test_what_mltop_itself_gave_up_is_no_survivor(box: Box, name: str) -> None:
    stuck = f"open('/proc/self/comm', 'w').write('{name}'); print('named', flush=True); import time; time.sleep(60)"
    code, _, _ = box.run("--id", "job", *sh(f'{{ {sys.executable} -c "{stuck}" & }} | head -n 1'))
    run = box.last()
    assert (code, run.state, run.reason) == (0, "ok", None)
    assert [alive.name(pid) for pid in alive.of_run(run.id)] == [name]


def test_all_output_of_the_job_itself_is_there(box: Box) -> None:
    box.run("--id", "job", *sh("seq 1 200000"))
    lines = box.log().splitlines()[1:-1]
    assert lines == [str(number) for number in range(1, 200_001)]


def test_a_log_is_capped(box: Box) -> None:
    box.write('[jobs.long]\nkind = "command"\nlog_max = "64KiB"\ncommand = "seq 1 200000"\n')
    assert box.run("long")[0] == 0
    log = box.log()
    assert len(log) < 66_000
    assert "\n200000\n# mltop end ok" in log
    assert log.count("# mltop cut: ") == 1
    assert box.last().log_bytes == len(log)


def test_two_at_once_are_one(box: Box) -> None:
    first = box.start("--id", "job", *sh(f"while [ ! -e {box.folder}/go ]; do sleep 0.05; done"))
    (running,) = box.running()
    code, out, err = box.run("--id", "job", *sh("exit 0"))
    assert (code, out, err) == (75, "", "")
    skipped = box.last()
    assert (skipped.state, skipped.reason, skipped.log_path) == ("skipped", f"overlap with {running.id}", None)
    (box.folder / "go").touch()
    assert first.wait(FALLBACK_S) == 0
    assert box.run("--id", "job", *sh("exit 0"))[0] == 0


LONG = 'kind = "command"\ncommand = "while [ ! -e {go} ]; do sleep 0.02; done"\n'


def overlapping(box: Box, policy: str) -> subprocess.Popen[bytes]:
    box.write(f'[jobs.job]\non_overlap = "{policy}"\nkill_grace = "1s"\n' + LONG.format(go=box.folder / "go"))
    first = box.start("job")
    box.running()
    return first


def test_overlap_wait_gives_up_in_time(box: Box) -> None:
    overlapping(box, "wait:1s")
    began = time.monotonic()
    assert box.run("job")[0] == 75
    assert time.monotonic() - began >= 1


def test_overlap_queue_holds_one(box: Box) -> None:
    overlapping(box, "queue")
    queue = box.state / "locks" / "job.queue"
    second = box.start("job")
    wait_until(lambda: queue.exists() and _is_held(queue), "a queue")
    assert box.run("job")[0] == 75
    (box.folder / "go").touch()
    assert second.wait(FALLBACK_S) == 0
    states = sorted(run.state.value for run in History(box.state).runs())
    assert states == ["ok", "ok", "skipped"]


def _is_held(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_overlap_replace_ends_the_other(box: Box) -> None:
    first = overlapping(box, "replace")
    second = box.start("job")
    assert first.wait(FALLBACK_S) == 143
    (box.folder / "go").touch()
    assert second.wait(FALLBACK_S) == 0
    assert [run.state.value for run in History(box.state).runs()] == ["ok", "aborted"]


def test_of_many_that_replace_each_other_the_last_is_left(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\non_overlap = "replace"\nkill_grace = "1s"\ncommand = "sleep 60"\n')
    first = box.start("job")
    box.running()
    others = [box.start("job") for _ in range(4)]
    wait_until(lambda: sum(one.poll() is None for one in (first, *others)) == 1, "the last one")
    (left,) = (one for one in (first, *others) if one.poll() is None)
    wait_until(lambda: [run.state.value for run in History(box.state).runs()].count("running") == 1, "its row")
    states = [run.state.value for run in History(box.state).runs()]
    assert set(states) <= {"running", "aborted", "skipped"}
    assert len(states) == 5
    assert all(one.returncode in (75, 143) for one in (first, *others) if one is not left)
    assert first is not left


def test_overlap_allow_runs_both(box: Box) -> None:
    first = overlapping(box, "allow")
    second = box.start("job")
    box.running(2)
    (box.folder / "go").touch()
    assert (first.wait(FALLBACK_S), second.wait(FALLBACK_S)) == (0, 0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_to_the_wrapper_ends_the_run(box: Box, number: int, code: int) -> None:
    process = box.start("--id", "job", *sh("sleep 60"))
    (run,) = box.running()
    process.send_signal(number)
    assert process.wait(FALLBACK_S) == code
    ended = box.last()
    assert (ended.state, ended.exit_code, ended.reason) == ("aborted", code, f"ended by {signal.Signals(number).name}")
    assert alive.of_run(run.id) == []


def test_a_second_signal_does_not_wait_for_the_grace(box: Box) -> None:
    process = box.start("--id", "job", *sh("trap 'echo got it' TERM; while :; do sleep 0.05; done"))
    (run,) = box.running()
    assert run.log_path is not None
    wait_until(lambda: "sleep" in map(alive.name, alive.of_run(run.id)), "the trap")
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: "got it" in Path(run.log_path or "").read_text(), "the TERM")
    process.send_signal(signal.SIGTERM)
    assert process.wait(FALLBACK_S) == 143


def test_a_killed_wrapper_takes_the_job_along_and_is_lost(box: Box) -> None:
    process = box.start("--id", "job", *sh("sleep 60 & sleep 61; exit 1"))
    (run,) = box.running()
    wait_until(lambda: len(alive.of_run(run.id)) == 3, "the family")
    process.kill()
    process.wait()
    wait_until(lambda: "sh" not in map(alive.name, alive.of_run(run.id)), "the end of the job itself")
    lost = box.last()
    assert lost.state is RunState.LOST
    assert lost.reason is not None
    assert lost.reason.startswith("its wrapper was killed; still running: ")
    assert lost.reason.count("(sleep)") == 2
    assert box.run("--id", "job", *sh("exit 0"))[0] == 0


def test_a_killed_job_is_failed(box: Box) -> None:
    process = box.start("--id", "job", "--", "sleep", "60")
    (run,) = box.running()
    (pid,) = alive.of_run(run.id)
    os.kill(pid, signal.SIGKILL)
    assert process.wait(FALLBACK_S) == 137
    assert box.last().reason == "killed by SIGKILL"


def test_wrapper_and_job_killed_together_are_lost(box: Box) -> None:
    process = box.start("--id", "job", "--", "sleep", "60")
    (run,) = box.running()
    (pid,) = alive.of_run(run.id)
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()
    assert (box.last().state, box.last().reason) == ("lost", "its wrapper was killed")


def test_a_stopped_job_is_ended_too(box: Box) -> None:
    assert box.run("--id", "job", "--timeout", "0.3s", *sh("kill -STOP $$"))[0] == 124
    assert box.last().signal == signal.SIGTERM


def test_retries_share_one_run_and_stop_at_the_first_success(box: Box) -> None:
    box.write(
        '[jobs.job]\nkind = "command"\nretries = 3\nretry_wait = "0.1s"\n'
        'command = "echo try $MLTOP_ATTEMPT; test $MLTOP_ATTEMPT = 3"\n'
    )
    assert box.run("job")[0] == 0
    (run,) = History(box.state).runs()
    assert (run.state, run.reason) == ("ok", "attempt 3")
    assert [line for line in box.log().splitlines() if line.startswith("try")] == ["try 1", "try 2", "try 3"]


def test_retries_end_with_the_last_failure(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\nretries = 1\nretry_wait = "0.1s"\ncommand = "exit 9"\n')
    assert box.run("job")[0] == 9
    assert (box.last().state, box.last().reason) == ("failed", "attempt 2")


@pytest.mark.parametrize(
    ("command", "code", "attempts", "said"),
    [
        ('"exit 125"', 125, 2, ""),  # the command's own
        ('"exit 126"', 126, 2, ""),
        ('["no-such-program"]', 127, 2, "mltop run: no-such-program: command not found\n"),
        ('"true"\nworkdir = "/no/such"', 125, 1, "mltop run: workdir /no/such: No such file or directory\n"),
    ],
)
def test_what_the_command_says_is_tried_again_and_said_once(
    box: Box, command: str, code: int, attempts: int, said: str
) -> None:
    box.write(f'[jobs.job]\nkind = "command"\nretries = 1\nretry_wait = "0s"\ncommand = {command}\n')
    assert box.run("job") == (code, "", said)
    assert ("attempt 2" in (box.last().reason or "")) == (attempts == 2)


def test_waits_between_attempts_double(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\nretries = 2\nretry_wait = "0.1s"\ncommand = "exit 9"\n')
    began = time.monotonic()
    assert box.run("job")[0] == 9
    assert time.monotonic() - began > 0.3
    waits = [line.rpartition("again in ")[2] for line in box.log().splitlines() if "again in" in line]
    assert waits == ["0.1 s", "0.2 s"]


def test_a_soft_failure_counts_as_neither(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\nsoft_fail = [75]\ncommand = "exit 75"\n')
    assert box.run("job")[0] == 75
    assert (box.last().state, box.last().reason) == ("skipped", "soft failure: exit 75")


def test_env_workdir_and_limits(box: Box) -> None:
    secrets = box.folder / "secrets.env"
    secrets.write_text("# comment\nexport TOKEN='a b'\nBOTH=file\n")
    secrets.chmod(0o600)
    box.write(
        '[jobs.job]\nkind = "command"\ncommand = "env; pwd; nice; ulimit -d; ionice"\n'
        'env = { BOTH = "env", A = "1" }\nenv_file = "~/secrets.env"\nworkdir = "~/sub"\n'
        'nice = 5\nio_class = "idle"\nmemory_max = "4GiB"\n'
    )
    (box.folder / "sub").mkdir()
    assert box.run("job", HOME_GROWN="1")[0] == 0
    lines = box.log().splitlines()
    for line in ("TOKEN=a b", "BOTH=env", "A=1", "HOME_GROWN=1", str(box.folder / "sub"), "5", str(4 << 20)):
        assert line in lines, line
    assert any(line.startswith("idle") for line in lines)
    assert not any("a b" in line for line in lines if line.startswith("# mltop"))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ('env_file = "~/loose.env"', "loose.env: others can read it"),
        ('env_file = "~/none.env"', "none.env: No such file"),
        ('workdir = "/no/such"', "workdir /no/such: No such file"),
        ('run_as = "nobody-at-all"', "nobody-at-all|run_as"),
        ('timeout = "soon"', "timeout"),
    ],
)
def test_what_mltop_cannot_do_is_125_and_in_the_history(box: Box, config: str, says: str) -> None:
    (box.folder / "loose.env").write_text("SECRET=x\n")
    (box.folder / "loose.env").chmod(0o644)
    box.write(f'[jobs.job]\nkind = "command"\ncommand = "true"\n{config}\n')
    code, out, err = box.run("job")
    assert (code, out) == (125, "")
    assert any(word in err for word in says.split("|"))
    assert (box.last().state, box.last().exit_code) == ("failed", 125)
    assert any(word in (box.last().reason or "") for word in says.split("|"))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"A=1\nB=a\0b\n", ".env:2: expected NAME=VALUE"),
        (b"\xc3\xa9=1\n", ".env:1: expected NAME=VALUE"),
        (b"A=1\n" + b"#" * (1 << 20), ".env: larger than 1 MiB"),
        (b"\xef\xbb\xbfA=1\r\nB='x y'\n", ""),
    ],
)
def test_an_env_file_is_read_whole_or_refused_by_its_line(box: Box, data: bytes, says: str) -> None:
    (box.folder / ".env").write_bytes(data)
    (box.folder / ".env").chmod(0o600)
    box.write('[jobs.job]\nkind = "command"\ncommand = "echo $A $B"\nenv_file = "~/.env"\n')
    code, _, err = box.run("job")
    assert (code, says in err) == (125 if says else 0, True)
    assert len(err.splitlines()) == (1 if says else 0)
    assert says or "1 x y" in box.log().splitlines()


def test_a_drill_that_its_config_stops_is_in_the_history_too(box: Box) -> None:
    box.write('[jobs.m]\nkind = "backup"\nsource = "/a"\ntarget = "/b"\ntimeout = "soon"\n')
    assert box.run("m.drill")[0] == 125
    assert (box.last().job, box.last().state, box.last().exit_code) == ("m.drill", "failed", 125)


def test_an_unknown_job_is_125(box: Box) -> None:
    box.write("")
    code, _, err = box.run("nobody")
    assert code == 125
    assert "nobody" in err


def test_a_fault_in_another_job_stops_none(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\ncommand = "true"\n[jobs.other]\nkind = "nonsense"\n')
    assert box.run("job")[0] == 0


def test_a_disabled_job_runs_by_hand_only(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\ncommand = "true"\nenabled = false\n')
    assert box.run("job")[0] == 75
    assert (box.last().state, box.last().reason) == ("skipped", "disabled")
    assert box.run("job", "--trigger", "manual")[0] == 0


def test_by_hand_and_by_schedule_a_job_sees_the_same(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\ncommand = "env"\n')
    seen = []
    box.run("job", "--trigger", "schedule", LOGNAME="root", SHELL="/bin/sh")
    seen.append(box.log())
    box.run("job", "--trigger", "manual", LC_ALL="C", EDITOR="vi", SHELL="/bin/bash", PATH="/opt/x:/bin", TERM="xterm")
    seen.append(box.log())
    by_schedule, by_hand = (
        sorted(line for line in text.splitlines()[1:-1] if not line.startswith("MLTOP_")) for text in seen
    )
    assert by_hand == by_schedule


def test_built_in_kinds_are_children_of_the_wrapper(box: Box) -> None:
    box.write('[jobs.job]\nkind = "check"\n')
    code, out, _ = box.run("job", "--dry-run")
    assert code == 0
    assert f"{sys.executable} -P -m mltop task check job" in out


def test_a_dry_run_shows_what_the_scheduler_gets(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\ncommand = "true"\nschedule = "0 2 * * *"\nbackend = "cron"\n')
    program = box.folder / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho called >&2; exit 9\n")
    program.chmod(0o755)
    code, out, err = box.run("job", "--dry-run", PATH=f"{program.parent}:/usr/bin:/bin")
    (line,) = [line for line in out.splitlines() if line.startswith("schedule   ")]
    assert (code, err) == (0, "")
    assert line.startswith("schedule   0 2 * * * /")
    assert f" run job --config {box.config} --state-dir {box.state} # mltop:v1:" in line
    box.write('[jobs.job]\nkind = "command"\ncommand = "true"\n')
    assert "schedule   by hand only" in box.run("job", "--dry-run")[1].splitlines()


def test_a_dry_run_shows_no_secret_and_creates_nothing(box: Box) -> None:
    box.write('[jobs.job]\nkind = "command"\ncommand = "touch ran"\nenv = { API_TOKEN = "abc", MODE = "fast" }\n')
    code, out, err = box.run("job", "--dry-run")
    assert (code, err) == (0, "")
    assert "API_TOKEN=(not shown)" in out
    assert "abc" not in out
    assert "MODE=fast" in out
    assert "command    /bin/sh -c 'touch ran'" in out
    assert not box.state.exists()
    assert not (box.folder / "ran").exists()


def test_a_broken_history_stops_no_job(box: Box) -> None:
    box.state.mkdir()
    (box.state / "history.db").write_bytes(b"no database at all" * 99)
    code, out, err = box.run("--id", "job", *sh("exit 0"))
    assert (code, out, err) == (0, "", "")
    assert box.last().state is RunState.OK
    lines = [json.loads(line) for line in (box.state / "spool.jsonl").read_text().splitlines()]
    assert [line["run"]["state"] for line in lines] == ["running", "ok"]
    (box.state / "history.db").unlink()
    box.run("--id", "job", *sh("exit 0"))
    assert (box.state / "spool.jsonl").read_bytes() == b""
    assert len(History(box.state).runs()) == 2


def test_a_state_that_cannot_be_written_stops_no_job(box: Box) -> None:
    box.state.write_text("a file where the folder should be")
    code, out, err = box.run("--id", f"job-{os.getpid()}", *sh("exit 3"))
    assert (code, out) == (3, "")
    assert "could not be noted" in err
    Path(f"/dev/shm/mltop-{os.geteuid()}/locks/job-{os.getpid()}.lock").unlink()


def test_on_a_terminal_output_is_live_and_ends_with_a_line(box: Box) -> None:
    words = sh(f"echo hello; while [ ! -e {box.folder}/go ]; do :; done")
    process, ours = box.on_terminal(sys.executable, "-m", "mltop", "run", "--id", "job", *words)
    assert _read_until(ours, b"hello\r\n") == b"hello\r\n"
    assert process.poll() is None
    (box.folder / "go").touch()
    text = _read_until(ours, b".log\r\n").decode()
    assert process.wait(FALLBACK_S) == 0
    os.close(ours)
    run = box.last()
    assert run.trigger == "manual"
    assert text.startswith("mltop: job: ok code 0 after ")
    assert text.rstrip().endswith(f"log {run.log_path}")


def _read_until(descriptor: int, end: bytes) -> bytes:
    found = b""
    deadline = time.monotonic() + FALLBACK_S
    while not found.endswith(end):
        assert time.monotonic() < deadline, found
        if select.select([descriptor], [], [], 0.1)[0]:
            found += os.read(descriptor, 4096)
    return found


def test_a_terminal_that_takes_nothing_delays_nothing(box: Box) -> None:
    words = ("--id", "job", "--", "seq", "1", "100000")
    process, ours = box.on_terminal(sys.executable, "-m", "mltop", "run", *words)
    assert process.wait(FALLBACK_S) == 0  # nobody reads `ours`
    os.close(ours)
    assert "\n100000\n" in box.log()


@pytest.mark.parametrize("words", [["--id", "job", "--", "true"], ["job"]])
def test_run_loads_nothing_heavy(box: Box, words: list[str]) -> None:
    box.write('[jobs.job]\nkind = "command"\ncommand = "true"\n')
    code = (
        "import sys\nfrom mltop.cli import main\n"
        f"assert main({['run', *words]!r}) == 0\n"
        "heavy = {'textual', 'rich', 'psutil', 'pynvml', 'asyncio', 'subprocess', 'tomlkit', 'cronsim', 'msgspec',\n"
        "         'typing_extensions', 'inspect', 'shutil', 'tempfile'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], env=box.environment, check=True, stdin=subprocess.DEVNULL)


def test_catch_up_starts_what_was_missed_once(box: Box) -> None:
    box.write(
        '[jobs.late]\nkind = "command"\nschedule = "every 1h"\npersistent = true\ncommand = "exit 1"\n'
        '[jobs.other]\nkind = "command"\nschedule = "every 1h"\ncommand = "true"\n'
    )
    long_ago = moment.utc(time.time() - 86400)
    for job in ("late", "other"):
        box.history.finish(Run(id=f"old-{job}", job=job, started_at=long_ago, state=RunState.OK))
    code, out, err = box.run("--catch-up", "--dry-run")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"late missed \S+Z\n", out)
    assert box.last().job != "late" or box.last().trigger != "catch-up"
    assert box.run("--catch-up") == (0, "", "")
    wait_until(lambda: box.last().state is RunState.FAILED, "the catch-up")
    run = box.last()
    assert (run.job, run.trigger) == ("late", "catch-up")
    assert run.scheduled_for is not None
    assert box.run("--catch-up")[0] == 0
    assert len(History(box.state).runs()) == 3


def test_each_run_is_an_event_where_the_config_wants_it(box: Box) -> None:
    path = box.folder / "events.jsonl"
    box.write(f'[log]\nevents = "{path}"\n[jobs.job]\nkind = "command"\ncommand = "exit 3"\n')
    assert box.run("job")[0] == 3
    assert box.run("--id", "other", *sh("exit 0"))[0] == 0
    assert box.run("no-such")[0] == 125
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(event["event"], event["job"], event["state"], event["exit_code"]) for event in events] == [
        ("run", "job", "failed", 3),
        ("run", "other", "ok", 0),
        ("run", "no-such", "failed", 125),
    ]
    assert events[0]["id"] == History(box.state).runs()[2].id


def test_an_event_that_cannot_be_written_is_said_and_changes_no_code(box: Box) -> None:
    box.write('[log]\nevents = "/no/such/folder/e"\n[jobs.job]\nkind = "command"\ncommand = "exit 3"\n')
    assert box.run("job") == (3, "", "mltop run: [log] events: /no/such/folder/e: No such file or directory\n")
