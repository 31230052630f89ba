from __future__ import annotations

from pathlib import Path

import pytest

from mltop.config.fault import Fault, one_of
from mltop.config.load import load
from mltop.config.profile import PROFILES
from mltop.config.service import Http, Postgres, Redis, Tcp, Unit
from mltop.config.settings import Settings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.toml"


def read(path: Path, text: str) -> Settings:
    path.write_text(text)
    return load(str(path), {}, path.with_name("none"))


def test_services_and_checks_are_typed(path: Path) -> None:
    settings = read(
        path,
        """[checks]
disabled = ["gpu.mem", "svc.*"]
profile = "seed"
[[services.http]]
name = "llm"
url = "http://localhost:8080/health"
level = 3
model = "m"
timeout = "500ms"
[[services.redis]]
name = "cache"
password_file = "/etc/redis.password"
[[services.postgres]]
name = "db"
host = "/run/postgresql"
[[services.unit]]
name = "docker"
[[services.tcp]]
name = "ssh"
port = 22
""".replace("500ms", "1.5s"),
    )
    services = settings.services
    assert services.http == (Http(name="llm", url="http://localhost:8080/health", level=3, model="m", timeout="1.5s"),)
    assert services.http[0].timeout_s == 1.5
    assert services.redis == (Redis(name="cache", port=6379, password_file="/etc/redis.password"),)
    assert services.postgres == (Postgres(name="db", host="/run/postgresql", port=5432),)
    assert (services.unit, services.tcp) == ((Unit(name="docker"),), (Tcp(name="ssh", port=22),))
    assert (settings.checks.disabled, settings.checks.profile) == (("gpu.mem", "svc.*"), "seed")
    assert read(path, "").services.http == ()


def test_every_fault_has_the_line_of_its_own_service(path: Path) -> None:
    with pytest.raises(Fault) as caught:
        read(
            path,
            """[checks]
profile = "lax"
[[services.http]]
name = "llm"
url = "http://localhost:8080/health"
[[services.http]]
name = "llm"
url = "http://b"
timout = "2s"
[[services.http]]
url = "ftp://x"
level = 4
[[services.redis]]
name = "r"
timeout = "0s"
port = 70000
[services.tpc]
[services.unit]
name = "docker"
""",
        )
    assert caught.value.lines == (
        f'{path}:2: checks.profile: expected {one_of(PROFILES)}, got "lax"',
        f"{path}:9: services.http[1].timout: unknown key; did you mean timeout?",
        f'{path}:11: services.http[2].url: expected an http or https URL, got "ftp://x"',
        f"{path}:10: services.http[2]: name is missing",
        f"{path}:12: services.http[2].level: level 4 needs model",
        f'{path}:15: services.redis[0].timeout: expected a duration such as "2s", above 0 and up to 60s, got "0s"',
        f"{path}:16: services.redis[0].port: expected a port, 1 to 65535, got 70000",
        f"{path}:17: services.tpc: unknown key; did you mean tcp?",
        f"{path}:18: services.unit: expected [[services.unit]], got a table",
    )


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('http]]\nname = "a"\nurl = "http://me:hunter2@host/"', r":3: .*\.url: a URL must not have a user or password"),
        ('http]]\nname = "a"\nurl = "http://host:99999/"', r":3: .*\.url: expected .* with a host and a port"),
        ('http]]\nname = "a"\nurl = "http://[::1/"', r":3: .*\.url: expected .* with a host and a port"),
        ('http]]\nname = "a"\nurl = "http://host/a b"', r":3: .*\.url: expected an http or https URL"),
        ('http]]\nname = "a"\nurl = "http://h"\nlevel = 6', r":4: .*\.level: expected 1 \(TCP\)"),
        ('http]]\nname = "a"\nurl = "http://h"\nlevel = 3', r":4: .*\.level: level 3 needs model"),
        ('http]]\nname = "a"\nurl = "http://h"\nuser = "me"', r":4: .*\.user: user needs password_file"),
        ('http]]\nname = "a"\nurl = "http://h"\npassword_env = "P"', r"\.user: a password needs user"),
        ('http]]\nname = "a"\nurl = "http://h"\ntoken_env = "A-B"', r":4: .*\.token_env: expected the name of a var"),
        ('http]]\nname = "a"\nurl = "http://h"\ntoken_env = "A"\ntoken_file = "/b"', r"token_file and token_env ex"),
        ('http]]\nname = "a"\nurl = "http://h"\napi_path = "v1"', r":4: .*\.api_path: expected a path that begins"),
        ('redis]]\nname = "a"\ntls_verify = false', r":3: .*\.tls_verify: needs tls = true"),
        ('redis]]\nname = "a"\ntls = "yes"', r":3: .*\.tls: expected true or false"),
        ('redis]]\nname = "a"\nuser = "me"', r":3: .*\.user: user needs password_file or password_env"),
        ('postgres]]\nname = "a"\nrole = "primary"', r":3: .*\.role: role needs dsn_file"),
        ('postgres]]\nname = "a"\ndsn_file = "x"\nrole = "main"', r':4: .*\.role: expected "primary" or "standby"'),
        ('unit]]\nname = "docker*"', r":2: .*\.name: expected a unit's name"),
        ('unit]]\nname = "my unit"', r":2: .*\.name: expected a unit's name"),
        ('unit]]\nname = "a/b"', r":2: .*\.name: expected a unit's name"),
        ('unit]]\nname = ""', r":2: .*\.name: expected a unit's name"),
        (f'unit]]\nname = "{"x" * 250}"', r":2: .*\.name: expected a unit's name"),
        ('unit]]\nname = "getty@"', r":2: .*\.name: a template has no state: name an instance, as getty@1"),
        ('unit]]\nname = "getty@.service"', r":2: .*\.name: a template has no state: name an instance"),
        ('http]]\nname = "a"\nurl = "https://h"\nsocket = "/run/a"', r":4: .*\.socket: needs an http:// URL"),
        ('docker]]\nname = "a"\nsocket = "run"', r":3: .*\.socket: expected an absolute path"),
        ('docker]]\nsocket = "/run"', r":1: .*: name is missing"),
    ],
)
def test_a_fault_of_a_service_says_what_is_expected_and_no_secret(path: Path, entry: str, words: str) -> None:
    with pytest.raises(Fault, match=words) as caught:
        read(path, f"[[services.{entry}\n")
    assert "hunter2" not in str(caught.value)


def test_what_a_service_has_when_the_config_says_nothing(path: Path) -> None:
    services = read(
        path,
        '[[services.http]]\nname = "a"\nurl = "https://[::1]:8443/x?key=y"\n[[services.docker]]\nname = "d"\n'
        '[[services.http]]\nname = "b"\nurl = "http://h"\nlevel = 4\nmodel = "m"\n',
    ).services
    assert [one.timeout_s for one in services.http] == [3.0, 10.0]
    assert (services.docker[0].socket, services.docker[0].timeout_s) == (None, 3.0)


def test_two_services_of_a_kind_have_two_names(path: Path) -> None:
    with pytest.raises(Fault, match=r":5: services\.tcp\[1\]\.name: a second tcp of this name"):
        read(path, '[[services.tcp]]\nname = "a"\nport = 1\n[[services.tcp]]\nname = "a"\nport = 2\n')
