"""What holds for every operation of a whole API, whatever it does: checks that ask for each."""

import dataclasses
import re
from dataclasses import dataclass

from adminapi.api_builder import UNLIMITED, some_api
from clocks import StoppedClock
from sild.adminapi.application import PREFIX
from sild.adminapi.routes import OperationRoute
from sild.adminapi.settings import AdminApiSettings

_ID = "x-road-ui-correlation-id"
_LIMITED = dataclasses.replace(
    UNLIMITED,
    rate_limit_enabled=True,
    rate_limit_requests_per_second=-1,
    rate_limit_requests_per_minute=1,
)
_SMALL = AdminApiSettings(
    rate_limit_enabled=False,
    request_size_limit_regular=1000,
    request_size_limit_binary_upload=2000,
)


@dataclass(frozen=True)
class WholeApi:
    """All operations of a server, who has which permissions, and who has all that people can."""

    areas: tuple
    roles: dict
    everybody: tuple
    parameters: dict
    """Values of parameters in paths, where not every value is one."""

    @property
    def operations(self):
        return [operation for area in self.areas for operation in area]

    @property
    def routes(self):
        return [OperationRoute(PREFIX, operation) for operation in self.operations]

    def served(self, folder, settings=UNLIMITED, clock=None):
        """All operations on a socket."""
        return some_api(folder, self.areas, settings, roles=self.roles, clock=clock)

    def path_of(self, operation):
        """A path of the operation, whatever its parameters name."""
        parts = (
            self.parameters.get(part, "1") if part.startswith("{") else part
            for part in operation.path.split("/")
        )
        path = "/".join(parts)
        return path if path.startswith("/api/") else PREFIX + path

    async def check_each(self, api, operations, status, code, **how):
        """Ask for operations that must all be refused the same way, each with an id of its own."""
        ids = set()
        for operation in operations:
            answer = await api.ask(operation.method, self.path_of(operation), **how)
            assert answer.json == {"status": status, "error": {"code": code}}, operation
            assert answer.headers["content-type"] == "application/json"
            ids.add(answer.headers[_ID])
        assert len(ids) == len(operations) > 50
        assert all(re.fullmatch("[0-9a-f]{16}", each) for each in ids)

    async def check_unknown(self, api):
        """Nobody who is not known is answered."""
        await self.check_each(api, self.operations, 401, "not_authenticated")
        wrong = {"authorization": "X-Road-ApiKey token=00000000-0000-4000-8000-000000000000"}
        await self.check_each(api, self.operations, 401, "not_authenticated", headers=wrong)

    async def check_unpermitted(self, api, role):
        """What demands a permission is refused to a role without it, whatever the body."""
        refused = [
            operation
            for operation in self.operations
            if operation.needs and self.roles[role].isdisjoint(operation.needs)
        ]
        headers = await api.key(role) | {"content-type": "application/json"}
        await self.check_each(api, refused, 403, "access_denied", headers=headers, body=b"no JSON")

    async def check_media_types(self, api):
        """A body of another type is refused."""
        headers = await api.key(*self.everybody) | {"content-type": "text/xml"}
        for route in self.routes:
            if route.takes is None:
                continue
            operation = route.operation
            answer = await api.ask(operation.method, self.path_of(operation), b"<a/>", headers)
            told = {"code": "unsupported_media_type", "metadata": [route.takes]}
            assert answer.json == {"status": 415, "error": told}, operation
            assert answer.headers[_ID]

    async def check_sizes(self, folder):
        """A body that is too large is refused."""
        async with self.served(folder, _SMALL) as api:
            key = await api.key(*self.everybody)
            for route in self.routes:
                size = 1001 if route.takes in (None, "application/json") else 2001
                headers = key | ({"content-type": route.takes} if route.takes else {})
                operation = route.operation
                path = self.path_of(operation)
                answer = await api.ask(operation.method, path, b"x" * size, headers)
                assert answer.json["error"] == {"code": "request_size_limit_exceeded"}, operation
                assert (answer.status, bool(answer.headers[_ID])) == (413, True)

    async def check_methods(self, api):
        """A method that a path does not have is refused, and told which it has."""
        key = await api.key(*self.everybody)
        for path in {operation.path for operation in self.operations}:
            there = [each for each in self.operations if each.path == path]
            answer = await api.ask("OPTIONS", self.path_of(there[0]), headers=key)
            assert (answer.status, answer.json["error"]) == (405, {"code": "method_not_allowed"})
            assert set(answer.headers["allow"].split(", ")) == {each.method for each in there}
            assert answer.headers[_ID]

    async def check_rates(self, folder):
        """Who asks too often is told so."""
        async with self.served(folder, _LIMITED, StoppedClock()) as api:
            assert (await api.ask("GET", "/")).status == 200
            await self.check_each(api, self.operations, 429, "rate_limit_exceeded")

    async def check_secret(self, api, asked, secret, caplog):
        """What is asked is refused, and told nowhere with its secret or the key."""
        method, path, body = asked
        key = await api.key(*self.everybody)
        headers = key | {"content-type": "application/json"}
        answer = await api.ask(method, PREFIX + path, body, headers)
        # Nothing is behind the operations: what gets as far as that fails there.
        assert answer.status in {400, 500}
        told = answer.body.decode() + str(answer.headers) + str(api.audit.lines()) + caplog.text
        assert secret not in told
        assert key["authorization"].partition("=")[2] not in told
