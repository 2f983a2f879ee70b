"""Group membership: renews the lease from the group's answers to this worker's heartbeats."""

from time import monotonic
from typing import Any

from aiokafka import errors
from aiokafka.errors import for_code
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

from stream_app.engine.ownership.fencing import Lease

_IS_MEMBER = {errors.NoError, errors.RebalanceInProgressError}


def note_membership(lease: Lease, coordinator: Any) -> None:
    """Renew the lease when the group accepts a heartbeat or a sync request; end it when the group removes this member.

    An answer is only as recent as its request, because this process may have been frozen in between.
    See docs/reliability.md#fault-stale-assignment.
    """
    send, reset = coordinator._send_req, coordinator.reset_generation  # noqa: SLF001

    async def noted(request: Any) -> Any:
        asked_s = monotonic()
        answer = await send(request)
        if isinstance(request, HeartbeatRequest | SyncGroupRequest) and for_code(answer.error_code) in _IS_MEMBER:
            lease.renew(asked_s)
        return answer

    def unknown() -> None:
        if not coordinator._closing.done():  # noqa: SLF001 - a leaving member still writes what is pending
            lease.give_up()
        reset()

    coordinator._send_req, coordinator.reset_generation = noted, unknown  # noqa: SLF001
