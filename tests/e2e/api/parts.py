"""The server of a worker without a worker: for what can be asked of it, not for what it answers."""

from unittest.mock import MagicMock, Mock

from aiohttp import web
from prometheus_client import CollectorRegistry

from stream_app.serving.api.server import Api
from stream_app.serving.http.auth import Access
from stream_app.serving.http.server import HttpServer
from stream_app.settings import Settings


def app_of() -> web.Application:
    """What a server serves, routes included."""
    settings = Settings()
    access = Access(settings)
    server = HttpServer(CollectorRegistry(), Mock(), access)
    server.add(Api(settings, Mock(erasures=MagicMock()), Mock(), Mock(), access).add_routes)
    return server._app
