"""The AsyncAPI document of the Kafka topics: what is on each, how it is made, who sends and who receives."""

import json
from collections.abc import Iterator
from typing import Any

from stream_app import __version__
from stream_app.kafka.topics import TopicSpec, topics_of
from stream_app.settings import Settings
from tests.tools.acls import kafka_acls
from tests.tools.schemas.records import BINDING, records_of_topics

FILE_NAME = "asyncapi.json"

_SETTINGS = Settings()
_ACTIONS = {"Write": "send", "Read": "receive"}
"""By the permission that they need."""
_ABOUT = (
    "Topics have the names and partitions that the default settings give them. schemas/README.md says what may change "
    "with a later release. Topics whose description begins with `internal` or `state` are the workers' own: what is in "
    "them may change with any release. Operations are those of the workers; the description of a channel names "
    "everybody who sends and receives."
)


def document() -> dict[str, Any]:
    """The whole document."""
    records = records_of_topics()
    channels = {records[topic.name].channel: topic for topic in topics_of(_SETTINGS)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "stream_app: mass connectors and mass mavens as they emerge",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": _SETTINGS.brokers,
                "protocol": "kafka",
                "description": "STREAM_APP_BROKERS; TLS, users and permissions: docs/security.md",
            }
        },
        "channels": {
            name: {
                "address": topic.name,
                "description": " ".join(_said_of(topic)),
                "messages": records[topic.name].messages,
                "bindings": {"kafka": _as_created(topic)},
            }
            for name, topic in channels.items()
        },
        "operations": {
            f"{action}{name[0].upper()}{name[1:]}": _operation(action, name, topic)
            for name, topic in channels.items()
            for permission, action in _ACTIONS.items()
            if "worker" in _commands(topic, permission)
        },
    }


def text() -> str:
    """The document as it stands in its file."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _said_of(topic: TopicSpec) -> Iterator[str]:
    yield f"{topic.purpose}."
    yours = {"Write": topic.purpose.startswith("input"), "Read": topic.purpose.startswith("output")}
    for permission, what in (("Write", "Sent"), ("Read", "Received")):
        commands = [f"`stream-app {command}`" for command in _commands(topic, permission)]
        yield f"{what} by {', '.join(['programs of yours'] * yours[permission] + commands)}."


def _commands(topic: TopicSpec, permission: str) -> list[str]:
    """Those of our commands that need the permission, which are those that make use of it."""
    return [
        command
        for command, acls in kafka_acls(_SETTINGS).items()
        if any(acl.name == topic.name and permission in acl.operations for acl in acls)
    ]


def _as_created(topic: TopicSpec) -> dict[str, Any]:
    """How `stream-app topics create` makes it: what it does not set is the broker's default."""
    config: dict[str, Any] = {"cleanup.policy": "delete"} | topic.config
    config |= {name: int(value) for name, value in topic.config.items() if value.isdigit()}
    config["cleanup.policy"] = config["cleanup.policy"].split(",")
    return {"partitions": topic.partitions, "topicConfiguration": config, "bindingVersion": BINDING}


def _operation(action: str, channel: str, topic: TopicSpec) -> dict[str, Any]:
    operation: dict[str, Any] = {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}
    if topic.name not in _SETTINGS.source_topics:
        return operation
    group = {"type": "string", "enum": [_SETTINGS.app_id]}
    return operation | {"bindings": {"kafka": {"groupId": group, "bindingVersion": BINDING}}}
