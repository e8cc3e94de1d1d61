import contextlib
import json
import tomllib
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sild.runtime.settings import Between, Secret, SettingsError, describe, read_settings


class Level(Enum):
    INFO = "info"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True)
class Proxy:
    client_http_port: Annotated[int, Between(1, 65535)] = 8080
    connect_timeout: Annotated[float, Between(low=0)] = 30.0
    tls: bool = True
    level: Level = Level.INFO
    ciphers: tuple[str, ...] = ("a", "b")
    home: Path = Path("/var/lib")
    password: Annotated[str | None, Secret()] = None
    retries: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    log_size: int = 1


@dataclass(frozen=True, slots=True)
class MessageLog:
    archive: str

    def __post_init__(self):
        if self.archive == "bad":
            raise ValueError("the archive must not be bad.")


@dataclass(frozen=True, slots=True)
class Server:
    proxy: Proxy = field(default_factory=Proxy)
    message: Message = field(default_factory=Message)
    message_log: MessageLog = field(default_factory=lambda: MessageLog(""))


REQUIRED = '[message-log]\narchive = "/a"\n'


@pytest.fixture
def read(tmp_path):
    def read(text, required=REQUIRED, **environ):
        path = tmp_path / "sild.toml"
        path.write_text(text + "\n" + required)
        return read_settings(Server, path, environ)

    return read


def problems(call, *arguments, **named):
    with pytest.raises(SettingsError) as raised:
        call(*arguments, **named)
    return raised.value.problems


def test_a_file_is_read_to_its_types(read):
    found = read(
        """
        [proxy]
        client-http-port = 9000
        connect_timeout = 5
        tls = false
        level = "debug"
        ciphers = ["x"]
        home = "/srv"
        password = "p"
        retries = 3
        """
    )
    proxy = Proxy(9000, 5.0, False, Level.DEBUG, ("x",), Path("/srv"), "p", 3)
    assert found == Server(proxy, Message(), MessageLog("/a"))
    assert type(found.proxy.connect_timeout) is float


def test_the_environment_goes_before_the_file(read):
    found = read(
        "[proxy]\nclient-http-port = 1\n",
        SILD_PROXY_CLIENT_HTTP_PORT="2",
        SILD_PROXY_CONNECT_TIMEOUT="1.5",
        SILD_PROXY_TLS="FALSE",
        SILD_PROXY_LEVEL="debug",
        SILD_PROXY_CIPHERS="x, y",
        SILD_PROXY_HOME="/srv",
        SILD_PROXY_RETRIES="",
        SILD_MESSAGE_LOG_SIZE="7",
        SILD_MESSAGE_LOG_ARCHIVE="/b",
    )
    proxy = Proxy(2, 1.5, False, Level.DEBUG, ("x", "y"), Path("/srv"), None, None)
    assert found == Server(proxy, Message(7), MessageLog("/b"))


def test_without_a_file_the_environment_and_defaults_are_enough():
    assert read_settings(Server, None, {"SILD_MESSAGE_LOG_ARCHIVE": "/a"}).proxy == Proxy()


def test_unknown_names_are_refused_with_the_nearest_known(read, tmp_path):
    path = tmp_path / "sild.toml"
    assert problems(read, "[proxi]\nx = 1\n[proxy]\nclient-http-prot = 1", SILD_PROXY_HOM="/") == (
        f"{path}: [proxi] is not known; the nearest that is known is proxy.",
        (
            f"{path}: [proxy] client-http-prot is not known; "
            "the nearest that is known is client-http-port."
        ),
        "SILD_PROXY_HOM in the environment is not known; the nearest that is known is home.",
    )


def test_variables_of_no_section_are_not_judged(read):
    read("", SILD_NO_SKIP="1", SILDPROXY="1", HOME="/")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("client-http-port = 0", "a whole number from 1 to 65535, found 0"),
        ("client-http-port = 65536", "a whole number from 1 to 65535, found 65536"),
        ('client-http-port = "80"', 'a whole number from 1 to 65535, found "80"'),
        ("client-http-port = true", "a whole number from 1 to 65535, found true"),
        ("client-http-port = 1.0", "a whole number from 1 to 65535, found 1.0"),
        ("connect-timeout = -1", "a number of at least 0, found -1.0"),
        ("connect-timeout = nan", "a number of at least 0, found NaN"),
        ("tls = 1", "true or false, found 1"),
        ('level = "INFO"', 'one of "info", "debug", found "INFO"'),
        ('ciphers = "a"', 'a list of texts, found "a"'),
        ("ciphers = [1]", "a list of texts, found [1]"),
        ("home = 1", "a path, found 1"),
        ('home = ""', 'a path, found ""'),
        ("password = 1234", "a text, found something else"),
        ("retries = 2026-01-01", 'a whole number, found "2026-01-01"'),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected_and_where(read, tmp_path, line, expected):
    name = line.split(" = ")[0]
    assert problems(read, f"[proxy]\n{line}\n") == (
        f"{tmp_path / 'sild.toml'}: [proxy] {name}: expected {expected}.",
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [("CLIENT_HTTP_PORT", ""), ("TLS", "yes"), ("LEVEL", ""), ("CONNECT_TIMEOUT", "nan")],
)
def test_a_wrong_value_in_the_environment_names_its_variable(read, name, text):
    (problem,) = problems(read, "", **{f"SILD_PROXY_{name}": text})
    assert problem.startswith(f"SILD_PROXY_{name}: expected ")


def test_a_key_written_twice_is_refused(read):
    (problem,) = problems(read, "[proxy]\nconnect-timeout = 1\nconnect_timeout = 2")
    assert problem.endswith("connect_timeout is set twice.")


def test_what_is_required_must_be_set(read):
    assert problems(read, "", required="") == ("[message-log] archive is required and is not set.",)


def test_a_section_may_refuse_what_does_not_fit_together(read):
    assert problems(read, "", required='[message-log]\narchive = "bad"') == (
        "[message-log] the archive must not be bad.",
    )


def test_a_section_is_a_table(read):
    (problem,) = problems(read, "proxy = 1")
    assert "proxy is a section, write [proxy]." in problem


def test_a_file_that_is_missing_or_no_toml_is_refused(tmp_path):
    path = tmp_path / "sild.toml"
    assert "cannot be read" in problems(read_settings, Server, path, {})[0]
    path.write_bytes(b"[proxy\n")
    assert "is not TOML" in problems(read_settings, Server, path, {})[0]
    path.write_bytes(b"\xff")
    assert "is not TOML" in problems(read_settings, Server, path, {})[0]


def test_a_description_masks_secrets_and_reads_back(read, tmp_path):
    found = read('[proxy]\npassword = "open sesame"\nlevel = "debug"\nhome = "/ä\\"b"\n')
    text = describe(found)
    assert "open sesame" not in text
    assert 'password = "********"' in text
    assert "# retries is not set" in text
    path = tmp_path / "again.toml"
    path.write_text(text.replace("********", "open sesame"))
    assert read_settings(Server, path, {}) == found


TOML = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="ascii")),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(Proxy.__slots__)), TOML, max_size=4))
def test_any_values_give_settings_or_a_settings_error(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("s") / "sild.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    path.write_text("\n".join(["[proxy]", *lines, REQUIRED]).replace("\x7f", ""))
    tomllib.loads(path.read_text())
    with contextlib.suppress(SettingsError):
        assert isinstance(read_settings(Server, path, {}), Server)
