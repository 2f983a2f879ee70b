"""Group membership: the lease follows what the group answers to this worker's heartbeats."""

from time import monotonic
from typing import Any

from aiokafka import errors
from aiokafka.errors import for_code
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

from stream_app.engine.ownership.fencing import Lease

_IS_MEMBER = {errors.NoError, errors.RebalanceInProgressError}


def note_membership(lease: Lease, coordinator: Any) -> None:
    """Have the lease follow what the group answers to heartbeats, and to the request for an assignment.

    An answer is as old as its request: this process may have been frozen since. To whatever the group answers that it
    does not know this worker, the lease ends.
    """
    send, reset = coordinator._send_req, coordinator.reset_generation  # noqa: SLF001

    async def noted(request: Any) -> Any:
        asked_s = monotonic()
        answer = await send(request)
        if isinstance(request, HeartbeatRequest | SyncGroupRequest) and for_code(answer.error_code) in _IS_MEMBER:
            lease.renew(asked_s)
        return answer

    def unknown() -> None:
        if not coordinator._closing.done():  # noqa: SLF001 - who leaves still writes what it has
            lease.give_up()
        reset()

    coordinator._send_req, coordinator.reset_generation = noted, unknown  # noqa: SLF001
