"""The engine behind a model API, as its Prometheus metrics have it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

_NAMES = (
    ("vllm:num_requests_running", "vllm:generation_tokens_total"),
    ("sglang:num_running_reqs", "sglang:generation_tokens_total"),
    ("llamacpp:requests_processing", "llamacpp:tokens_predicted_total"),
)
"""Requests that run now, and tokens made so far: vLLM, SGLang, llama.cpp."""


class Engine(NamedTuple):
    """What runs, and how many tokens were made since it started; over all models of a server."""

    running: float
    tokens: float

    @property
    def mark(self) -> float:
        """A counter that stands still only while requests run and no token is made: an idle engine has none."""
        return self.tokens if self.running > 0 else -1.0


def engine_of(text: bytes) -> Engine | None:
    """The engine of the text format's samples; `None` where they are of no known one."""
    sums: dict[str, float] = {}
    for name, value in _samples(text.decode("utf-8", "replace")):
        sums[name] = sums.get(name, 0.0) + value
    for running, tokens in _NAMES:
        if math.isfinite(sums.get(running, math.nan) + sums.get(tokens, math.nan)):
            return Engine(sums[running], sums[tokens])
    return None


def _samples(text: str) -> Iterator[tuple[str, float]]:
    """Name and value of each sample that is a number (Prometheus text format 0.0.4)."""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, brace, rest = line.partition("{")
        fields = rest.rpartition("}")[2].split() if brace else line.split()[1:]
        try:
            value = float(fields[0])
        except (ValueError, IndexError):
            continue
        if math.isfinite(value):
            yield name.split()[0] if not brace else name.strip(), value
