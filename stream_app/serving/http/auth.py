"""Who may ask over HTTP: who has a token, or comes from the proxy that signs people in; or this machine, without both.

Everything but the paths that reveal nothing has a caller, with roles and populations (see tokens.py). One place decides
by path what the caller has to be, and what is not listed there needs an analyst.
"""

import hmac
import re
from collections.abc import Awaitable, Callable
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from aiohttp import web

from stream_app.core.privacy.ended_sessions import EndedSessions
from stream_app.serving.http.connections import network_of
from stream_app.serving.http.peer_auth import PeerAuth
from stream_app.serving.http.problems import RefusedError
from stream_app.serving.http.request_origins import host_of, require_own_page, require_program
from stream_app.serving.http.sessions import DAY_S, Publish, Session, Sessions
from stream_app.serving.http.tokens import EVERYTHING, AccessRole, Caller, Token, TokensFile, TokensFileError
from stream_app.settings import Settings
from stream_app.settings.hosts import is_local_name, is_loopback
from stream_app.settings.secret import Secret

COOKIE = "stream_app"
PEERS = "/api/v1/peers/"
CALLER = web.RequestKey("caller", Caller)
"""Key of the caller in a request that was let in."""
_OPEN = frozenset({"/", "/livez", "/readyz", "/api/v1/session"})
"""Paths that reveal nothing about anyone, and the way in."""
_API = "/api/v1"
OF_VIEWERS = frozenset(
    {
        "/metrics",
        *(_API + path for path in ("/about", "/health", "/topics", "/cuts", "/cuts/history", "/curve", "/funnel")),
        *(_API + path for path in ("/flag-quality", "/openapi.json", "/live")),
    }
)
"""Numbers of topics; of `/live` a viewer sees no more than that. All other paths are for analysts."""
OF_ALL_POPULATIONS = frozenset({"/metrics", f"{_API}/flag-quality"})
"""What is about all populations together."""
_PAGE = "/page/"
_COOKIE_PATH = re.compile(r"/([A-Za-z0-9._~-]{1,64}/){0,8}")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Entry(NamedTuple):
    """A token, and the sessions that were opened with it."""

    token: Token
    sessions: Sessions


