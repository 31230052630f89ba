from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from full_disk import short_of_room

from mltop.system.descriptor import write_all


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_more_than_a_pipe_holds_arrives_whole(kind: type[bytes]) -> None:
    data = os.urandom(1 << 20)
    read_fd, write_fd = os.pipe()
    heard = bytearray()

    def hear() -> None:
        while block := os.read(read_fd, 1 << 16):
            heard.extend(block)

    reader = threading.Thread(target=hear)
    reader.start()
    try:
        write_all(write_fd, kind(data))
        write_all(write_fd, b"")
    finally:
        os.close(write_fd)
        reader.join(20)
        os.close(read_fd)
    assert bytes(heard) == data


def test_what_finds_no_room_is_an_error(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    with short_of_room(10):
        assert os.write(descriptor, b"x" * 7) == 7
        with pytest.raises(OSError, match="large") as raised:
            write_all(descriptor, b"y" * 7)  # the system takes three of these without an error
    os.close(descriptor)
    assert raised.value.errno == errno.EFBIG
    assert (tmp_path / "file").read_bytes() == b"x" * 7 + b"y" * 3
