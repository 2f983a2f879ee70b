"""Which pages may ask: only the tracker's own. Browsers say which page a request is for, and which host was meant."""

from urllib.parse import urlsplit

from aiohttp import web

from stream_app.serving.http.problems import RefusedError

_OWN_SITE = frozenset({"same-origin", "none"})
_SAFE = frozenset({"GET", "HEAD"})


def require_own_page(request: web.Request) -> None:
    """Raise RefusedError where a browser sent it for a page of another site. A link that somebody follows is none."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        is_link = request.method in _SAFE and request.headers.get("Sec-Fetch-Mode") == "navigate"
        if site.lower() not in _OWN_SITE and not is_link:
            raise RefusedError(403, "pages of other sites may not ask: open the tracker's own page")
        return
    origin = request.headers.get("Origin")
    if origin is not None and not _is_own(origin, request):
        raise RefusedError(403, "pages of other sites may not ask: Origin is not the address that was asked")


def require_program(request: web.Request) -> None:
    """Raise RefusedError where a browser sent it, whichever page it was for."""
    if "Origin" in request.headers or "Sec-Fetch-Site" in request.headers:
        raise RefusedError(403, "only workers ask here, never a page")


def host_of(request: web.BaseRequest) -> str:
    """The name under which this server was asked; empty where it is none."""
    try:
        return urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        return ""


def _is_own(origin: str, request: web.Request) -> bool:
    """Whether it is what was asked, by the name that the browser used: a proxy may have used another one."""
    try:
        place = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    names = {request.headers.get(name, "").lower() for name in ("Host", "X-Forwarded-Host")} - {""}
    return bool(place) and place in names
