"""Fixtures that every test may use."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The fakes are plain modules outside any package (importmode=importlib gives test directories none): one entry of
# sys.path makes `import driver` work here and in the tests, and in `python tests/fakes/driver.py`.
sys.path.insert(0, str(Path(__file__).parent / "fakes"))

import driver

# How long an example may take is not what the tests are about, and no box is to fail by the luck of its draw:
# `--hypothesis-profile explore` draws others.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("mltop", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("mltop")

# Whoever started the tests may ignore signals (nohup, a shell's `&`), and every program that they start would inherit
# that: those that are tried with a signal would not hear it.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session")
def fake_nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake `libnvidia-ml.so.1`, built once a session."""
    try:
        return driver.build(tmp_path_factory.mktemp("fake-nvml"))
    except driver.NoCompilerError as error:
        pytest.skip(str(error))


@pytest.fixture
def fake_nvml(fake_nvml_library: Path, tmp_path: Path) -> driver.FakeNvml:
    """A fake driver with eight H100; give its `env` to a child, for `pynvml` finds the library when it starts."""
    directory = tmp_path / "fake-nvml"
    directory.mkdir()
    return driver.FakeNvml(fake_nvml_library, directory)
