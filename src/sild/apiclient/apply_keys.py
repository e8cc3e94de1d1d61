"""Tokens, keys and certificates: opened, made, certified, registered, and in use."""

from collections.abc import Iterator, Mapping
from typing import Any

from sild.apiclient.apply_errors import ApplyError, StillWaiting
from sild.apiclient.apply_foundation import pin_of
from sild.apiclient.apply_run import Call, Gate, Run
from sild.apiclient.apply_secrets import read_secret
from sild.apiclient.apply_values import CertificateOrder
from sild.apiclient.declared import AUTHENTICATION, SIGNING, DeclaredKey, DeclaredServer
from sild.apiclient.declared import DeclaredToken as Token
from sild.apiclient.declared_reading import keys_of, member_of
from sild.apiclient.errors import ApiError
from sild.apiclient.values import Answer, Octets, path_of

_GOOD = "OCSP_RESPONSE_GOOD"
_DEAD = frozenset({"OCSP_RESPONSE_REVOKED", "EXPIRED"})
_LEAVING = "DELETION_IN_PROGRESS"
_NOT_POSSIBLE = "action_not_possible"

Found = dict[str, Any]
"""A body that the server answered with."""


class Keys:
    """The keys of a declaration, and gates for who needs their certificates.

    `signing` has a gate for each member that is to have a signing certificate here, open when it
    can be used; `authenticated` opens when the authentication certificate is registered.
    """

    def __init__(self, run: Run, declared: DeclaredServer) -> None:
        self._run = run
        self._declared = declared
        self._wanted = [
            (token, key) for token in declared.tokens for key in keys_of(declared, token)
        ]
        signers = (self._member(key) for _, key in self._wanted if key.usage == SIGNING)
        self.signing: Mapping[str, Gate] = {member: Gate() for member in signers}
        self.authenticated = Gate()
        self._here: Mapping[str, Gate] = {member: Gate() for member in self.signing}
        self.note_client(declared.owner)

    def note_client(self, client: str) -> None:
        """A client is here by now: its member may have a signing certificate here."""
        gate = self._here.get(member_of(client))
        if gate is not None:
            gate.open()

    def no_more_clients(self) -> None:
        """Whoever is no client by now will not be."""
        for gate in self._here.values():
            gate.shut()

    async def make(self) -> None:
        """Do all of it, keys beside each other."""
        try:
            tokens = {} if self._run.blank else _by_id(await self._run.get("/tokens"))
            branches = []
            for token in self._declared.tokens:
                found = tokens.get(token.id)
                if found is None and not self._run.blank:
                    raise ApplyError(f"there is no token {token.id}")
                branches.append(self._token(token, found))
            await self._run.together(*branches)
        finally:
            self.authenticated.shut()
            for gate in self.signing.values():
                gate.shut()

    async def registered(self) -> bool:
        """Wait until the server is registered, and say whether it is.

        Without an authentication key in the declaration it is taken to be.
        """
        if not any(key.usage == AUTHENTICATION for _, key in self._wanted):
            return True
        return await self.authenticated.passed()

    async def signs_for(self, member: str) -> bool:
        """Wait until the member's certificate can be used, if one is declared."""
        gate = self.signing.get(member)
        return True if gate is None else await gate.passed()

    def _member(self, key: DeclaredKey) -> str:
        return key.member or self._declared.owner

    async def _token(self, declared: Token, found: Found | None) -> None:
        try:
            await self._open_and_fill(declared, found)
        finally:
            for key in keys_of(self._declared, declared):
                self._shut(key)

    async def _open_and_fill(self, declared: Token, found: Found | None) -> None:
        await self._open(declared, found)
        place = path_of("tokens", declared.id)
        if declared.name is not None and (found is None or found["name"] != declared.name):
            what = f"name the token {declared.id} {declared.name!r}"
            await self._run.change(what, Call("PATCH", place, {"name": declared.name}))
        keys = keys_of(self._declared, declared)
        known = found["keys"] if found else []
        await self._run.together(*(self._key(declared.id, key, known) for key in keys))

    async def _open(self, declared: Token, found: Found | None) -> None:
        if found is not None and found["logged_in"]:
            return
        pin, what = pin_of(self._declared, declared.id), f"log in to the token {declared.id}"
        if pin is None:
            raise StillWaiting([f"{what}: no PIN is declared"])
        body = {"password": ""} if self._run.dry else None
        body = body or {"password": await read_secret(pin, self._run.options.folder)}
        place = path_of("tokens", declared.id) + "/login"
        try:
            await self._run.change(what, Call("PUT", place, body))
        except ApiError as error:
            # A server that finds the PIN by itself may have been faster.
            if error.code != _NOT_POSSIBLE or not await self._is_open(declared):
                raise

    async def _is_open(self, declared: Token) -> bool:
        tokens: list[Found] = await self._run.get("/tokens")
        return any(each["id"] == declared.id and each["logged_in"] for each in tokens)

    def _shut(self, key: DeclaredKey) -> None:
        """Let go who waits for a key that nothing more is done for."""
        if key.usage == AUTHENTICATION:
            self.authenticated.shut()
        else:
            self.signing[self._member(key)].shut()

    async def _key(self, token: str, key: DeclaredKey, known: list[Found]) -> None:
        try:
            await self._make_key(token, key, known)
        finally:
            self._shut(key)

    async def _make_key(self, token: str, key: DeclaredKey, known: list[Found]) -> None:
        found = _find_key(key, self._member(key), known)
        certificate = found and _find_usable(found)
        if certificate and _of_other(key, self._member(key), certificate):
            raise ApplyError(
                f"the key {key.label} has a certificate of {certificate['owner_id']},"
                f" and {self._member(key)} is declared"
            )
        if not certificate:
            certificate = await self._certified(token, key, found)
        elif not certificate["saved_to_configuration"]:
            what = f"take over the certificate of {_named(key, self._member(key))} from its token"
            place = path_of("token-certificates", _hash(certificate)) + "/import"
            certificate = _json(await self._run.change(what, Call("POST", place)))
        if key.usage == AUTHENTICATION:
            await self._authenticate(certificate)
        else:
            await self._sign(self._member(key), certificate)

    async def _certified(self, token: str, key: DeclaredKey, found: Found | None) -> Found | None:
        """A certificate for a key that has none."""
        member = self._member(key)
        named = _named(key, member)
        if key.usage == SIGNING and not await self._here[member].passed():
            raise ApplyError(f"{named} is declared, and no client of {member} is here")
        order = await self._order(token, key, found)
        if order is None:
            await self._run.change(f"get and import a certificate for {named}", Call("POST", ""))
            return None
        certifier = self._run.options.certifier
        if certifier is None:
            raise StillWaiting([f"a certificate for {named}: nobody is named who gives any"])
        certificate = await self._run.until(
            certifier.wanted(order), lambda: certifier.certify(order)
        )
        what = f"import the certificate of {named}"
        call = Call("POST", "/token-certificates", upload=Octets(certificate or b""))
        answer = await self._run.change(what, call)
        return answer.json if answer else None

    async def _order(
        self, token: str, key: DeclaredKey, found: Found | None
    ) -> CertificateOrder | None:
        """The request of a key, of one that is made for it if there is none yet."""
        requests = found["certificate_signing_requests"] if found else ()
        member = self._member(key)
        request = next((each["id"] for each in requests if _requested(key, member, each)), None)
        key_id = found["id"] if found else ""
        if request is None:
            asked = await self._asked(key)
            if found is None:
                label = key.label or _label(key, member)
                what = f"make a key for {_named(key, member)} with a certificate request"
                body = {"key_label": label, "csr_generate_request": asked}
                place = path_of("tokens", token) + "/keys-with-csrs"
                made = _json(await self._run.change(what, Call("POST", place, body)))
            else:
                what = f"make a certificate request for {_named(key, member)}"
                place = path_of("keys", key_id)
                await self._run.change(what, Call("POST", f"{place}/csrs", asked))
                made = None if self._run.dry else _newest(await self._run.get(place))
            if made is None:
                return None
            key_id, request = made["key"]["id"], made["csr_id"]
        if self._run.dry:
            return None
        place = path_of("keys", key_id, "csrs", request)
        answer = await self._run.ask(Call("GET", place, query={"csr_format": "PEM"}))
        return CertificateOrder(key.usage, member, self._declared.id, key_id, answer.content)

    async def _asked(self, key: DeclaredKey) -> Found:
        """What a request is asked for with: the authority, and the fields of its subject."""
        if self._run.dry:
            return {}
        authority = await self._authority(key)
        query: dict[str, str | int | bool] = {"key_usage_type": key.usage}
        if key.usage == SIGNING:
            query |= {"member_id": self._member(key), "is_new_member": True}
        name = authority["name"]
        place = path_of("certificate-authorities", name) + "/csr-subject-fields"
        given = {**self._known_fields(key), **self._declared.fields, **key.fields}
        values, missing = {}, []
        for field in await self._run.get(place, query):
            value = field.get("default_value") or ""
            if not field["read_only"]:
                value = given.get(field["id"], value)
            if field["required"] and not value:
                missing.append(field["id"])
            values[field["id"]] = value
        if missing:
            raise ApplyError(
                f"{name} wants to know {', '.join(missing)} for"
                f" {_named(key, self._member(key))}: declare it in `fields`"
            )
        asked = {
            "key_usage_type": key.usage,
            "ca_name": name,
            "csr_format": authority.get("default_csr_format") or "PEM",
            "subject_field_values": {each: value for each, value in values.items() if value},
        }
        return asked | ({"member_id": self._member(key)} if key.usage == SIGNING else {})

    def _known_fields(self, key: DeclaredKey) -> dict[str, str]:
        """Fields that need not be declared: where the server is found."""
        address = self._declared.address
        is_server = key.usage == AUTHENTICATION
        return {"subjectAltName": address} | ({"CN": address} if is_server else {})

    async def _authority(self, key: DeclaredKey) -> Found:
        """The certification authority for a key; it may be approved only later."""
        wanted = key.authority or self._declared.authority
        query = {"key_usage_type": key.usage}

        async def approved() -> list[Found]:
            return [
                each
                for each in await self._run.get("/certificate-authorities", query)
                if key.usage == AUTHENTICATION or not each["authentication_only"]
            ]

        found = await self._run.until("any certification authority to be approved", approved) or []
        fitting = [each for each in found if wanted in (each["name"], None)]
        if len(fitting) != 1:
            names = ", ".join(each["name"] for each in found)
            raise ApplyError(f"which certification authority? Declare an `authority`: {names}")
        return fitting[0]

    async def _sign(self, member: str, certificate: Found | None) -> None:
        """Have a signing certificate in use."""
        named = f"the signing certificate of {member}"
        if certificate and _in_use(certificate):
            self.signing[member].open()
            return
        if certificate and not certificate["active"]:
            await self._activate(named, certificate)
        await self._run.until(
            f"a good OCSP response for {named}", lambda: self._is_good(certificate)
        )
        self.signing[member].open()

    async def _is_good(self, certificate: Found | None) -> bool:
        now = await self._certificate(certificate)
        return bool(now and _in_use(now))

    async def _authenticate(self, certificate: Found | None) -> None:
        """Have the authentication certificate registered and in use."""
        run = self._run
        if not await self.signs_for(self._declared.owner):
            return
        status = certificate["status"] if certificate else "SAVED"
        if certificate and status == "REGISTERED" and certificate["active"]:
            self.authenticated.open()
            return
        if status == "SAVED":
            place = path_of("token-certificates", _hash(certificate)) + "/register"
            address = {"address": self._declared.address}
            what = f"register the authentication certificate at {self._declared.address}"
            call = Call("PUT", place, address)
            await run.change_in_time(what, call, lambda: self._is_sent(certificate))
        waits = "the Central Server to register the authentication certificate"
        await run.until(waits, lambda: self._is_registered(certificate))
        now = await self._certificate(certificate) if not run.dry else certificate
        if now is None or not now["active"]:
            await self._activate("the authentication certificate", now)
        self.authenticated.open()

    async def _is_sent(self, certificate: Found | None) -> bool:
        now = await self._certificate(certificate)
        return bool(now and now["status"] in ("REGISTRATION_IN_PROGRESS", "REGISTERED"))

    async def _is_registered(self, certificate: Found | None) -> bool:
        now = await self._certificate(certificate)
        return bool(now and now["status"] == "REGISTERED")

    async def _activate(self, named: str, certificate: Found | None) -> None:
        place = path_of("token-certificates", _hash(certificate)) + "/activate"
        await self._run.change_in_time(
            f"activate {named}", Call("PUT", place), lambda: self._is_active(certificate)
        )

    async def _is_active(self, certificate: Found | None) -> bool:
        now = await self._certificate(certificate)
        return bool(now and now["active"])

    async def _certificate(self, certificate: Found | None) -> Found | None:
        """A certificate as it is now."""
        for token in await self._run.tokens():
            for each in _certificates(token["keys"]):
                if certificate and _hash(each) == _hash(certificate):
                    return each
        return None


