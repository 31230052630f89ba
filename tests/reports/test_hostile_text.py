"""Every format with text and numbers that nobody expects: what another program reads stays what it reads."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mltop.checks.catalogue import CATALOGUE
from mltop.model.verdict import Counts, Result, State, Verdict
from mltop.reports import checkmk, human, nagios, prometheus
from mltop.reports import json as document

LETTERS = "a|='\"\\;,{}\n\r\t\0\x1b\x85\u2028\u202e\ud800 é日🔥%~@:#$`<"
PERFDATUM = re.compile(r"(?:'[^'=|\n]+'|run)=(?:-?[0-9]+(?:\.[0-9]+)?|U)(?:%|s)?(?:;[-0-9.@~:]*){0,4}")
"""Monitoring Plugins Development Guidelines, "Performance data"."""
CHECK = re.compile(r'[0-3] "[^"]+" (?:-|[a-z0-9_]+=-?[0-9.]+(?:;-?[0-9.]*){0,2}) .+')
SAMPLE = re.compile(r'[a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? -?[0-9.e+-]+')

words = st.text(st.sampled_from(LETTERS), max_size=40) | st.text(max_size=100)
ranges = st.sampled_from([None, "@85:", "@~:10", "10", "~:5", "@10:20", "-5:5", "@-3:", "0:0", "@0:0"])
results = st.builds(
    Result,
    check=st.sampled_from([check.id for check in CATALOGUE]),
    target=words,
    target_name=words,
    state=st.sampled_from(State),
    summary=words,
    action=st.none() | words,
    value=st.none() | st.floats() | st.integers(-(2**70), 2**70),
    unit=st.sampled_from([None, "%", "C", "% of CPUs"]),
    warn=ranges,
    crit=ranges,
    data=st.dictionaries(words, words | st.floats(), max_size=2),
)


def verdict(*made: Result) -> Verdict:
    return Verdict(host="gpu-07", time="2026-01-01T00:00:00.000Z", results=made, counts=Counts.of(made))


def lines_of(text: str) -> list[str]:
    """The lines as any reader splits them."""
    assert text.endswith("\n")
    lines = text.split("\n")[:-1]
    assert lines == text.splitlines()
    assert all(line.isprintable() for line in lines), lines
    return lines


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(results, max_size=5), st.integers(0, 3))
def test_the_formats_hold(made: list[Result], verbosity: int) -> None:
    whole = verdict(*made)
    first, *_ = lines_of(nagios.text(whole, verbosity))
    head, bar, data = first.partition(" | ")
    assert (len(head) <= 80, bar, first.count("|")) == (True, " | ", 1)
    shown = re.findall(r"(?:'[^']*'|[^\s'])+", data)
    assert all(PERFDATUM.fullmatch(one) for one in shown), shown
    assert len({one.partition("=")[0].strip("'")[:19] for one in shown}) == len(shown)
    services = lines_of(checkmk.text(whole))
    assert all(CHECK.fullmatch(line) for line in services), services
    assert len({line.split('"')[1] for line in services}) == len(services)
    assert lines_of(human.text(whole, verbosity))
    exposed = prometheus.text(whole).split("\n")[:-1]
    assert all(line.startswith("# ") or SAMPLE.fullmatch(line) for line in exposed), exposed
    read = json.loads(document.text(whole).encode(), parse_constant=lambda word: pytest.fail(word))
    assert len(read["results"]) == len(made)


@pytest.mark.parametrize(("value", "state"), list(itertools.product(map(float, ("nan", "inf", "-inf")), State)))
def test_what_is_no_number_is_none_anywhere(value: float, state: State) -> None:
    made = Result(check="disk.space", target="/", target_name="/", state=state, value=value, unit="%", warn="@85:")
    whole = verdict(made)
    texts: list[Any] = [nagios.text(whole), checkmk.text(whole), prometheus.text(whole), document.text(whole)]
    assert not [text for text in texts if re.search(r"\b(nan|inf)\b", text, re.IGNORECASE)]
    assert ("'disk_/'=U" in texts[0]) == (state is not State.SKIP)


def test_json_keeps_what_can_be_told_of_a_name_that_is_no_utf8() -> None:
    made = Result(check="disk.space", target="/a\udcff", target_name="/a\udcff", state=State.OK, data={"é\udcff": 1})
    read = msgspec.json.decode(document.text(verdict(made)))["results"][0]
    assert (read["target"], read["data"]) == ("/a?", {"é?": 1})
