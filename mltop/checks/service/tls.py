"""TLS to a service: whom to trust, and what is wrong with a certificate in words."""

from __future__ import annotations

import socket
import ssl
import time

from mltop.checks.service.outcome import Refused, Unasked
from mltop.system.text import clean

_REMEDIES = {
    9: "set the clock right; or it was made for later",
    10: "renew it",
    62: "ask it by a name that its certificate has",
    64: "ask it by a name that its certificate has",
}
"""What to do, by OpenSSL's X509_V_ERR_… (x509_vfy.h): not yet valid, expired, another host or address."""
_DAY_S = 86400.0
_RENEWED_AT = 1 / 4
"""Who renews by machine does so with a third of its life left (ACME clients): with more than a quarter none is late."""


class Tls:
    """How to speak TLS to one service."""

    def __init__(self, ca_file: str | None, *, verify: bool) -> None:
        try:
            self._context = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:  # an SSLError is an OSError
            reason = clean(error.strerror or str(error), 80)
            raise Unasked(f"tls_ca_file: {reason}", action="check tls_ca_file") from None
        if not verify:
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE

    def wrapped(self, connection: socket.socket, host: str) -> socket.socket:
        """The connection with TLS over it, within the timeout that it has; raises Refused, OSError."""
        try:
            return self._context.wrap_socket(connection, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            connection.close()
            words = clean(error.verify_message or str(error), 120)
            action = _REMEDIES.get(error.verify_code, "name who signed it in tls_ca_file")
            raise Refused(f"certificate: {words}", reason="tls", action=action) from None
        except ssl.SSLError as error:
            connection.close()
            raise Refused(f"TLS: {clean(str(error.reason or error), 80)}", reason="tls") from None
        except BaseException:
            connection.close()
            raise

    def days_left(self, connection: socket.socket) -> float | None:
        """For how many days the peer's certificate is still good.

        `None` while it is not due to be renewed yet, however short its life is, and where it was not verified.
        """
        told = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
        if not told:
            return None
        begin, end = (ssl.cert_time_to_seconds(str(told[key])) for key in ("notBefore", "notAfter"))
        left_s = end - time.time()
        return left_s / _DAY_S if left_s <= (end - begin) * _RENEWED_AT else None
