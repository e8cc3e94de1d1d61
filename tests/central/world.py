"""What a Central Server was told and has acknowledged, beside what it shows."""

from central.nodes import OPERATOR
from sild.apiclient.errors import ApiError, ApiUnreachable

GROUP = "everybody"
NOTHING = None
IDLE, SIGNING, LOST = "idle", "signing", "lost"
"""What a key does; a lost one stands in the database, and not on the token any more."""
_ALL = {"limit": 10_000}


class Stopped(Exception):
    """No more changes are wanted, or nobody answered the last one."""


class World:
    """What may be there, by name: one state or, where a call was not answered, one of several."""

    def __init__(self, node):
        self.node = node
        self.allowed = {}
        self.stopping = False
        self.done = self.doubtful = self.refused = 0
        self._keys_in_doubt = 0

    async def change(self, then, *call, also=(), via=None):
        """Make a call after which things are as is said, by name; give the answer.

        Meanwhile each is as it was, or so already, or as `also` says. Raises Stopped, and ApiError
        where nothing has happened.
        """
        before = {name: self.allowed.get(name, {NOTHING}) for name in then}
        self.allowed |= {name: before[name] | {then[name], *also} for name in then}
        try:
            answer = await self._call(*call, via=via)
        except ApiError:
            self.allowed |= {name: before[name] | {*also} for name in then}
            raise
        self.allowed |= {name: {state} for name, state in then.items()}
        return answer

    async def add_key(self, *call):
        """Make a signing key, whose name its maker tells."""
        try:
            made = await self._call(*call)
        except Stopped:
            self._keys_in_doubt += 1
            raise
        self.allowed[f"key {made['id']}"] = {IDLE}
        return made

    async def _call(self, method, path, body=None, via=None):
        if self.stopping:
            raise Stopped
        client = via or self.node.client
        try:
            answer = await client.call(method, path, json=body)
        except ApiUnreachable as error:
            self.doubtful += 1
            raise Stopped from error
        except ApiError:
            self.refused += 1
            raise
        self.done += 1
        return answer.json if answer.content else None

    async def check(self):
        """Compare with what is there, and go on from that."""
        observed = await self.observe()
        for name in sorted({*observed, *self.allowed}):
            self._know_key(name)
            allowed = self.allowed.get(name, {NOTHING})
            there = observed.get(name, NOTHING)
            assert there in allowed, f"{name} is {there}, where {allowed} could be"
        self.go_on_from(observed)

    def go_on_from(self, observed):
        """From now on this is what was there."""
        self.allowed = {name: {state} for name, state in observed.items()}
        self._keys_in_doubt = 0

    async def observe(self):
        """Everything that is there, by name."""
        return await self._members() | await self._servers() | await self._keys()

    async def _group(self, code):
        filtered = {"paging_sorting": _ALL}
        page = await self.node.ask("POST", f"/global-groups/{code}/members", filtered)
        return {each["client_id"]["encoded_id"] for each in page["items"]}

    async def _members(self):
        """Of each its name, whether it has a subsystem, and how many of both are in the group."""
        page = await self.node.ask("GET", "/clients", query=_ALL)
        names, subsystems = {}, set()
        for client in page["clients"]:
            code = client["client_id"]["member_code"]
            if "subsystem_code" in client["client_id"]:
                subsystems.add(code)
            else:
                names[code] = client["member_name"]
        assert subsystems <= set(names)
        grouped = await self._group(GROUP)
        return {
            f"member {code}": (
                name,
                code in subsystems,
                len(grouped & {f"DEV:GOV:{code}", f"DEV:GOV:{code}:s"}),
            )
            for code, name in names.items()
            if code != OPERATOR.member_code
        }

    async def _servers(self):
        """Of each how its registration stands, its address, certificates, and whether it left."""
        ask = self.node.ask
        page = await ask("GET", "/security-servers", query=_ALL)
        addresses = {
            each["server_id"]["encoded_id"]: each["server_address"] for each in page["items"]
        }
        certificates = {
            server: len(await ask("GET", f"/security-servers/{server}/authentication-certificates"))
            for server in addresses
        }
        registrations, left = {}, set()
        for request in (await ask("GET", "/management-requests", query=_ALL))["items"]:
            server = request["security_server_id"]["encoded_id"]
            if request["type"] == "AUTH_CERT_REGISTRATION_REQUEST":
                registrations[server] = request["status"]
            else:
                assert request["type"] == "AUTH_CERT_DELETION_REQUEST"
                left.add(server)
        assert set(addresses) <= set(registrations)
        # Whoever owns a server is in this group, and nobody else.
        owners = {OPERATOR.encoded.partition(":")[2]} if addresses else set()
        there = {each.partition(":")[2] for each in await self._group("security-server-owners")}
        assert there == owners
        return {
            f"server {server}": (
                status,
                addresses.get(server),
                certificates.get(server, 0),
                server in left,
            )
            for server, status in registrations.items()
        }

    def _know_key(self, name):
        """A key whose making was not answered may be there."""
        if self._keys_in_doubt and name not in self.allowed and name.startswith("key "):
            self._keys_in_doubt -= 1
            self.allowed[name] = {IDLE}

    async def keys_of(self, kind):
        """The signing keys of a source, as the API shows them, for those who change them."""
        keys = [key for key in await self._shown_keys() if key["source_type"] == kind]
        for key in keys:
            self._know_key(f"key {key['id']}")
        return keys

    async def _shown_keys(self):
        (token,) = await self.node.ask("GET", "/tokens")
        assert token["logged_in"]
        return token["configuration_signing_keys"]

    async def _keys(self):
        keys = await self._shown_keys()
        for kind in ("INTERNAL", "EXTERNAL"):
            signing = [key for key in keys if key["source_type"] == kind and key["active"]]
            assert len(signing) == 1, f"{len(signing)} keys sign for {kind}"
            assert signing[0]["available"]
        return {
            f"key {key['id']}": SIGNING if key["active"] else IDLE if key["available"] else LOST
            for key in keys
        }
