"""`sild apply` makes a server what a file declares, tells so, and ends with a code."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager

import pytest

from apiclient.pretended_server import PretendedServer
from apiclient.served import serving
from sild.apiclient.declared_reading import read_declared
from sild.cli import main
from sild.cli.apply import EXAMPLE
from sild.runtime.files import write_private
from sild.runtime.yaml import read_yaml

pytestmark = pytest.mark.anyio

FILE = """
owner: DEV:GOV:1
code: ss1
address: ss1.example
anchor: anchor.xml
pin: {file: pin}
fields: {C: EE}
clients:
  - id: DEV:GOV:1:register
    services:
      - {type: REST, code: things, url: "http://10.0.0.1/", access: ["DEV:GOV:1:register"]}
"""
# Answers a request as the pretended server's authority would.
SIGNING = "import sys; print(sys.stdin.read().replace('request', 'certificate'), end='')"


@asynccontextmanager
async def a_shell(tmp_path, capsys, **server):
    (tmp_path / "anchor.xml").write_bytes(b"<anchor/>")
    (tmp_path / "server.yaml").write_text(FILE)
    write_private(tmp_path / "pin", b"1234\n")
    pretended = PretendedServer(**server)
    async with serving(pretended.application, tmp_path) as served:
        options = ("--server", served.url, "--ca-file", str(served.file))

        async def shell(*words):
            capsys.readouterr()
            command = ["apply", str(tmp_path / "server.yaml"), *options, *words]
            code = await asyncio.to_thread(main, command)
            printed = capsys.readouterr()
            return code, printed.out, printed.err

        shell.server = pretended
        shell.certifying = ("--certificate-command", f'{sys.executable} -c "{SIGNING}"')
        yield shell


async def test_a_file_is_applied_and_applied_again(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        code, printed, complained = await shell(*shell.certifying)
        assert (code, complained) == (0, "")
        assert "+ initialise the server DEV:GOV:1:ss1\n" in printed
        assert "+ register the client DEV:GOV:1:register\n" in printed
        code, printed, _ = await shell(*shell.certifying)
        assert code == 0
        assert "nothing was changed" in printed
        assert len(printed.splitlines()) == 1


async def test_a_dry_run_has_a_code_of_its_own_when_there_are_differences(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        code, printed, _ = await shell("--dry-run")
        assert code == 6
        assert "~ add the client DEV:GOV:1:register\n" in printed
        assert shell.server.calls == []
        await shell(*shell.certifying)
        assert (await shell("--dry-run"))[0] == 0


async def test_certificates_are_picked_up_from_a_folder(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        code, _, complained = await shell("--no-wait")
        assert code == 5
        folder = tmp_path / "certificates"
        requests = sorted(folder.glob("*.csr.pem"))
        assert len(requests) == 2
        for request in requests:
            assert request.name.replace(".csr.pem", ".pem") in complained
            made = request.read_bytes().replace(b"request", b"certificate")
            request.with_name(request.name.replace(".csr.pem", ".crt")).write_bytes(made)
        assert (await shell())[0] == 0


async def test_what_is_waited_for_and_what_failed_is_told(tmp_path, capsys):
    async with a_shell(tmp_path, capsys, approves=False) as shell:
        code, printed, complained = await shell(*shell.certifying, "--timeout", "0.5")
        waits = "the Central Server to register the authentication certificate"
        assert code == 5
        assert f"waiting: {waits}" in printed
        assert waits in complained
        with (tmp_path / "server.yaml").open("a") as file:
            file.write("timestamping: [nobody]\n")
        code, printed, complained = await shell(*shell.certifying, "--no-wait")
        assert code == 1
        assert "no time-stamping service nobody is approved" in complained


async def test_json_tells_what_was_changed_and_what_is_waited_for(tmp_path, capsys):
    async with a_shell(tmp_path, capsys, approves=False) as shell:
        code, printed, _ = await shell("--json", "--no-wait", *shell.certifying)
        told = json.loads(printed)
        assert code == 5
        assert "initialise the server DEV:GOV:1:ss1" in told["changed"]
        assert told["waiting"] == ["the Central Server to register the authentication certificate"]
        shell.server.approve()
        await shell(*shell.certifying, "--no-wait")
        shell.server.approve()
        code, printed, _ = await shell("--json", *shell.certifying)
        assert (code, json.loads(printed)["differences"]) == (0, [])


async def test_a_file_that_is_not_understood_is_told_before_anything_is_done(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        (tmp_path / "server.yaml").write_text(FILE.replace("code: ss1", "code: 1"))
        code, _, complained = await shell()
        assert (code, "code: Expected `str`" in complained) == (2, True)
        assert shell.server.asked == []


async def test_no_secret_is_told(tmp_path, capsys):
    async with a_shell(tmp_path, capsys) as shell:
        write_private(tmp_path / "pin", b"canary-5417")
        _, printed, complained = await shell(*shell.certifying)
        assert shell.server.pin == "canary-5417"
        assert "canary" not in printed + complained


async def test_the_example_is_a_declaration(capsys):
    assert main(["apply", "--example"]) == 0
    declared = read_declared(read_yaml(capsys.readouterr().out))
    assert declared == read_declared(read_yaml(EXAMPLE))
    (client,) = declared.clients
    assert len(client.services) == 3
    assert main(["apply"]) == 2
