from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mltop.system.message import framed, taken


@given(st.lists(st.binary(min_size=1, max_size=600)), st.integers(min_value=1, max_value=700))
def test_messages_are_taken_whole_and_in_order_however_they_are_cut(messages: list[bytes], step: int) -> None:
    written = b"".join(framed(message) for message in messages)
    buffer, told = bytearray(), []
    for at in range(0, len(written), step):
        buffer += written[at : at + step]
        while (message := taken(buffer)) is not None:
            told.append(message)
    assert told == messages
    assert not buffer
