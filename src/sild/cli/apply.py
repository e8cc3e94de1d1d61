"""`sild apply`: make a security server what a file declares."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sild.cli.ctl import speak
from sild.cli.ctl_printing import to_json
from sild.cli.ctl_server import add_server_options

if TYPE_CHECKING:
    from sild.apiclient.apply_values import Event, Options, Outcome
    from sild.apiclient.client import ApiClient
    from sild.apiclient.declared import DeclaredServer

_DESCRIPTION = """\
Makes a security server what a file declares: step by step, through its management API, and only
what differs. It waits for what others have to do (certificates, approvals, OCSP responses, the
global configuration) and says so. A second run changes nothing; after a run that was stopped, run
it again.

    sild apply server.yaml --dry-run        tells what differs, and changes nothing
    sild apply server.yaml

An example of a file is printed by: sild apply --example
"""
_EPILOG = """\
certificates:
  Requests are written to the folder `certificates` beside the file, or to that of --certificates;
  put each certificate beside its request, under the name that is told. With --certificate-command
  a command reads each request (PEM, on its standard input) and prints the certificate, or nothing
  if there is none yet; the usage, the member and a name are its last arguments.

exit status:
  0  the server is what is declared
  1  refused or failed, for reasons that are told; what does not need that was done
  2  the file or the command is not understood
  3  the server cannot be reached, or is not the one that is trusted
  5  everything is done that could be, and others are still to do what is told
  6  a dry run found differences

The server and who you are: as for sild ctl.
"""
EXAMPLE = """\
# A security server, as sild apply makes it. What is left out keeps its default; what a client
# does not have here is removed from it.
owner: DEV:GOV:1234
code: ss1
address: ss1.example.org
anchor: configuration_anchor.xml     # a file beside this one, or an https address
# anchor-hash: "00:11:..."           # what the Central Server's administrators say it is
pin:
  file: software-token.pin           # or environment: NAME, or command: [vault, read, pin]

# Keys: without `tokens`, the software token has an authentication key, and a signing key for the
# owner and for each other member among the clients. A device is said so:
# tokens:
#   - keys: [{usage: AUTHENTICATION}]
#   - id: "1"
#     pin: {environment: HSM_PIN}
#     keys: [{usage: SIGNING, member: "DEV:GOV:1234"}]
# authority: Test CA                 # if more than one is approved
fields:                              # what the authority wants to know in requests
  C: EE
  O: Ministry of Things

timestamping: all                    # or names of approved services
maintenance: false

