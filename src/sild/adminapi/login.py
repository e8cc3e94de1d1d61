"""Logging in with a form, and out; and the page that stands where a user interface will."""

from html import escape
from urllib.parse import parse_qs

from fastapi import Request, Response
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route

from sild.adminapi.asked import Act, act_of
from sild.adminapi.authentication import SESSION_COOKIE, XSRF_COOKIE
from sild.adminapi.problems import UnsupportedMediaType, problem_of
from sild.adminapi.routes import bounded
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.errors import CredentialsRefused
from sild.model.audit import Audit, AuditEvent, AuditRecord
from sild.model.refusals import BadRequest, Forbidden

_FORM = "application/x-www-form-urlencoded"
_LARGEST_FORM = 16 * 1024
_FIELDS = 10


class Login:
    """The three routes outside of the API."""

    def __init__(self, accounts: Accounts, audit: Audit, title: str) -> None:
        self._accounts = accounts
        self._audit = audit
        self._title = title

    @property
    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/", self.page, methods=["GET"]),
            Route("/login", self.login, methods=["POST"]),
            Route("/logout", self.logout, methods=["POST"]),
        ]

    async def page(self, _: Request) -> Response:
        """Say what this is."""
        title = escape(self._title)
        return HTMLResponse(f"<!doctype html><title>{title}</title><h1>{title}</h1>")

    async def login(self, request: Request) -> Response:
        """Open a session for a name and password."""
        act = act_of(request)
        name = None
        try:
            _check_same_site(request)
            name, password = await _form(request)
            person = await self._accounts.authenticate(name, password, act.address)
        except Exception as error:  # noqa: BLE001 - the edge: whatever it is, it is answered
            problem = problem_of(error, act.correlation_id)
            self._tell(act, AuditEvent.FORM_LOGIN, name, problem.reason)
            return problem.to_response()
        if (old := request.cookies.get(SESSION_COOKIE)) is not None:
            self._accounts.sessions.close(old)
        name, session = self._accounts.sessions.open(person)
        self._tell(act, AuditEvent.FORM_LOGIN, person.name, None)
        response = PlainTextResponse("OK\n")
        _set_cookie(response, SESSION_COOKIE, name, hidden=True)
        _set_cookie(response, XSRF_COOKIE, session.xsrf, hidden=False)
        return response

    async def logout(self, request: Request) -> Response:
        """End the session of who asks."""
        act = act_of(request)
        if act.caller.session is not None:
            self._accounts.sessions.close(act.caller.session)
        act.begin(AuditEvent.FORM_LOGOUT)
        act.record(self._audit)
        response = Response()
        for cookie, hidden in ((SESSION_COOKIE, True), (XSRF_COOKIE, False)):
            response.delete_cookie(cookie, secure=True, httponly=hidden, samesite="strict")
        return response

    def _tell(self, act: Act, event: AuditEvent, user: str | None, reason: str | None) -> None:
        record = AuditRecord(
            event,
            user=user,
            address=act.address,
            url="/login",
            reason=reason,
            correlation_id=act.correlation_id,
        )
        self._audit.record(record)


def _check_same_site(request: Request) -> None:
    # Else a page of a stranger could log its visitor in as somebody else.
    if request.headers.get("sec-fetch-site", "same-origin") == "cross-site":
        raise Forbidden("a log-in came from a page of another site")


async def _form(request: Request) -> tuple[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise UnsupportedMediaType(f"a log-in is {_FORM}", _FORM)
    body = await bounded(request, _LARGEST_FORM).body()
    try:
        fields = parse_qs(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS
        )
    except ValueError:
        raise BadRequest("a form cannot be read") from None
    names, passwords = fields.get("username", []), fields.get("password", [])
    if len(names) != 1 or len(passwords) != 1:
        raise CredentialsRefused("a log-in has a username and a password")
    return names[0], passwords[0]


def _set_cookie(response: Response, name: str, value: str, *, hidden: bool) -> None:
    response.set_cookie(name, value, secure=True, httponly=hidden, samesite="strict")
