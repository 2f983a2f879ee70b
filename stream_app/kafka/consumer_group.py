"""The consumer group of the workers: its members, and the offsets it has committed."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from kafka import TopicPartition
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError

from stream_app.settings import Settings
from stream_app.until import until

_PATIENCE_S = 10.0
_COORDINATOR_ELECTION = (CoordinatorNotAvailableError, CoordinatorLoadInProgressError)
"""A new cluster needs a moment to find the coordinator of a group."""

T = TypeVar("T")


class Group(NamedTuple):
    """As of now."""

    members: int
    state: str


def group(settings: Settings, admin: Any) -> Group:
    """A group that never existed has no members. Raises KafkaError."""
    described = _asked(lambda: admin.describe_groups([settings.app_id]))[settings.app_id]
    return Group(len(described["members"]), described["group_state"].lower())


def committed(settings: Settings, admin: Any) -> Mapping[TopicPartition, int]:
    """The committed offsets. Raises KafkaError."""
    offsets = _asked(lambda: admin.list_group_offsets(settings.app_id))[settings.app_id]
    return {partition: found.offset for partition, found in offsets.items()}


def _asked(ask: Callable[[], T]) -> T:
    return until(ask, _PATIENCE_S, retry_on=_COORDINATOR_ELECTION)