clients:
  - id: DEV:GOV:1234:register
    name: Register of things
    connection-type: HTTPS           # HTTP, HTTPS or HTTPS_NO_AUTH
    certificates: [register.pem]     # of its information systems
    groups:
      - code: friends
        description: Who may look
        members: ["DEV:COM:5678:shop"]
    services:
      - type: REST
        code: things
        url: https://10.0.0.2/things
        timeout: 60
        verify-tls: true
        access: ["DEV:GOV:9999:portal", friends]
        endpoints:
          - {method: GET, path: /public/*, access: ["DEV:authorities"]}
      - type: OPENAPI3
        code: pets
        url: https://10.0.0.2/openapi.yaml
        endpoints:
          - {method: GET, path: "/pets/*", access: [friends]}
      - type: WSDL
        url: https://10.0.0.2/service?wsdl
        service-url: https://10.0.0.2/service
        access: ["DEV:GOV:9999:portal"]
        services:
          - {code: getThing.v1, timeout: 10, access: [friends]}
        disabled: Closed for the summer
"""
_NOT_UNDERSTOOD, _WAITING, _DIFFERENT = 2, 5, 6
_SIGNS = {"done": "+", "would": "~", "waits": "waiting:"}


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "apply",
        help="make a security server what a file declares",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="what is declared, YAML")
    parser.add_argument("--example", action="store_true", help="print an example of a file")
    parser.add_argument("--dry-run", action="store_true", help="tell what differs, change nothing")
    parser.add_argument(
        "--prune", action="store_true", help="unregister and delete clients that are not declared"
    )
    parser.add_argument("--no-wait", action="store_true", help="do what can be done, then end")
    parser.add_argument(
        "--timeout", type=float, default=600.0, metavar="SECONDS", help="to wait in all, 600"
    )
    certificates = parser.add_mutually_exclusive_group()
    certificates.add_argument(
        "--certificates", type=Path, metavar="FOLDER", help="for requests and certificates"
    )
    certificates.add_argument(
        "--certificate-command", metavar="COMMAND", help="that answers requests with certificates"
    )
    parser.add_argument("--json", action="store_true", help="print JSON when it ends")
    add_server_options(parser)
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    """Apply the file, and give the exit code."""
    from sild.apiclient.apply_errors import DeclarationError
    from sild.apiclient.declared_reading import read_declared_file

    if asked.example:
        print(EXAMPLE, end="")
        return 0
    if asked.file is None:
        print("sild apply: which FILE? --example prints one", file=sys.stderr)
        return _NOT_UNDERSTOOD
    try:
        declared = read_declared_file(asked.file)
    except DeclarationError as error:
        print(f"sild: {error}", file=sys.stderr)
        return _NOT_UNDERSTOOD
    return speak(asked, lambda client: _apply(client, declared, asked))


async def _apply(client: "ApiClient", declared: "DeclaredServer", asked: argparse.Namespace) -> int:
    from sild.apiclient.apply import apply
    from sild.apiclient.apply_errors import ApplyFailed, StillWaiting
    from sild.apiclient.errors import ApiClientError, ApiUnreachable

    events: list[Event] = []
    try:
        outcome = await apply(declared, client, _options(asked), _telling(asked, events))
    except ApiUnreachable:
        raise
    except (StillWaiting, ApplyFailed) as error:
        waits = isinstance(error, StillWaiting)
        _tell_stopped(asked, events, error.reasons, waits=waits)
        return _WAITING if waits else 1
    except ApiClientError as error:
        _tell_stopped(asked, events, (str(error),), waits=False)
        return 1
    if asked.json:
        print(to_json(_told(events)), end="")
    elif not outcome.changed:
        print(f"{declared.id} is what {asked.file} declares; nothing was changed")
    else:
        print(_sentence(outcome))
    return _DIFFERENT if outcome.changed and outcome.dry_run else 0


def _options(asked: argparse.Namespace) -> "Options":
    from sild.apiclient.apply_certifying import CertificateCommand, CertificateFolder
    from sild.apiclient.apply_values import Certifier, Options

    folder = asked.file.absolute().parent
    certifier: Certifier
    if asked.certificate_command:
        certifier = CertificateCommand(shlex.split(asked.certificate_command), folder)
    else:
        certifier = CertificateFolder(asked.certificates or folder / "certificates")
    return Options(
        folder=folder,
        certifier=certifier,
        dry_run=asked.dry_run,
        wait=not asked.no_wait,
        timeout=asked.timeout,
        prune=asked.prune,
    )


def _telling(asked: argparse.Namespace, events: "list[Event]") -> Any:
    def tell(event: "Event") -> None:
        events.append(event)
        if not asked.json:
            print(f"{_SIGNS[event.happening.value]} {event.what}", flush=True)

    return tell


def _told(events: "list[Event]") -> dict[str, Any]:
    from sild.apiclient.apply_values import Happening

    of = {each: [e.what for e in events if e.happening is each] for each in Happening}
    return {"changed": of[Happening.DONE], "differences": of[Happening.WOULD]}


def _tell_stopped(
    asked: argparse.Namespace, events: "list[Event]", reasons: tuple[str, ...], *, waits: bool
) -> None:
    if asked.json:
        told = _told(events) | {"waiting" if waits else "failed": list(reasons)}
        print(to_json(told), end="")
        return
    title = "still waiting for others:" if waits else "not all is as it is declared:"
    print(f"sild: {title}", file=sys.stderr)
    for reason in reasons:
        print(f"  {reason}", file=sys.stderr)


def _sentence(outcome: "Outcome") -> str:
    count = len(outcome.changes)
    what = "difference" if outcome.dry_run else "change"
    told = f"{count} {what}{'' if count == 1 else 's'}"
    return f"{told}; nothing was changed, as this is a dry run" if outcome.dry_run else told
