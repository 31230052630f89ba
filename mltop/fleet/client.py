"""How the user's own ssh client is called, and what its end means in a line (M39).

The client reads the user's config, keys, agent and proxies; only what a program needs is set on top of them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from mltop.system.text import clean

CONNECT_TIMEOUT_S = 10
"""From the first packet to the end of the key exchange (ssh_config(5), ConnectTimeout)."""
SNAPSHOT_HEAD = b'{"schema":"mltop.'
"""How every line of ours begins; whatever a login shell's rc files print does not."""

_ALIVE_INTERVAL_S = 4
_ALIVE_COUNT = 2
"""A dead link is noticed after 8 to 12 s."""
_OPTIONS = {
    "ConnectTimeout": CONNECT_TIMEOUT_S,
    "ServerAliveInterval": _ALIVE_INTERVAL_S,
    "ServerAliveCountMax": _ALIVE_COUNT,
    "LogLevel": "ERROR",  # a QUIET in the user's config would leave us without the reason
    "RequestTTY": "no",
    "RemoteCommand": "none",
    "ForkAfterAuthentication": "no",
    "StdinNull": "no",
    "ClearAllForwardings": "yes",
    "PermitLocalCommand": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    # an open master is used, but none is started: it would live on in the background, or take others down with us
    "ControlMaster": "no",
}
_NEW_OPTIONS = ("ForkAfterAuthentication", "StdinNull")
"""Unknown to clients before OpenSSH 8.7, so they are set to be ignored there."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why there is no connection, or no mltop at its end."""

    text: str
    is_lasting: bool = False
    """Somebody has to do something first: trying again and again would only look like an attack."""


def ssh_arguments(host: str, command: str, *, may_ask: bool = False) -> list[str]:
    """The argv of ssh for one command on `host`, without a terminal there.

    `may_ask`: ssh may ask for a password or about an unknown key, on the terminal that it opens for that. Raises
    ValueError for a host that ssh would take for an option.
    """
    if not host or host.startswith("-"):
        raise ValueError(f"not a host: {host!r}")
    arguments = ["ssh", "-T", "-o", f"IgnoreUnknown={','.join(_NEW_OPTIONS)}"]
    for name, value in {**_OPTIONS, "BatchMode": "no" if may_ask else "yes"}.items():
        arguments += ["-o", f"{name}={value}"]
    return [*arguments, "--", host, command]


def remote_command(arguments: Sequence[str], program: str | None = None) -> str:
    """What sshd gives to the login shell there: mltop, or `program` (words for a shell), with `arguments`.

    sshd runs it as `$SHELL -c`, which may be bash, fish or csh, and which has not read what sets up the PATH of a
    login. So the outermost words mean the same to all of them, /bin/sh takes over, and a login shell runs mltop in its
    own place. csh knows `-l` only alone, and reads its PATH in any case.
    """
    words = " ".join(["exec", program or "mltop", *map(shlex.quote, arguments)])
    script = (
        'case "$SHELL" in *csh) how=-c ;; *) how=-lc ;; esac; '
        f'exec "${{SHELL:-/bin/sh}}" "$how" {_double_quoted(words)}'
    )
    return f"exec /bin/sh -c {_single_quoted(script)}"


def _double_quoted(text: str) -> str:
    return '"' + re.sub(r'([\\"$`])', r"\\\1", text) + '"'


def _single_quoted(text: str) -> str:
    # '"'"' is read alike by sh, csh and fish, which differ about a backslash between single quotes
    return "'" + text.replace("'", "'\"'\"'") + "'"


def snapshot_line(line: bytes) -> bytes | None:
    """The snapshot in a line that the other side wrote, `None` where it is noise of its rc files.

    An rc file that prints without a line end leaves its text in front of the first snapshot.
    """
    start = line.find(SNAPSHOT_HEAD)
    return line[start:] if start >= 0 else None


