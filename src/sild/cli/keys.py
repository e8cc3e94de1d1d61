"""`sild keys`: the tokens, keys and certificates of a server on this machine."""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sild.model.tokens import CertificateEntry, Key, Token

_DESCRIPTION = """\
Shows what the signer of a running server holds: its tokens, their keys and certificates, where
each stands, and what may be done with it now. Nothing is changed, and no key is shown.

    sild keys list --home HOME
    sild keys certificate 4e847e80... --home HOME
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "keys",
        help="show the tokens, keys and certificates of a server",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    acts = parser.add_subparsers(title="acts", metavar="ACT", required=True)
    listing = acts.add_parser("list", help="list tokens, keys and certificates")
    listing.set_defaults(run=run, act=_list)
    certificate = acts.add_parser("certificate", help="show all fields of a certificate")
    certificate.add_argument("sha256", help="the certificate's SHA-256, or as it begins")
    certificate.set_defaults(run=run, act=_certificate)
    for act in (listing, certificate):
        act.add_argument(
            "--home", type=Path, required=True, help="the directory that holds all of the server"
        )
        act.add_argument("--json", action="store_true", help="print JSON")


def run(asked: argparse.Namespace) -> int:
    """Ask the signer, and tell."""
    from sild.components.signer.rpc import connect_control
    from sild.runtime.rpc import RpcError, close_rpc
    from sild.servers.layout import Layout

    async def tokens() -> "tuple[Token, ...]":
        signer = connect_control(Layout(asked.home.absolute()).signer_admin_socket)
        try:
            return await signer.tokens()
        finally:
            close_rpc(signer)

    try:
        found = asyncio.run(tokens())
    except RpcError as error:
        print(f"the signer of {asked.home} does not answer: {error}", file=sys.stderr)
        return 1
    code: int = asked.act(asked, found)
    return code


def _list(asked: argparse.Namespace, tokens: "tuple[Token, ...]") -> int:
    if asked.json:
        print(json.dumps([_token(token) for token in tokens], indent=2))
        return 0
    for token in tokens:
        told = _token(token)
        print(f"token {token.id}  {token.label}  {told['state']}  ({_words(told)})")
        for key in told["keys"]:
            usage = (key["usage"] or "no purpose yet").lower()
            print(f"  key {key['id'][:16]}  {key['label']}  {key['algorithm']}  {usage}")
            for request in key["requests"]:
                print(f"    request {request['id'][:16]}  {request['subject']}")
            for certificate in key["certificates"]:
                active = "active" if certificate["active"] else "not active"
                print(
                    f"    certificate {certificate['sha256'][:16]}  {certificate['subject']}  "
                    f"{certificate['status']}, {active}, until {certificate['not_after']}  "
                    f"({_words(certificate)})"
                )
    return 0


def _words(told: "dict[str, Any]") -> str:
    actions = told["possible_actions"]
    return ", ".join(each.lower().replace("_", " ") for each in actions) or "nothing to do"


def _certificate(asked: argparse.Namespace, tokens: "tuple[Token, ...]") -> int:
    from sild.adminapi.certificates import CertificateDetails
    from sild.protocol.pki.certificate import read_certificate

    wanted = asked.sha256.replace(":", "").lower()
    entries = [
        (token, entry)
        for token in tokens
        for key in token.keys
        for entry in key.certificates
        if wanted and entry.sha256.startswith(wanted)
    ]
    if len(entries) != 1:
        why = "there is none" if not entries else "there are several"
        print(f"{asked.sha256}: {why} that begins so", file=sys.stderr)
        return 1
    ((token, entry),) = entries
    details = CertificateDetails.of(read_certificate(entry.certificate)).model_dump(
        mode="json", exclude_none=True
    )
    told = {**_entry(token, entry), "details": details}
    if asked.json:
        print(json.dumps(told, indent=2))
        return 0
    for name, value in {**{k: v for k, v in told.items() if k != "details"}, **details}.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        print(f"{name.replace('_', ' ')}: {shown}")
    return 0


def _token(token: "Token") -> "dict[str, Any]":
    from sild.model.tokens import possible_actions_of

    return {
        "id": token.id,
        "label": token.label,
        "type": token.type,
        "status": token.status.value,
        "state": token.state.value,
        "possible_actions": _names(possible_actions_of(token)),
        "keys": [_key(token, key) for key in token.keys],
    }


def _key(token: "Token", key: "Key") -> "dict[str, Any]":
    from sild.model.tokens import possible_actions_of

    return {
        "id": key.id,
        "label": key.label,
        "usage": key.usage.value if key.usage else None,
        "algorithm": key.algorithm.value,
        "available": key.id in token.available_keys,
        "possible_actions": _names(possible_actions_of(token, key)),
        "certificates": [_entry(token, entry) for entry in key.certificates],
        "requests": [{"id": each.id, "subject": each.subject} for each in key.requests],
    }


def _entry(token: "Token", entry: "CertificateEntry") -> "dict[str, Any]":
    from sild.model.tokens import possible_actions_of
    from sild.protocol.pki.certificate import read_certificate

    certificate = read_certificate(entry.certificate)
    return {
        "sha256": entry.sha256,
        "subject": certificate.name,
        "issuer": certificate.issuer_name,
        "not_before": f"{certificate.not_before:%F}",
        "not_after": f"{certificate.not_after:%F}",
        "status": entry.status.value,
        "active": entry.active,
        "saved": entry.saved,
        "member": entry.member.encoded if entry.member else None,
        "possible_actions": _names(possible_actions_of(token, entry)),
    }


def _names(actions: Any) -> list[str]:
    return sorted(action.value for action in actions)
