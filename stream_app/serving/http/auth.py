"""Who may ask over HTTP: anyone with the token; without a token anyone on this machine, if only that is listened to."""

import hmac
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from urllib.parse import urlsplit

from aiohttp import web

from stream_app.settings import Settings
from stream_app.settings.hosts import is_loopback

COOKIE = "stream_app"
_OPEN = frozenset({"/", "/livez", "/readyz", "/api/v1/session"})
"""Paths that reveal nothing about anyone, and the way in."""
_PAGE = "/page/"
_DAY_S = 86_400

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RefusedError(Exception):
    """Somebody may not ask; the message says what to do."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Access:
    """Lets requests in, or raises RefusedError."""

    def __init__(self, settings: Settings) -> None:
        self._token = settings.http_token.reveal()
        self._is_local = is_loopback(settings.http_host)

    def check(self, request: web.Request) -> None:
        """Return where the request may be answered. Raises RefusedError."""
        if request.path in _OPEN or request.path.startswith(_PAGE):
            return
        if self._token:
            self._require_token(request)
        elif request.path == "/metrics":
            return  # what it reveals without a token is the startup audit's subject
        elif not self._is_local:
            raise RefusedError(403, "this worker listens to other machines and has no token: set STREAM_APP_HTTP_TOKEN")
        elif not is_loopback(_host(request)):
            # A page from elsewhere can have its own name lead to this machine: the browser still says which name.
            raise RefusedError(403, "without a token it is asked as 127.0.0.1 or localhost: set STREAM_APP_HTTP_TOKEN")

    def session(self, token: str, response: web.Response, *, is_secure: bool) -> None:
        """Let a browser in for a day. Raises RefusedError."""
        if self._token and not _same(token, self._token):
            raise RefusedError(401, "that is not the token of this tracker: it is STREAM_APP_HTTP_TOKEN of its workers")
        response.set_cookie(
            COOKIE, self._pass(), max_age=_DAY_S, httponly=True, samesite="Strict", secure=is_secure, path="/"
        )

    def _require_token(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(token.strip(), self._token):
            return
        if _same(request.cookies.get(COOKIE, ""), self._pass()):
            return
        raise RefusedError(401, "send the token: Authorization: Bearer …, as in STREAM_APP_HTTP_TOKEN of the workers")

    def _pass(self) -> str:
        """What a browser shows instead of the token, which it need not keep."""
        return blake2b(self._token.encode(), person=b"http cookie", digest_size=32).hexdigest()


def _host(request: web.Request) -> str:
    """The name under which this worker was asked; empty where it is none."""
    try:
        return urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return ""


def _same(one: str, other: str) -> bool:
    # Bytes that are not UTF-8 arrive as lone surrogates.
    return hmac.compare_digest(one.encode(errors="surrogatepass"), other.encode())
