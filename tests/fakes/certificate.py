"""Certificates of any age, by openssl."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path
from typing import NamedTuple

_CONFIG = """
[req]
distinguished_name = name
[name]
[ca]
default_ca = here
[here]
database = {0}/index
new_certs_dir = {0}
default_md = sha256
rand_serial = yes
policy = any
unique_subject = no
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:true
[server]
subjectAltName = {1}
"""


class Signed(NamedTuple):
    """A certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates that begin and end when the test says, in days from now."""

    def __init__(self, folder: Path, openssl: str = "openssl") -> None:
        self._folder = folder
        self._openssl = openssl
        self._count = 0
        (folder / "index").touch()
        self._own: Signed | None = None
        self._own = self.signed(("CN=tried", "DNS:tried"), (-4000, 4000), is_own=True)

    @property
    def file(self) -> str:
        """What trusts it."""
        assert self._own is not None
        return str(self._own.certificate)

    def signed(self, who: tuple[str, str], days: tuple[float, float], *, is_own: bool = False) -> Signed:
        """A certificate for a subject and an alternative name; `is_own`: signed by itself."""
        self._count += 1
        config, request, key, made = (self._folder / f"{self._count}.{end}" for end in ("cnf", "csr", "key", "pem"))
        config.write_text(_CONFIG.format(self._folder, who[1]))
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        self._run("req", "-config", config, "-new", *curve, "-subj", f"/{who[0]}", "-keyout", key, "-out", request)
        by = ("-selfsign", "-keyfile", key) if self._own is None or is_own else self._by(self._own)
        extensions = "authority" if self._own is None else "server"
        begin, end = (_date(one) for one in days)
        self._run(
            "ca", "-config", config, "-batch", "-notext", "-extensions", extensions, *by,
            "-startdate", begin, "-enddate", end, "-in", request, "-out", made,
        )  # fmt: skip
        return Signed(made, key)

    def _by(self, own: Signed) -> tuple[object, ...]:
        return "-cert", own.certificate, "-keyfile", own.key

    def _run(self, *words: object) -> None:
        command = [self._openssl, *(str(word) for word in words)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr


def _date(days: float) -> str:
    at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    return f"{at:%Y%m%d%H%M%SZ}"
