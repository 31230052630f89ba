"""A model API over HTTP: does it answer (2), does it list its model (3), does it make a token (4)?"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from mltop import __version__
from mltop.checks.service.outcome import Refused, Slow, Told
from mltop.config.service import Http
from mltop.model.finding import Level
from mltop.system.text import clean

_BODY_BYTES = 4 << 20


def ask(api: Http) -> Told:
    """Ask to the depth that is configured: the words for an answer that is well; raises Refused or Slow."""
    deadline = time.monotonic() + api.timeout_s
    url = urlsplit(api.url)
    if api.level == 1:
        from mltop.checks.service.wire import Wire

        with Wire(url.hostname or "", url.port or (443 if url.scheme == "https" else 80), api.timeout_s):
            return Told(words="takes connections")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    status, _ = _exchange(api, deadline, "GET", path)
    if not (status == api.expect_status if api.expect_status else 200 <= status <= 299):
        raise Refused(f"HTTP {status}", reason="status")
    words = f"HTTP {status}"
    if api.level >= 3:
        words += _listed(api, deadline)
    if api.level >= 4:
        words += _generated(api, deadline)
    return Told(words=words)


def _listed(api: Http, deadline: float) -> str:
    status, body = _exchange(api, deadline, "GET", "/v1/models")
    models = body.get("data") if status == 200 else None
    ids = [one.get("id") for one in models if isinstance(one, dict)] if isinstance(models, list) else None
    if ids is None:
        raise Refused(f"lists no models: HTTP {status}", reason="model")
    if api.model not in ids:
        raise Refused(f"does not serve {clean(api.model or '', 80)}", reason="model")
    return f", serves {clean(api.model or '', 80)}"


def _generated(api: Http, deadline: float) -> str:
    """The only proof that the engine behind the API works: vllm-project/vllm#39863."""
    question = {"model": api.model, "prompt": "1", "max_tokens": 1, "temperature": 0}
    status, body = _exchange(api, deadline, "POST", "/v1/completions", json.dumps(question))
    if status != 200 or not body.get("choices"):
        raise Refused(f"makes no token: HTTP {status}", reason="generation")
    return ", makes tokens"


def _exchange(
    api: Http, deadline: float, method: str, path: str, body: str | None = None
) -> tuple[int, dict[str, Any]]:
    """One request: the status, and the JSON object that came back where one did."""
    url = urlsplit(api.url)
    left = deadline - time.monotonic()
    if left <= 0:
        raise Slow
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=left)
    headers = {"User-Agent": f"mltop/{__version__}", "Connection": "close"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, _object(response.read(_BODY_BYTES))
    except TimeoutError:
        raise Slow from None
    except ConnectionRefusedError:
        raise Refused("refuses connections") from None
    except ssl.SSLError as error:
        raise Refused(f"TLS: {clean(str(error.reason or error), 80)}", reason="tls") from None
    except socket.gaierror as error:
        raise Refused(f"no address: {clean(error.strerror or str(error), 80)}") from None
    except http.client.HTTPException as error:
        raise Refused(f"answers no HTTP: {type(error).__name__}", Level.CRITICAL, "garbage") from None
    except OSError as error:
        raise Refused(f"ends the connection: {error.strerror or error}") from None
    finally:
        connection.close()


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
