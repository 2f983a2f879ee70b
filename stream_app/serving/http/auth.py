"""Who may ask over HTTP: anyone with the token; without a token anyone on this machine, if only that is listened to."""

import hmac
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from stream_app.core.privacy.ended_sessions import EndedSessions
from stream_app.serving.http.connections import network_of
from stream_app.serving.http.peer_auth import PeerAuth
from stream_app.serving.http.problems import RefusedError
from stream_app.serving.http.request_origins import host_of, require_own_page, require_program
from stream_app.serving.http.sessions import DAY_S, Publish, Session, Sessions
from stream_app.settings import Settings
from stream_app.settings.hosts import is_local_name, is_loopback

COOKIE = "stream_app"
PEERS = "/api/v1/peers/"
_OPEN = frozenset({"/", "/livez", "/readyz", "/api/v1/session"})
"""Paths that reveal nothing about anyone, and the way in."""
_PAGE = "/page/"
_COOKIE_PATH = re.compile(r"/([A-Za-z0-9._~-]{1,64}/){0,8}")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access:
    """Lets requests in, or raises RefusedError."""

    def __init__(
        self, settings: Settings, ended_sessions: EndedSessions | None = None, publish: Publish | None = None
    ) -> None:
        """`publish` has the other workers know which sessions were ended."""
        self._token = settings.http_token.reveal()
        self._is_local = is_loopback(settings.http_host)
        self._names = {settings.http_host.lower(), settings.http_advertised.rpartition(":")[0].lower()}
        self._sessions = Sessions(self._token, ended_sessions, publish)
        self.peers = PeerAuth(settings)

    def check(self, request: web.Request) -> None:
        """Return where the request may be answered. Raises RefusedError."""
        path = _path(request)
        if path.startswith(PEERS) and request.method == "POST":
            require_program(request)
            if self.peers.has_secret:
                return self.peers.check(request.headers, request.path)
        elif path != "/" and not path.startswith(_PAGE):
            require_own_page(request)
        if path in _OPEN or path.startswith(_PAGE):
            return None
        if self._token:
            return self._require_token(request)
        if self._is_local:
            return self._require_this_machine(request)
        if path == "/metrics":  # what it reveals without a token is the startup audit's subject
            return self._require_own_name(request)
        raise RefusedError(403, "this worker listens to other machines and has no token: set STREAM_APP_HTTP_TOKEN")

    def lets_in(self, request: web.Request) -> bool:
        """Whether what was allowed once still is: a session may have ended meanwhile."""
        session = self.session_of(request)
        return session is not None or not self._token or self._has_token(request)

    def session_of(self, request: web.Request) -> Session | None:
        """The session of the browser that asks; None where there is none."""
        return self._sessions.find(request.cookies.get(COOKIE, "")) if self._token else None

    def client_of(self, request: web.Request) -> str:
        """Whose request it is: a session's, or the address's; behind a proxy everybody without a session is one."""
        session = self.session_of(request)
        return session.id if session else network_of(request.remote)

    def open_session(self, token: str, path: str, response: web.Response, *, is_secure: bool) -> None:
        """Let a browser in for a day, on what is below `path`. Raises RefusedError."""
        if self._token and not _same(token, self._token):
            raise RefusedError(401, "that is not the token of this tracker: it is STREAM_APP_HTTP_TOKEN of its workers")
        cookie, below = self._sessions.open(), cookie_path(path)
        response.set_cookie(
            COOKIE, cookie, max_age=DAY_S, httponly=True, samesite="Strict", secure=is_secure, path=below
        )

    def end_session(self, request: web.Request, path: str, response: web.Response) -> None:
        """End the session of a browser: nobody is let in by its cookie any more."""
        if (session := self.session_of(request)) is not None:
            self._sessions.end(session)
        response.del_cookie(COOKIE, path=cookie_path(path))

    def _require_token(self, request: web.Request) -> None:
        if not self._has_token(request) and self.session_of(request) is None:
            raise RefusedError(
                401, "send the token: Authorization: Bearer …, as in STREAM_APP_HTTP_TOKEN of the workers"
            )

    def _has_token(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and _same(token.strip(), self._token)

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


def _same(one: str, other: str) -> bool:
    # Bytes that are not UTF-8 arrive as lone surrogates.
    return hmac.compare_digest(one.encode(errors="surrogatepass"), other.encode())