class Access:
    """Lets requests in, or raises RefusedError."""

    def __init__(
        self, settings: Settings, ended_sessions: EndedSessions | None = None, publish: Publish | None = None
    ) -> None:
        """`publish` has the other workers know which sessions were ended. Raises TokensFileError."""
        self._file = TokensFile(settings.http_tokens_file) if settings.http_tokens_file else None
        self._own = [Token(Caller("http_token", EVERYTHING), settings.http_token, None)] if settings.http_token else []
        self._is_guarded = bool(self._file or self._own)
        self._is_local = is_loopback(settings.http_host)
        self._names = {settings.http_host.lower(), settings.http_advertised.rpartition(":")[0].lower()}
        self._header = settings.http_user_header
        self._proxies = [ip_network(each, strict=False) for each in settings.http_user_proxies]
        self._ended = EndedSessions() if ended_sessions is None else ended_sessions
        self._publish = publish
        self._sessions: dict[str, Sessions] = {}
        self.peers = PeerAuth(settings)

    def check(self, request: web.Request) -> None:
        """Return where the request may be answered, and note its caller. Raises RefusedError."""
        path = _path(request)
        if path.startswith(PEERS) and request.method == "POST":
            require_program(request)
            if self.peers.has_secret:
                return self.peers.check(request.headers, request.path)
        elif path != "/" and not path.startswith(_PAGE):
            require_own_page(request)
        if path in _OPEN or path.startswith(_PAGE):
            return None
        request[CALLER] = self._allowed(request, path)
        return None

    def lets_in(self, request: web.Request) -> bool:
        """Whether what was allowed once still is: a session or a token may have ended meanwhile."""
        try:
            self._allowed(request, _path(request))
        except RefusedError:
            return False
        return True

    def session_of(self, request: web.Request) -> Session | None:
        """The session of the browser that asks; None where there is none."""
        try:
            return found[1] if (found := self._in_session(request)) else None
        except RefusedError:
            return None

    def client_of(self, request: web.Request) -> str:
        """Whose request it is: a session's, a person's, or the address's; behind a proxy all others are one."""
        if (session := self.session_of(request)) is not None:
            return session.id
        return f"user {name}" if (name := self._signed_in(request)) else network_of(request.remote)

    def open_session(self, token: str, path: str, response: web.Response, *, is_secure: bool) -> None:
        """Let a browser in for a day, on what is below `path`. Raises RefusedError."""
        sessions = Sessions("", self._ended, self._publish)
        if self._is_guarded:
            entry = self._with_token(token)
            if entry is None:
                raise RefusedError(
                    401, "that is not a token of this tracker: it is STREAM_APP_HTTP_TOKEN of its workers, or yours"
                )
            sessions = entry.sessions
        cookie, below = sessions.open(), cookie_path(path)
        response.set_cookie(
            COOKIE, cookie, max_age=DAY_S, httponly=True, samesite="Strict", secure=is_secure, path=below
        )

    def end_session(self, request: web.Request, path: str, response: web.Response) -> None:
        """End the session of a browser: nobody is let in by its cookie any more."""
        if (found := self._in_session(request)) is not None:
            entry, session = found
            entry.sessions.end(session)
        response.del_cookie(COOKIE, path=cookie_path(path))

    def _allowed(self, request: web.Request, path: str) -> Caller:
        """The caller of a request that may be answered. Raises RefusedError."""
        caller = self._caller_of(request, path)
        if not caller.may(AccessRole.VIEWER if path in OF_VIEWERS else AccessRole.ANALYST):
            needed = AccessRole.VIEWER if path in OF_VIEWERS else AccessRole.ANALYST
            raise RefusedError(403, f"this is for the role {needed.value}, which your token does not have")
        if caller.populations is not None and path in OF_ALL_POPULATIONS:
            raise RefusedError(403, "this is about all populations, and your token is for some of them")
        return caller

    def _caller_of(self, request: web.Request, path: str) -> Caller:
        if self._is_guarded:
            return self._identified(request)
        if self._is_local:
            self._require_this_machine(request)
        elif path == "/metrics":  # what it reveals without a token is the startup audit's subject
            self._require_own_name(request)
        else:
            raise RefusedError(403, "this worker listens to other machines and has no token: set STREAM_APP_HTTP_TOKEN")
        return Caller("this machine", EVERYTHING)

    def _identified(self, request: web.Request) -> Caller:
        if name := self._signed_in(request):
            named = [token.caller for token in self._tokens() if token.caller.name == name]
            if not named:
                raise RefusedError(403, "you are signed in, but have no line in STREAM_APP_HTTP_TOKENS_FILE")
            return named[0]
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        entry = self._with_token(given.strip()) if scheme.lower() == "bearer" else None
        if entry is None and (found := self._in_session(request)):
            entry = found[0]
        if entry is None:
            raise RefusedError(
                401, "send a token: Authorization: Bearer …, as in STREAM_APP_HTTP_TOKEN of the workers, or yours"
            )
        return entry.token.caller

    def _signed_in(self, request: web.Request) -> str:
        """Who is signed in at the proxy that the request comes from; empty where it is not from there."""
        if not self._header or not self._is_proxy(request.remote):
            return ""
        names = request.headers.getall(self._header, [])
        if len(names) > 1:
            raise RefusedError(400, "the proxy says twice who you are")
        return names[0].strip() if names else ""

    def _is_proxy(self, address: str | None) -> bool:
        try:
            return any(ip_address(address or "") in network for network in self._proxies)
        except ValueError:
            return False

    def _tokens(self) -> list[Token]:
        try:
            return [*self._own, *(self._file.tokens() if self._file else ())]
        except TokensFileError:
            raise RefusedError(503, "the file of tokens is wrong, and the worker's log says where") from None

    def _with_token(self, given: str) -> _Entry | None:
        """The entry of a token; all are compared, so that the time says nothing."""
        found = [token for token in self._tokens() if _same(given, token.secret)]
        return self._entry(found[0]) if found else None

    def _in_session(self, request: web.Request) -> tuple[_Entry, Session] | None:
        if not (cookie := request.cookies.get(COOKIE, "")):
            return None
        entries = (self._entry(token) for token in self._tokens() if token.secret)
        found = [(entry, session) for entry in entries if (session := entry.sessions.find(cookie))]
        return found[0] if found else None

    def _entry(self, token: Token) -> _Entry:
        secret = token.secret.reveal()
        if secret not in self._sessions:
            self._sessions[secret] = Sessions(secret, self._ended, self._publish)
        return _Entry(token, self._sessions[secret])

    def _require_this_machine(self, request: web.Request) -> None:
        if not is_loopback(host_of(request)):
            # A page from elsewhere can have its own name lead to this machine: the browser still says which name.
            raise RefusedError(403, "without a token it is asked as 127.0.0.1 or localhost: set STREAM_APP_HTTP_TOKEN")

    def _require_own_name(self, request: web.Request) -> None:
        host = host_of(request)
        if not is_local_name(host) and host not in self._names:
            raise RefusedError(403, "without a token it is asked by its address: set STREAM_APP_HTTP_TOKEN")


def cookie_path(path: str) -> str:
    """Where a cookie is sent: below the path under which a proxy serves the tracker, if it is one."""
    return path if _COOKIE_PATH.fullmatch(path) else "/"


def _path(request: web.Request) -> str:
    """What was asked for: as the router understood it, however it was written."""
    resource = request.match_info.route.resource
    return request.path if resource is None else resource.canonical


def _same(given: str, secret: Secret) -> bool:
    # Bytes that are not UTF-8 arrive as lone surrogates.
    expected = secret.reveal()
    return bool(expected) and hmac.compare_digest(
        given.encode(errors="surrogatepass"), expected.encode(errors="surrogatepass")
    )