def _by_id(tokens: list[Found]) -> dict[str, Found]:
    return {token["id"]: token for token in tokens}


def _certificates(keys: list[Found]) -> Iterator[Found]:
    for key in keys:
        yield from key["certificates"]


def _find_key(key: DeclaredKey, member: str, known: list[Found]) -> Found | None:
    """The key that is meant, the one with a certificate first if any will do."""
    if key.label is not None:
        named = (each for each in known if key.label in (each["label"], each["name"]))
        return next(named, None)
    fitting = [each for each in known if each.get("usage") == key.usage]
    for each in fitting:
        certificate = _find_usable(each)
        if certificate and not _of_other(key, member, certificate):
            return each
    for each in fitting:
        if any(_requested(key, member, r) for r in each["certificate_signing_requests"]):
            return each
    own = _label(key, member)
    return next((each for each in fitting if own in (each["label"], each["name"])), None)


def _find_usable(key: Found) -> Found | None:
    """The certificate of a key that can be used or become so, an active one first."""
    usable = [
        each
        for each in key["certificates"]
        if each["ocsp_status"] not in _DEAD and each["status"] != _LEAVING
    ]
    usable.sort(key=lambda each: not each["active"])
    return usable[0] if usable else None


def _in_use(certificate: Found) -> bool:
    return bool(certificate["active"] and certificate["ocsp_status"] == _GOOD)


def _of_other(key: DeclaredKey, member: str, certificate: Found) -> bool:
    return key.usage == SIGNING and certificate["owner_id"] != member


def _newest(key: Found) -> Found:
    """A key with the request that was made last."""
    return {"key": key, "csr_id": key["certificate_signing_requests"][-1]["id"]}


def _requested(key: DeclaredKey, member: str, request: Found) -> bool:
    return key.usage == AUTHENTICATION or request["owner_id"] == member


def _label(key: DeclaredKey, member: str) -> str:
    if key.usage == AUTHENTICATION:
        return "authentication"
    return " ".join(("sign", *member.split(":")[1:]))


def _named(key: DeclaredKey, member: str) -> str:
    return "authentication" if key.usage == AUTHENTICATION else f"signing as {member}"


def _hash(certificate: Found | None) -> str:
    return str(certificate["certificate_details"]["hash"]).upper() if certificate else "-"


def _json(answer: Answer | None) -> Any:
    return answer and answer.json
