"""Answers that say why there is no answer, and the headers that every response has."""

import msgspec
from aiohttp import web

from stream_app.serving.api.responses import Problem

PROBLEM = "application/problem+json"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Of every response that does not set its own: nothing here is meant for other sites."""


class BadRequestError(ValueError):
    """Parameters or a body that cannot be understood; the message says what is wrong."""


class RefusedError(Exception):
    """Somebody may not ask, or not so; the message says what to do."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class ProblemResponse(web.Response):
    """Also for requests that come to no route, where no signal sets the headers."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        add_headers(self)


def add_headers(response: web.StreamResponse) -> None:
    """Give a response the headers that all have, and take away the one that names versions."""
    response.headers.pop("Server", None)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def problem(status: int, title: str, detail: str) -> web.Response:
    """Why there is no answer."""
    said = detail.encode(errors="backslashreplace").decode()  # the detail may repeat what is no text
    body = msgspec.json.encode(Problem(title=title, status=status, detail=said))
    headers = {"Cache-Control": "no-store"} | ({"WWW-Authenticate": "Bearer"} if status == 401 else {})
    return ProblemResponse(body=body, status=status, content_type=PROBLEM, headers=headers)