# What the client says (OpenSSH's own words, which are not translated), as a reason for people.
_SSH_SAYS: tuple[tuple[str, str, bool], ...] = (
    ("Name or service not known", "no such host: {host}", False),
    ("nodename nor servname", "no such host: {host}", False),
    ("No address associated", "no such host: {host}", False),
    ("Could not resolve hostname", "cannot look up {host}: {detail}", False),
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "{changed}", True),
    ("Host key verification failed", "the key of {host} is not known here: run `ssh {host}` once and accept it", True),
    ("Permission denied", "{host} refuses the login ({detail}): ssh-add a key, or ssh-copy-id {host}", True),
    (
        "Too many authentication failures",
        "{host} refuses the login (too many keys tried): name one in ~/.ssh/config",
        True,
    ),
    ("Connection refused", "{host} refuses the connection (is sshd running?)", False),
    ("timed out", "{host} does not answer (timed out)", False),
    ("No route to host", "no route to {host}", False),
    ("Network is unreachable", "no network to {host}", False),
    ("closed by", "{host} closed the connection", False),
    ("reset by", "{host} closed the connection", False),
    ("Broken pipe", "the connection to {host} broke", False),
)
_CHANGED = (
    "the key of {host} has CHANGED: make sure that it is the same box; then `ssh {host}` says how to remove the old one"
)
_NOT_FOUND = re.compile(r"command not found|not found|Unknown command|No such file or directory", re.IGNORECASE)
_OLDER = re.compile(r"unrecognized arguments|invalid choice|no such option|unknown (flag|option)", re.IGNORECASE)
_SSH_FAILED = 255
_NOT_FOUND_CODE = 127
_NOT_EXECUTABLE_CODE = 126


def fault_of(host: str, code: int, said: Sequence[str], *, program: str | None = None, was_up: bool = False) -> Fault:
    """What the end of an ssh client means.

    `code` is its exit code (the remote command's own, 255 for ssh's failures, negative for a signal), `said` its last
    lines on standard error, `was_up` whether snapshots have come over this connection.
    """
    host = clean(host, 80)
    lines = [clean(line.strip(), 160) for line in said if line.strip()]
    if code == _SSH_FAILED or code < 0:
        return _ssh_fault(host, lines, was_up=was_up)
    return _remote_fault(host, code, lines, clean(program or "mltop", 80), was_up=was_up)


def _ssh_fault(host: str, lines: Sequence[str], *, was_up: bool) -> Fault:
    everything = "\n".join(lines)
    for sign, text, is_lasting in _SSH_SAYS:
        if sign in everything:
            spoken = next(line for line in lines if sign in line)
            words = {
                "host": host,
                "detail": spoken.rpartition(": ")[2].rstrip("."),
                "changed": _CHANGED.format(host=host),
            }
            return Fault(text.format(**words), is_lasting)
    if was_up:
        return Fault(f"the connection to {host} was lost")
    return Fault(f"ssh to {host} failed: {lines[-1]}" if lines else f"ssh to {host} failed without a word")


def _remote_fault(host: str, code: int, lines: Sequence[str], program: str, *, was_up: bool) -> Fault:
    last = lines[-1] if lines else ""
    if was_up:
        return Fault(f"mltop on {host} ended (exit code {code})" + (f": {last}" if last else ""))
    if code == _NOT_FOUND_CODE or (code == 1 and _NOT_FOUND.search(last)):
        # a pathless name that a shell does not know; `ssh_command` names another place
        return Fault(
            f"{program} is not installed on {host}, or not in its login shell's PATH (see remote.ssh_command)", True
        )
    if code == _NOT_EXECUTABLE_CODE:
        return Fault(f"{program} on {host} cannot be run: {last or 'exit code 126'}", True)
    if any(_OLDER.search(line) for line in lines):
        return Fault(f"an older mltop on {host} ({last.removeprefix('mltop: ')}): update it", True)
    return Fault(f"{program} on {host} ended (exit code {code})" + (f": {last}" if last else ""), True)


def other_version(host: str, schema: str, version: str, mine: str) -> Fault:
    """The fault of a box whose snapshots are of another major version than `mine`."""
    words = f"mltop {version} " if version else "another mltop "
    return Fault(
        f"{clean(words, 40)}on {clean(host, 80)} speaks {clean(schema, 40)}, this one {mine}: update the older one",
        True,
    )
