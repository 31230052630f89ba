"""The kernel log as the journal has it, for those whom the kernel does not let read it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mltop.sampling.host.kernel_record import MOST_LEVEL, Record
from mltop.sampling.host.program import find_program, outputs

MOST_LINES = 5000


class _Line(msgspec.Struct, rename={"message": "MESSAGE", "priority": "PRIORITY"}):
    """One record of `journalctl -o json`; numbers are texts, a message that is not UTF-8 is a list of bytes."""

    message: str | list[int] | None = None
    priority: str = "6"
    source_us: str | None = msgspec.field(name="_SOURCE_MONOTONIC_TIMESTAMP", default=None)
    received_us: str | None = msgspec.field(name="__MONOTONIC_TIMESTAMP", default=None)


def kernel_records(deadline_s: float) -> list[Record] | None:
    """This boot's warnings and worse of the last day; `None` where nobody tells, or not in time.

    A user who may not read the journal gets no line at all, and so does one on a box that has had no trouble: that is
    why the first line of any urgency is asked for where there is none.
    """
    program = find_program("journalctl")
    if program is None:
        return None
    common = (program, "--dmesg", "--boot", "--output=json", "--no-pager", "--quiet")
    said = outputs(
        {
            "trouble": (*common, f"--priority={MOST_LEVEL}", "--since=-24h", f"--lines={MOST_LINES}"),
            "any": (*common, "--lines=1"),
        },
        deadline_s,
    )
    if said["trouble"] is None or not (said["trouble"] or said["any"]):
        return None
    return list(parse(said["trouble"] + (said["any"] or b"")))


def parse(text: bytes) -> Iterator[Record]:
    """Read the lines of `journalctl -o json`; one that makes no sense is left out."""
    decoder = msgspec.json.Decoder(_Line)
    for line in text.split(b"\n"):
        try:
            one = decoder.decode(line)
            stamp = one.source_us or one.received_us
            if one.message is None or stamp is None:
                continue
            message = one.message.encode() if isinstance(one.message, str) else bytes(one.message)
            yield Record(int(one.priority), int(stamp) / 1e6, message)
        except (msgspec.DecodeError, ValueError, OverflowError):
            continue
