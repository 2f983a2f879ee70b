"""Whether Kafka lets us into our group: a consumer that it keeps out waits for ever, and says nothing."""

from contextlib import closing
from time import monotonic, sleep

from kafka import KafkaAdminClient
from kafka.errors import GroupAuthorizationFailedError, KafkaError

from stream_app.kafka.clients import kafka_python_options
from stream_app.kafka.error_hints import who
from stream_app.settings import Settings

_TIMEOUT_MS = 10_000
_PATIENCE_S = 10.0
_LOOK_S = 0.2


class NotAllowedError(RuntimeError):
    """Kafka would not let this worker work; the message says what is missing."""


def require_group(settings: Settings) -> None:
    """Return when we may join. Raises NotAllowedError. Without credentials there is nothing to ask."""
    if settings.kafka_protocol == "PLAINTEXT":
        return
    try:
        with closing(KafkaAdminClient(**kafka_python_options(settings), bootstrap_timeout_ms=_TIMEOUT_MS)) as admin:
            allowed = _operations(admin, settings.app_id)
            is_allowed = allowed is None or "READ" in allowed
    except GroupAuthorizationFailedError:
        is_allowed = False
    except KafkaError as error:
        raise NotAllowedError(f"{settings.brokers} does not tell of the group {settings.app_id}: {error}") from error
    if not is_allowed:
        raise NotAllowedError(
            f"{who(settings)} may not read as the group {settings.app_id} (STREAM_APP_APP_ID): "
            "docs/security.md lists the ACLs that a worker needs"
        )


def _operations(admin: KafkaAdminClient, group: str) -> list[str] | None:
    """What we may do with the group, None where it is new. A new cluster needs a moment to say who coordinates it."""
    deadline_s = monotonic() + _PATIENCE_S
    while True:
        try:
            operations: list[str] | None = admin.describe_groups([group])[group]["authorized_operations"]
            return operations
        except KafkaError as error:
            if not getattr(error, "retriable", False) or monotonic() > deadline_s:
                raise
        sleep(_LOOK_S)
