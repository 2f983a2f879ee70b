"""The Alertmanager sink: posts each flag as an alert (API v2); Alertmanager groups, silences and repeats it."""

import datetime as dt
from time import time
from typing import Any

import msgspec

from stream_app.alerts import templates
from stream_app.alerts.config import AlertmanagerSink
from stream_app.alerts.sinks.http import HttpEndpoint
from stream_app.alerts.sinks.message import AlertMessage, DeliveryOutcome
from stream_app.alerts.sinks.urls import SinkUrl
from stream_app.core.messages import ALL_TOPICS, Flag
from stream_app.core.readable import readable
from stream_app.settings.secret import Redaction

ALERT_NAME = "InfluenceFlag"
_MAX_ALERTS = 1000
"""The flags of a digest that are sent."""
_PATH = "/api/v2/alerts"


class AlertmanagerSender:
    """Posts to one Alertmanager."""

    def __init__(self, sink: AlertmanagerSink, redact: Redaction) -> None:
        url = SinkUrl(sink.url.reveal().rstrip("/").removesuffix(_PATH) + _PATH)
        self._endpoint = HttpEndpoint(url, redact)
        self._lasts_s = sink.lasts_ms / 1000

    def send(self, message: AlertMessage) -> DeliveryOutcome:
        """Post one alert for each flag, also of a digest: Alertmanager groups them itself."""
        ends_s = time() + self._lasts_s
        body = msgspec.json.encode([_alert(flag, message.rule, ends_s) for flag in message.flags[:_MAX_ALERTS]])
        return self._endpoint.post(body, {"Content-Type": "application/json"})


def _alert(flag: Flag, rule: str, ends_s: float) -> dict[str, Any]:
    """The labels identify the alert: every repeat of a flag has the same."""
    labels = {
        "alertname": ALERT_NAME,
        "type": flag.type.value,
        "role": flag.role.value,
        "topic": _label(flag.topic),
        "population": _label(flag.population),
        "user_id": _label(flag.user_id),
        "rule": rule,
    }
    return {
        "labels": labels,
        "annotations": {
            "summary": templates.title_of(flag),
            "description": templates.body_of(flag),
            "flag_id": flag.flag_id,
        },
        "startsAt": _rfc3339(flag.detected_at / 1000),
        "endsAt": _rfc3339(ends_s),
    }


def _label(name: str) -> str:
    """A name as messages show it: Alertmanager passes labels on to chats as they are."""
    return name if name == ALL_TOPICS else templates.harmless(readable(name))


def _rfc3339(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()
