from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from mltop.system.digest import sha256_hex


@pytest.mark.parametrize("data", [b"", b"abc", bytes(range(256)) * 40])
def test_it_is_sha256(data: bytes) -> None:
    assert sha256_hex(data) == hashlib.sha256(data).hexdigest()


def test_it_loads_no_openssl() -> None:
    script = (
        "import sys; from mltop.system.digest import sha256_hex; sha256_hex(b'x'); print('_hashlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout == "False\n"
