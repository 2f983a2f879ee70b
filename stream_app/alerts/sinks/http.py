"""HTTP as webhooks and Alertmanager need it: one POST to a checked address, no redirects, no proxies, no patience."""

import base64
import http.client
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from time import time
from urllib.parse import SplitResult, unquote, urlsplit

from stream_app.alerts.sinks.addresses import Endpoint, ForbiddenAddressError, resolved
from stream_app.alerts.sinks.message import DeliveryResult, Outcome
from stream_app.alerts.sinks.urls import SinkUrl
from stream_app.settings.secret import Redaction

_CONNECT_S = 5.0
_ANSWER_S = 10.0
_MOST_TOLD = 200
_LONGEST_WAIT_S = 3600.0
_LATER = {408, 425, 429}
"""Of the client errors those that say: try again."""


class _Connection(http.client.HTTPConnection):
    """Connects to the address that was checked, whatever the name leads to by now."""

    def __init__(self, host: str, port: int, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=_ANSWER_S)
        self._endpoint = endpoint
        self._context = context

    def connect(self) -> None:
        """Connect, with TLS where there is a context."""
        plain = socket.socket(self._endpoint.family, socket.SOCK_STREAM)
        self.sock = plain
        plain.settimeout(_CONNECT_S)
        plain.connect(self._endpoint.address)
        plain.settimeout(_ANSWER_S)
        if self._context is not None:
            self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


class Receiver:
    """Somebody who takes POSTs at one URL."""

    def __init__(self, url: SinkUrl, redacted: Redaction, *, private: bool) -> None:
        """`redacted` takes secrets out of what the receiver says."""
        self._url = url
        self._redacted = redacted
        self._private = private

    def post(self, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """What comes of it."""
        outcome = self._posted(body, headers)
        return outcome._replace(reason=self._redacted(outcome.reason))

    def _posted(self, body: bytes, headers: Mapping[str, str]) -> Outcome:
        try:
            place = urlsplit(self._url.reveal())
            host, is_tls = place.hostname or "", place.scheme == "https"
            port = place.port or (443 if is_tls else 80)
            endpoint = resolved(host, port, private=self._private)
            context = ssl.create_default_context() if is_tls else None
            with closing(_Connection(host, port, endpoint, context)) as connection:
                target = (place.path or "/") + (f"?{place.query}" if place.query else "")
                connection.request("POST", target, body, {**_login(place), **headers})
                response = connection.getresponse()
                return _outcome(response, response.read(_MOST_TOLD))
        except ForbiddenAddressError as error:
            return Outcome(DeliveryResult.REFUSED, str(error))
        except (OSError, http.client.HTTPException) as error:
            return Outcome(DeliveryResult.RETRY, f"{type(error).__name__}: {error}")
        except ValueError as error:  # a port or a header that is none
            return Outcome(DeliveryResult.REFUSED, str(error))


def _login(place: SplitResult) -> dict[str, str]:
    """User and password of a URL, as HTTP wants them."""
    if place.username is None:
        return {}
    login = f"{unquote(place.username)}:{unquote(place.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def _outcome(response: http.client.HTTPResponse, words: bytes) -> Outcome:
    status = response.status
    if 200 <= status < 300:
        return Outcome(DeliveryResult.DELIVERED, str(status))
    said = " ".join(words.decode(errors="replace").split())
    reason = f"{status} {response.reason}{': ' if said else ''}{said}"
    if status >= 500 or status in _LATER:
        return Outcome(DeliveryResult.RETRY, reason, _wait_s(response.headers.get("Retry-After", "")))
    if 300 <= status < 400:
        reason = f"{status} {response.reason}: redirects are not followed; give the address that it leads to"
    return Outcome(DeliveryResult.REFUSED, reason)


def _wait_s(text: str) -> float:
    """What Retry-After says, within reason."""
    if text.isdigit():
        return min(float(text), _LONGEST_WAIT_S)
    try:
        wait_s = parsedate_to_datetime(text).timestamp() - time()
    except (TypeError, ValueError):
        return 0.0
    return min(max(wait_s, 0.0), _LONGEST_WAIT_S)
