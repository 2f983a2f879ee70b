"""One POST request to a webhook or an Alertmanager: no redirects, no proxies, bounded in time and size."""

import base64
import http.client
import ssl
from collections.abc import Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from time import time
from urllib.parse import SplitResult, unquote, urlsplit

from stream_app.alerts.sinks.message import DeliveryOutcome, DeliveryResult
from stream_app.alerts.sinks.urls import SinkUrl
from stream_app.settings.secret import Redaction

_CONNECT_TIMEOUT_S = 5.0
"""For each address of the host."""
_RESPONSE_TIMEOUT_S = 10.0
_MAX_RESPONSE_BYTES = 200
_MAX_RETRY_AFTER_S = 3600.0
_RETRIED_STATUSES = {408, 425, 429}
"""The client errors that ask for another attempt."""


class HttpEndpoint:
    """A URL that takes POST requests."""

    def __init__(self, url: SinkUrl, redact: Redaction) -> None:
        """`redact` removes secrets from responses and errors."""
        self._url = url
        self._redact = redact

    def post(self, body: bytes, headers: Mapping[str, str]) -> DeliveryOutcome:
        """Send the request; never raises."""
        try:
            outcome = _post(self._url.reveal(), body, headers)
        except (OSError, http.client.HTTPException) as error:
            outcome = DeliveryOutcome(DeliveryResult.RETRY, f"{type(error).__name__}: {error}")
        except ValueError as error:  # an invalid port, host or header
            outcome = DeliveryOutcome(DeliveryResult.REFUSED, str(error))
        return outcome._replace(reason=self._redact(outcome.reason))


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> DeliveryOutcome:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with closing(_connection(parts)) as connection:
        connection.connect()  # to the first address of the host that accepts
        connection.sock.settimeout(_RESPONSE_TIMEOUT_S)
        connection.request("POST", target, body, {**_basic_auth(parts), **headers})
        response = connection.getresponse()
        return _outcome(response, response.read(_MAX_RESPONSE_BYTES))


def _connection(url: SplitResult) -> http.client.HTTPConnection:
    host = url.hostname or ""
    if url.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, url.port or 443, timeout=_CONNECT_TIMEOUT_S, context=context)
    return http.client.HTTPConnection(host, url.port or 80, timeout=_CONNECT_TIMEOUT_S)


def _basic_auth(url: SplitResult) -> dict[str, str]:
    if url.username is None:
        return {}
    credentials = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}


def _outcome(response: http.client.HTTPResponse, body: bytes) -> DeliveryOutcome:
    status = response.status
    if 200 <= status < 300:
        return DeliveryOutcome(DeliveryResult.DELIVERED, str(status))
    text = " ".join(body.decode(errors="replace").split())
    reason = f"{status} {response.reason}{': ' if text else ''}{text}"
    if status >= 500 or status in _RETRIED_STATUSES:
        return DeliveryOutcome(DeliveryResult.RETRY, reason, _retry_after_s(response.headers.get("Retry-After", "")))
    if 300 <= status < 400:
        reason = f"{status} {response.reason}: redirects are not followed; configure the final URL"
    return DeliveryOutcome(DeliveryResult.REFUSED, reason)


def _retry_after_s(header: str) -> float:
    """Seconds from now; 0 if the header is missing or invalid."""
    if header.isdigit():
        return min(float(header), _MAX_RETRY_AFTER_S)
    try:
        wait_s = parsedate_to_datetime(header).timestamp() - time()
    except (TypeError, ValueError):
        return 0.0
    return min(max(wait_s, 0.0), _MAX_RETRY_AFTER_S)
