"""Whether this user may join the consumer group.

A consumer that may not waits for ever, without an error: docs/reliability.md#fault-denied-group.
"""

from contextlib import closing

from kafka.errors import GroupAuthorizationFailedError, KafkaError, RetriableError

from stream_app.kafka.clients import AdminClient, new_admin
from stream_app.kafka.error_hints import who
from stream_app.settings import Settings
from stream_app.until import until

_COORDINATOR_WITHIN_S = 10.0


class NotAllowedError(RuntimeError):
    """This user lacks a permission that a worker needs; the message names it."""


def require_group(settings: Settings) -> None:
    """Return when this user may join. Raises NotAllowedError. Without credentials there is nothing to ask."""
    if settings.kafka_protocol == "PLAINTEXT":
        return
    try:
        with closing(new_admin(settings)) as admin:
            operations = _allowed_operations(admin, settings.app_id)
            may_read = operations is None or "READ" in operations
    except GroupAuthorizationFailedError:
        may_read = False
    except KafkaError as error:
        raise NotAllowedError(f"{settings.brokers} does not describe the group {settings.app_id}: {error}") from error
    if not may_read:
        raise NotAllowedError(
            f"{who(settings)} may not read as the group {settings.app_id} (STREAM_APP_APP_ID): "
            "docs/security.md lists the ACLs that a worker needs"
        )


def _allowed_operations(admin: AdminClient, group: str) -> list[str] | None:
    """None for a group that is new. A new cluster needs a moment to find the coordinator of a group."""
    described = until(lambda: admin.describe_groups([group]), _COORDINATOR_WITHIN_S, retry_on=(RetriableError,))
    operations: list[str] | None = described[group]["authorized_operations"]
    return operations
