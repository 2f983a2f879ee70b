"""The webhook sink: JSON, signed as Standard Webhooks specify, so that the receiver can verify it and drop repeats."""

import base64
import datetime as dt
import hashlib
import hmac
from time import time

import msgspec

from stream_app import __version__
from stream_app.alerts.config import WebhookSink, signing_key
from stream_app.alerts.sinks.http import HttpEndpoint
from stream_app.alerts.sinks.message import AlertMessage, DeliveryOutcome
from stream_app.settings.secret import Redaction

_MAX_FLAGS = 100
"""The flags of a digest that are sent in full."""


class WebhookSender:
    """Posts to one webhook."""

    def __init__(self, sink: WebhookSink, redact: Redaction) -> None:
        self._endpoint = HttpEndpoint(sink.url, redact)
        self._key = signing_key(sink.secret)

    def send(self, message: AlertMessage) -> DeliveryOutcome:
        """Sign the message and post it."""
        now_s = int(time())
        body = payload(message, now_s)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"stream-app/{__version__}",
            "webhook-id": message.id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": signature(self._key, message.id, now_s, body),
        }
        return self._endpoint.post(body, headers)


def payload(message: AlertMessage, now_s: int) -> bytes:
    """The JSON body: type, time, title and text, and the flags in full."""
    timestamp = dt.datetime.fromtimestamp(now_s, dt.UTC).isoformat().replace("+00:00", "Z")
    data = {"rule": message.rule, "title": message.title, "text": message.body}
    if message.is_digest:
        kind, flags = "influence.digest", {"count": len(message.flags), "flags": message.flags[:_MAX_FLAGS]}
    else:
        kind, flags = "influence.flag", {"flag": message.flags[0]}
    return msgspec.json.encode({"type": kind, "timestamp": timestamp, "data": {**data, **flags}})


def signature(key: bytes, message_id: str, now_s: int, body: bytes) -> str:
    """Version 1 of Standard Webhooks: HMAC-SHA256 of id, time and body."""
    signed = b"%b.%d.%b" % (message_id.encode(), now_s, body)
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
