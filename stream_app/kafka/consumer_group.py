"""The consumer group of the workers: who is in it, and what it has committed."""

from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import Any, NamedTuple, TypeVar

from kafka import TopicPartition
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError

from stream_app.settings import Settings

_PATIENCE_S = 10.0
_LOOK_S = 0.2

T = TypeVar("T")


class Group(NamedTuple):
    """As of now."""

    members: int
    state: str


def group(settings: Settings, admin: Any) -> Group:
    """Who is in it: nobody where there never was one. Raises KafkaError."""
    told = _once_known(lambda: admin.describe_groups([settings.app_id]))[settings.app_id]
    return Group(len(told["members"]), told["group_state"].lower())


def committed(settings: Settings, admin: Any) -> Mapping[TopicPartition, int]:
    """The committed offsets. Raises KafkaError."""
    told = _once_known(lambda: admin.list_group_offsets(settings.app_id))[settings.app_id]
    return {partition: found.offset for partition, found in told.items()}


def _once_known(ask: Callable[[], T]) -> T:
    """The answer, as soon as somebody answers for the groups: a new cluster needs to be asked first."""
    deadline_s = monotonic() + _PATIENCE_S
    while True:
        try:
            return ask()
        except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError):
            if monotonic() > deadline_s:
                raise
            sleep(_LOOK_S)
