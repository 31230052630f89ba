"""TLS to a service: whom to trust, and what is wrong with a certificate in words."""

from __future__ import annotations

import socket
import ssl

from mltop.checks.service.outcome import Refused
from mltop.model.finding import Level
from mltop.system.text import clean


class Tls:
    """How to speak TLS to one service."""

    def __init__(self, ca_file: str | None, *, verify: bool) -> None:
        try:
            self._context = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:  # an SSLError is an OSError
            reason = clean(error.strerror or str(error), 80)
            raise Refused(f"tls_ca_file: {reason}", Level.UNKNOWN, "error", "check tls_ca_file") from None
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
            raise Refused(f"certificate: {words}", reason="tls", action="renew it, or name tls_ca_file") from None
        except ssl.SSLError as error:
            connection.close()
            raise Refused(f"TLS: {clean(str(error.reason or error), 80)}", reason="tls") from None
        except BaseException:
            connection.close()
            raise
