"""The Alertmanager sink: each flag is an alert, by its API v2. It groups, silences and repeats as it is configured."""

import datetime as dt
from time import time
from typing import Any

import msgspec

from stream_app.alerts import templates
from stream_app.alerts.config import AlertmanagerSink
from stream_app.alerts.sinks.http import Receiver
from stream_app.alerts.sinks.message import AlertMessage, Outcome
from stream_app.alerts.sinks.urls import SinkUrl
from stream_app.core.messages import Flag
from stream_app.settings.secret import Redaction

ALERT_NAME = "InfluenceFlag"
_MOST = 1000
"""Flags of a digest that are told."""
_PATH = "/api/v2/alerts"


class Alertmanager:
    """One Alertmanager."""

    def __init__(self, sink: AlertmanagerSink, redacted: Redaction) -> None:
        url = SinkUrl(sink.url.reveal().rstrip("/").removesuffix(_PATH) + _PATH)
        # An Alertmanager is one of our own network: nobody else has named it.
        self._receiver = Receiver(url, redacted, private=True)
        self._lasts_s = sink.lasts_ms / 1000

    def send(self, message: AlertMessage) -> Outcome:
        """Send it; of a digest flag by flag, because Alertmanager makes digests of its own."""
        end_s = time() + self._lasts_s
        body = msgspec.json.encode([_alert(flag, message.rule, end_s) for flag in message.flags[:_MOST]])
        return self._receiver.post(body, {"Content-Type": "application/json"})


def _alert(flag: Flag, rule: str, end_s: float) -> dict[str, Any]:
    """The same labels for every repeat of a flag, by which Alertmanager knows it again."""
    labels = {
        "alertname": ALERT_NAME,
        "type": flag.type.value,
        "role": flag.role.value,
        "topic": flag.topic,
        "population": flag.population,
        "user_id": flag.user_id,
        "rule": rule,
    }
    return {
        "labels": labels,
        "annotations": {
            "summary": templates.title_of(flag),
            "description": templates.body_of(flag),
            "flag_id": flag.flag_id,
        },
        "startsAt": _time(flag.detected_at / 1000),
        "endsAt": _time(end_s),
    }


def _time(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()
