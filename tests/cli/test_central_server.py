"""`sild central-server` as people run it: what it says, and how it ends."""

import errno
import io
import json
import signal
import socket
import ssl
import subprocess
import sys
import time

import httpx
import pytest

from ports import base_port
from sild.cli.main import main
from sild.devnet.ports import free_ports
from sild.servers.doors import CannotListen

ADDRESS = "127.0.75.1"
ROLE = "XROAD_REGISTRATION_OFFICER"
PASSWORD = "Correct-horse-battery-1"
SECONDS = 180


def sild(*arguments, given=None, **environment):
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "sild", "central-server", *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


def write_settings(home, **sections):
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "sild.toml").write_text(
        "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
            for name, keys in sections.items()
        )
    )


def test_help_says_what_it_runs_and_how_to_begin():
    done = sild("--help")
    assert done.returncode == 0
    for words in ("management API (port 4000)", "(4001)", "(4002)", "80 and 443", "user add admin"):
        assert words in done.stdout


def test_without_a_home_it_says_that_it_needs_one():
    done = sild()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "sild central-server: --home says where the server is\n"


def test_check_prints_the_settings_that_would_be_used_but_no_secret(tmp_path):
    url = "postgresql://sild:Very-secret@db.example/central"
    write_settings(tmp_path, center={"database": url, "ha-node-name": "node_7"})
    done = sild("--check", "--home", str(tmp_path), SILD_LISTENERS_API_PORT="14000")
    assert (done.returncode, done.stderr) == (0, "")
    assert 'ha-node-name = "node_7"' in done.stdout
    assert "api-port = 14000" in done.stdout
    assert "Very-secret" not in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["sild.toml"]


@pytest.mark.parametrize("content", [b"[center\n", b"\xff\xfe", b"[center]\nha-node = 'x'\n", None])
def test_settings_that_cannot_be_read_are_told_in_a_sentence(tmp_path, capsys, content):
    file = tmp_path / "sild.toml"
    file.mkdir() if content is None else file.write_bytes(content)
    for more in ((), ("--check",)):
        assert main(["central-server", "--home", str(tmp_path), *more]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert str(file) in said.err or "ha-node" in said.err
        assert len(said.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["sild.toml"]


WRONG = {
    "no url at all": "the database's address is not a URL",
    "mysql://sild@db.example/central": "a database of 'mysql' is not supported",
    "postgresql://sild@127.0.75.1:1/central": "the database cannot be reached",
}


@pytest.mark.parametrize("url", WRONG)
def test_a_database_that_cannot_be_used_is_told_in_a_sentence(tmp_path, capsys, url):
    write_settings(tmp_path, center={"database": url})
    assert main(["central-server", "user", "list", "--home", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert said.err.startswith(f"sild: {WRONG[url]}")


def test_a_server_does_not_start_without_its_database(tmp_path):
    url, said = list(WRONG.items())[-1]
    write_settings(tmp_path, center={"database": url})
    done = sild("--home", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_home_that_cannot_be_is_told_in_a_sentence():
    done = sild("--home", "/proc/nowhere/home")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("sild: the server is not started: ")
    assert len(done.stderr.splitlines()) == 1


def test_accounts_are_not_looked_for_where_there_is_no_server(tmp_path, capsys):
    home = tmp_path / "elsewhere"
    assert main(["central-server", "user", "list", "--home", str(home)]) == 1
    assert capsys.readouterr() == ("", f"sild: there is no directory {home}\n")
    assert not home.exists()


def test_accounts_come_and_go_beside_the_server(tmp_path, capsys, monkeypatch):
    def run(*arguments, code=0, given=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{given}\n"))
        home = ("--home", str(tmp_path))
        assert main(["central-server", "user", *arguments, *home]) == code
        return capsys.readouterr()

    add = ("add", "kati", "--role", ROLE)
    assert run(*add, given=PASSWORD) == (f"kati was added: {ROLE}\n", "")
    assert run(*add, given=PASSWORD, code=1) == ("", "sild: there is a user kati already\n")
    run("password", "kati", given="kati", code=1)
    run("password", "kati", given=PASSWORD * 2)
    assert "are not all roles" in run("roles", "kati", "--role", "KING", code=1).err
    officer = "XROAD_SECURITY_OFFICER"
    assert run("roles", "kati", "--role", officer).out == f"kati: {officer}\n"
    assert json.loads(run("list", "--json").out) == [{"name": "kati", "roles": [officer]}]
    assert "nobody" in run("remove", "nobody", code=1).err
    assert run("remove", "kati").out == "kati was removed\n"
    assert run("list").out == ""


@pytest.mark.feature("US-03")
def test_a_taken_port_is_told_and_tried_again_and_an_account_made_meanwhile_logs_in(tmp_path):
    api, *others = free_ports(base_port(), [ADDRESS], 4)
    names = ("registration-port", "management-port", "configuration-http-port")
    listeners = {"listen-address": ADDRESS, "api-port": api, "configuration-https-port": 0}
    listeners |= dict(zip(names, others, strict=True))
    home = tmp_path / "home"
    write_settings(home, listeners=listeners, server={"tls-host": ADDRESS})
    log = tmp_path / "log"
    command = [sys.executable, "-m", "sild", "central-server", "--home", str(home)]
    with socket.socket() as taken, log.open("wb") as output:
        taken.bind((ADDRESS, api))
        taken.listen()
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            said = f"cannot listen on {ADDRESS} port {api}: Address already in use"
            wait_until(lambda: said in log.read_text(), "the port is told")
            taken.close()
            wait_until(lambda: "nobody can log in" in log.read_text(), "nobody is warned of")
            given = f"{PASSWORD}\n"
            arguments = ("user", "add", "kati", "--role", ROLE, "--home", str(home))
            assert sild(*arguments, given=given).returncode == 0
            wait_until(lambda: logs_in(home, api), "an account logs in")
            again = sild("--home", str(home))
            assert again.returncode == 1
            assert f"another process runs in {home} already" in again.stderr
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(SECONDS)
    assert code == 0
    assert "Traceback" not in log.read_text()


def test_a_port_that_may_not_be_listened_on_is_told_with_what_helps():
    said = str(CannotListen.at("0.0.0.0", 80, PermissionError(errno.EACCES, "Permission denied")))
    assert said.startswith("cannot listen on 0.0.0.0 port 80: Permission denied; ")
    assert "CAP_NET_BIND_SERVICE" in said


def test_a_tls_file_that_is_none_is_told_in_a_sentence(tmp_path):
    home, log = tmp_path / "home", tmp_path / "log"
    write_settings(home, listeners={"listen-address": ADDRESS})
    (home / "api-tls.pem").write_text("rubbish")
    command = [sys.executable, "-m", "sild", "central-server", "--home", str(home)]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            said = f"{home}/api-tls.pem does not hold a private key and its certificate"
            wait_until(lambda: said in log.read_text(), "what is wrong with the file")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(SECONDS)
    assert "Traceback" not in log.read_text()


def logs_in(home, port):
    context = ssl.create_default_context(cafile=home / "api-tls.pem")
    form = {"username": "kati", "password": PASSWORD}
    try:
        answer = httpx.post(
            f"https://{ADDRESS}:{port}/login",
            data=form,
            verify=context,
            trust_env=False,
            timeout=60,
        )
    except httpx.TransportError:
        return False
    assert answer.status_code == 200
    return True


def wait_until(question, what):
    deadline = time.monotonic() + SECONDS
    while not question():
        assert time.monotonic() < deadline, f"not within {SECONDS} s: {what}"
        time.sleep(0.05)
