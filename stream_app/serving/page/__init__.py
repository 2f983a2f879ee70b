"""The page: static files, in a folder for each subject, and the routes that serve them."""

import hashlib
from importlib.resources import files
from typing import NamedTuple

from aiohttp import web

from stream_app.core.events.names import normal_topic

_INDEX = "index.html"
_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "; ".join(
        (
            *("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:"),
            *("connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"),
        )
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class _Asset(NamedTuple):
    """A file, read once: a new release is a new process."""

    body: bytes
    content_type: str
    etag: str

    async def serve_page(self, request: web.Request) -> web.Response:
        """The page; an address with another spelling of a topic leads to that with its name."""
        topic = request.query.get("topic", "")
        if (name := normal_topic(topic)) != topic and name:
            raise web.HTTPFound(request.rel_url.update_query(topic=name), headers=_HEADERS)
        return await self.serve(request)

    async def serve(self, request: web.Request) -> web.Response:
        """The file, or 304 where the browser has it already."""
        if any(tag.value in {self.etag, "*"} for tag in request.if_none_match or ()):
            response = web.Response(status=304, headers=_HEADERS)
        else:
            response = web.Response(body=self.body, content_type=self.content_type, charset="utf-8", headers=_HEADERS)
        response.etag = self.etag
        return response


def add_page(app: web.Application) -> None:
    """Serve the page at / and what it is made of under /page/."""
    for name, asset in _assets().items():
        if name == _INDEX:
            app.router.add_get("/", asset.serve_page)
        else:
            app.router.add_get(f"/page/{name}", asset.serve)


def _assets() -> dict[str, _Asset]:
    """Every file of the page, by its path below this folder."""
    found = {}
    unread = [(files(__name__), "")]
    for folder, prefix in unread:
        for path in folder.iterdir():
            suffix = "." + path.name.rpartition(".")[2]
            if path.is_dir():
                unread.append((path, f"{prefix}{path.name}/"))
            elif suffix in _TYPES:
                body = path.read_bytes()
                found[prefix + path.name] = _Asset(body, _TYPES[suffix], hashlib.sha256(body).hexdigest()[:16])
    return found
