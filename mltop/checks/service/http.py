"""A model API over HTTP: does it answer (2), list its model (3), make a token (4), and do its tokens flow (5)?"""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import urlsplit

from mltop.checks.service.asked import PORTS
from mltop.checks.service.engine import Engine, engine_of
from mltop.checks.service.exchange import LARGE_BYTES, SMALL_BYTES, Reply, exchange
from mltop.checks.service.outcome import Refused, Told, Unasked
from mltop.checks.service.secret import secret
from mltop.checks.service.wire import Wire
from mltop.config.service import Http
from mltop.model.finding import Level
from mltop.system.text import clean

_NOT_THERE = (400, 404, 405, 422, 501)
"""There is no such function, or not for this model: some that chat do nothing else."""
_TOO_MANY = 429
"""Text Generation Inference and gateways in front of an engine: others' requests fill it, and it lives."""
_FLOW_S = 1.0
"""An engine under load that has not made a token for so long is asked for one."""
_STEP_S = 0.1


def ask(api: Http) -> Told:
    """Ask to the depth that is configured; raises Refused or Slow."""
    question = _Question(api)
    if api.level == 1:
        question.connect().close()
        return Told(words="takes connections")
    started = time.monotonic()
    words = question.health()
    took_s = time.monotonic() - started
    if api.model is not None and api.level >= 3:
        words += question.listed(api.model)
    engine = question.engine() if api.level >= 4 else None
    if api.level == 4:
        words += question.generated(api.model or "", engine)
    if engine is None:
        if api.level == 5:
            words, level = f"{words}, tells no tokens in {api.metrics_path}", Level.UNKNOWN
            return Told(words=words, level=level, reason="unsupported", took_s=took_s, action="check metrics_path")
        return Told(words=words, took_s=took_s, values=question.values())
    data = {"running": engine.running, "tokens": engine.tokens}
    counters = {"api.stalled": engine.mark}
    return Told(words=words, took_s=took_s, values=question.values(), counters=counters, data=data)


class _Question:
    """One API, asked several things within one time."""

    def __init__(self, api: Http) -> None:
        self._api = api
        self._url = urlsplit(api.url)
        self._deadline = time.monotonic() + api.timeout_s
        self._headers = _authorization(api)
        self._tls = None
        self._days_left: float | None = None
        if self._url.scheme == "https" and api.level > 1:
            from mltop.checks.service.tls import Tls

            self._tls = Tls(api.tls_ca_file, verify=api.tls_verify)

    def connect(self) -> Wire:
        """A connection for one request."""
        host, left_s = self._url.hostname or "", self._deadline - time.monotonic()
        if self._api.socket is not None:
            return Wire(self._api.socket, 0, left_s)
        wire = Wire(host, self._url.port or PORTS[self._url.scheme], left_s, tls=self._tls)
        self._days_left = wire.days_left
        return wire

    def values(self) -> dict[str, float]:
        """What is held against limits, by its row."""
        return {} if self._days_left is None else {"api.certificate": self._days_left}

    def health(self) -> str:
        """The URL itself; the words for an answer that is well."""
        query = f"?{self._url.query}" if self._url.query else ""
        reply = self._get((self._url.path or "/") + query, SMALL_BYTES)
        expected = self._api.expect_status
        if reply.status == expected if expected is not None else 200 <= reply.status <= 299:
            return f"HTTP {reply.status}"
        words, action = f"HTTP {reply.status}", None
        if 300 <= reply.status <= 399 and reply.location:
            words += f" to {clean(reply.location.partition('?')[0], 120)}"
            action = "set url to where it points, or expect_status"
        elif reply.status in (401, 403):
            action = "name token_file, or user and password_file"
        raise Refused(words, reason="status", action=action)

    def listed(self, model: str) -> str:
        """Whether it serves the model."""
        reply = self._get(f"{self._base()}/models", LARGE_BYTES)
        _refuse_without_permission(reply, "its models")
        models = reply.object().get("data") if reply.status == 200 else None
        if not isinstance(models, list):
            raise Refused(f"lists no models: HTTP {reply.status}", reason="model")
        if model not in [one.get("id") for one in models if isinstance(one, dict)]:
            raise Refused(f"does not serve {clean(model, 80)}", reason="model")
        return f", serves {clean(model, 80)}"

    def engine(self) -> Engine | None:
        """What its metrics say of its engine; `None` where they say nothing."""
        reply = self._get(self._api.metrics_path, LARGE_BYTES)
        return engine_of(reply.body) if reply.status == 200 else None

    def generated(self, model: str, engine: Engine | None) -> str:
        """Whether it makes a token, the only proof that its engine works: vllm-project/vllm#39863.

        An engine under load that makes tokens for others is not given one more to make: vllm-project/vllm#24491.
        """
        if engine is not None and engine.running > 0 and self._flows(engine):
            return f", makes tokens for {engine.running:.0f} running"
        prompt = {"model": model, "max_tokens": 1, "temperature": 0}
        reply = self._post("completions", {**prompt, "prompt": "1"})
        if reply.status in _NOT_THERE:
            reply = self._post("chat/completions", {**prompt, "messages": [{"role": "user", "content": "1"}]})
        _refuse_without_permission(reply, "for a token")
        if reply.status == _TOO_MANY:
            raise Refused("too busy to make a token: HTTP 429", Level.WARNING, "busy")
        if reply.status != 200 or not reply.object().get("choices"):
            raise Refused(f"makes no token: HTTP {reply.status}", reason="generation")
        return ", makes tokens"

    def _flows(self, engine: Engine) -> bool:
        until = min(time.monotonic() + _FLOW_S, self._deadline - _FLOW_S)
        while time.monotonic() < until:
            time.sleep(_STEP_S)
            now = self.engine()
            if now is not None and now.tokens > engine.tokens:
                return True
        return False

    def _base(self) -> str:
        return self._api.api_path.rstrip("/")

    def _get(self, path: str, limit_bytes: int) -> Reply:
        with self.connect() as wire:
            return exchange(wire, self._url.netloc, "GET", path, self._headers, limit_bytes=limit_bytes)

    def _post(self, function: str, question: dict[str, object]) -> Reply:
        headers = {**self._headers, "Content-Type": "application/json"}
        path = f"{self._base()}/{function}"
        with self.connect() as wire:
            return exchange(wire, self._url.netloc, "POST", path, headers, json.dumps(question), LARGE_BYTES)


def _authorization(api: Http) -> dict[str, str]:
    token = secret(api.token_file, api.token_env)
    if token is not None:
        if not token.isascii():
            raise Unasked("its token is not ASCII", action="put the token alone into its file")
        return {"Authorization": f"Bearer {token}"}
    if api.user is None:
        return {}
    pair = f"{api.user}:{secret(api.password_file, api.password_env)}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _refuse_without_permission(reply: Reply, what: str) -> None:
    if reply.status in (401, 403):
        action = "name token_file, or user and password_file"
        raise Refused(f"may not be asked {what}: HTTP {reply.status}", Level.UNKNOWN, "permission", action)
