"""Anchor, owner, code and software token: what a server needs before all else."""

from typing import Any

from sild.apiclient.apply_errors import ApplyError
from sild.apiclient.apply_run import Call, Run
from sild.apiclient.apply_secrets import read_file, read_secret
from sild.apiclient.declared import SOFTWARE_TOKEN, DeclaredServer, Secret
from sild.apiclient.values import Octets
from sild.runtime.fetch import Fetcher, FetchError, FetchLimits, FetchRequest

_LARGEST_ANCHOR = 1024**2


async def lay_foundation(run: Run, declared: DeclaredServer) -> None:
    """Make the server that one which is declared; raises ApplyError if it is another already."""
    status = await run.get("/initialization/status")
    if declared.anchor is not None:
        await _anchor(run, declared, imported=status["is_anchor_imported"])
    elif not status["is_anchor_imported"]:
        raise ApplyError("the server has no configuration anchor, and none is declared")
    await _initialize(run, declared, status)
    known = status["is_server_owner_initialized"] and status["is_server_code_initialized"]
    if known or not run.dry:
        await _check_identity(run, declared)
    else:
        run.blank = True


async def _anchor(run: Run, declared: DeclaredServer, *, imported: bool) -> None:
    anchor = Octets(await _read_anchor(run, declared.anchor or ""))
    query = {"validate_instance": imported}
    preview = await run.ask(Call("POST", "/system/anchor/previews", upload=anchor, query=query))
    found = _plain(preview.json["hash"])
    if declared.anchor_hash is not None and found != _plain(declared.anchor_hash):
        raise ApplyError(f"the anchor {declared.anchor} has the hash {found}, another is declared")
    place = "/system/anchor"
    if not imported:
        await run.change("upload the configuration anchor", Call("POST", place, upload=anchor))
    elif _plain((await run.get(place))["hash"]) != found:
        await run.change("replace the configuration anchor", Call("PUT", place, upload=anchor))


def _plain(digest: str) -> str:
    return digest.replace(":", "").upper()


async def _read_anchor(run: Run, place: str) -> bytes:
    if "://" not in place:
        return await read_file(run.options.folder / place, _LARGEST_ANCHOR)
    if not place.startswith("https://"):
        # Whoever may change the answer would govern the server.
        raise ApplyError(f"the anchor {place} is not fetched without TLS")
    try:
        async with Fetcher(FetchLimits(body=_LARGEST_ANCHOR, redirects=3)) as fetcher:
            answer = await fetcher.fetch(FetchRequest(place))
    except FetchError as error:
        raise ApplyError(f"the anchor cannot be fetched: {error}") from error
    if answer.status != 200:
        raise ApplyError(f"the anchor {place} is not there: status {answer.status}")
    return answer.body


async def _initialize(run: Run, declared: DeclaredServer, status: dict[str, Any]) -> None:
    body: dict[str, Any] = {}
    if not status["is_server_owner_initialized"]:
        _, body["owner_member_class"], body["owner_member_code"] = declared.owner.split(":")
    if not status["is_server_code_initialized"]:
        body["security_server_code"] = declared.code
    if status["software_token_init_status"] == "NOT_INITIALIZED":  # noqa: S105 - a state
        # A dry run asks for no secrets.
        body["software_token_pin"] = None if run.dry else await _software_pin(run, declared)
    if body:
        call = Call("POST", "/initialization", body | {"ignore_warnings": True})
        await run.change(f"initialise the server {declared.id}", call)


async def _software_pin(run: Run, declared: DeclaredServer) -> str:
    pin = pin_of(declared, SOFTWARE_TOKEN)
    if pin is None:
        raise ApplyError("the software token is to be made, and no PIN is declared for it")
    return await read_secret(pin, run.options.folder)


def pin_of(declared: DeclaredServer, token_id: str) -> Secret | None:
    """Where the PIN of a token stands."""
    for token in declared.tokens:
        if token.id == token_id and token.pin is not None:
            return token.pin
    return declared.pin if token_id == SOFTWARE_TOKEN else None


async def _check_identity(run: Run, declared: DeclaredServer) -> None:
    (server,) = await run.get("/security-servers", {"current_server": True})
    if server["id"] != declared.id:
        raise ApplyError(f"the server is {server['id']}, and {declared.id} is declared")
