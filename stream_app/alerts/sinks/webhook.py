"""The webhook sink: JSON, signed as Standard Webhooks say, so that the receiver can trust it and drop repeats."""

import base64
import datetime as dt
import hashlib
import hmac
from time import time

import msgspec

from stream_app import __version__
from stream_app.alerts.config import WebhookSink, key_of
from stream_app.alerts.sinks.http import Receiver
from stream_app.alerts.sinks.message import AlertMessage, Outcome
from stream_app.settings.secret import Redaction

_MOST_FLAGS = 100
"""Flags in full in a digest."""


class Webhook:
    """One receiver."""

    def __init__(self, sink: WebhookSink, redacted: Redaction) -> None:
        self._receiver = Receiver(sink.url, redacted, private=sink.private)
        self._key = key_of(sink.secret)

    def send(self, message: AlertMessage) -> Outcome:
        """Send it."""
        now_s = int(time())
        body = payload(message, now_s)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"stream-app/{__version__}",
            "webhook-id": message.id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": signature(self._key, message.id, now_s, body),
        }
        return self._receiver.post(body, headers)


def payload(message: AlertMessage, now_s: int) -> bytes:
    """The body: what happened, when, the words for people, and the flags in full."""
    when = dt.datetime.fromtimestamp(now_s, dt.UTC).isoformat().replace("+00:00", "Z")
    data = {"rule": message.rule, "title": message.title, "text": message.body}
    if message.is_digest:
        kind, rest = "influence.digest", {"count": len(message.flags), "flags": message.flags[:_MOST_FLAGS]}
    else:
        kind, rest = "influence.flag", {"flag": message.flags[0]}
    return msgspec.json.encode({"type": kind, "timestamp": when, "data": {**data, **rest}})


def signature(key: bytes, message_id: str, now_s: int, body: bytes) -> str:
    """Version 1 of Standard Webhooks: HMAC-SHA256 of id, time and body."""
    signed = b"%b.%d.%b" % (message_id.encode(), now_s, body)
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
