"""Kafka through Faust: the app with every setting set on purpose, and what the engine asks of its clients."""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, cast

import faust
from aiokafka import TopicPartition, errors
from aiokafka.errors import for_code
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest
from faust.auth import OAuthCredentials
from faust.serializers.codecs import codecs
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP
from faust.types.auth import CredentialsT

from stream_app.engine.faust.batches import BatchQueue, scheduler_of
from stream_app.engine.faust.recovery import Tables
from stream_app.engine.faust.tables import PartitionTable
from stream_app.engine.liveness.health import Health
from stream_app.engine.ownership.fencing import Lease
from stream_app.kafka.clients import aiokafka_options, servers_of
from stream_app.kafka.record_batches import leave_records_packed
from stream_app.settings import Settings

_BATCHES_AHEAD = 2
_BATCHES_A_POLL = 2
_IS_MEMBER = {errors.NoError, errors.RebalanceInProgressError}


Positions = Mapping[TP, int]
"""The next offset to count, by source partition."""


def faust_app(settings: Settings, lease: Lease, health: Health, positions: Callable[[], Positions]) -> faust.App:
    """The Faust app of a worker; `positions` tells how far the books have counted."""
    leave_records_packed()
    forbid_pickle()
    options = aiokafka_options(settings)
    app = _App(
        settings.app_id,
        broker=[f"kafka://{server}" for server in servers_of(settings)],
        broker_credentials=_credentials(options),
        key_serializer="raw",
        value_serializer="raw",
        store="memory://",
        datadir=Path(tempfile.gettempdir()) / "stream-app",  # stays empty, but Faust makes it
        Table=PartitionTable,
        ConsumerScheduler=scheduler_of(settings.batch_events, settings.input_topics),
        TableManager=Tables,
        Topic=ExistingTopic,
        cython_optimizations=True,
        web_enabled=False,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_disable_leader=True,
        table_standby_replicas=0,
        broker_max_poll_records=_BATCHES_A_POLL * settings.batch_events,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 4,
        broker_rebalance_timeout=max(settings.session_timeout_s * 2, 10.0),
        broker_request_timeout=max(settings.session_timeout_s * 2, 30.0),
        broker_commit_interval=2.0,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=2_000_000,
        stream_buffer_maxsize=_BATCHES_AHEAD,
        stream_wait_empty=False,
    )
    app.lease, app.health, app.positions, app.client_options = lease, health, positions, options
    transport: Any = app.transport
    transport.Consumer = BatchConsumer  # Faust has no setting for it
    return app


def forbid_pickle() -> None:
    """Take the codecs that can run what somebody sent out of Faust: there is no way left to ask for them."""
    for name in [name for name in codecs if "pickle" in name]:
        del codecs[name]


def _credentials(options: Mapping[str, Any]) -> CredentialsT | None:
    """What Faust makes the same options for its consumer and its producer from."""
    context = options["ssl_context"]
    if "SASL" not in options["security_protocol"]:
        return faust.SSLCredentials(context) if context else None
    if provider := options.get("sasl_oauth_token_provider"):
        return OAuthCredentials(oauth_cb=provider, ssl_context=context)
    return faust.SASLCredentials(
        username=options["sasl_plain_username"],
        password=options["sasl_plain_password"],
        mechanism=options["sasl_mechanism"],
        ssl_context=context,
    )


class ExistingTopic(faust.Topic):
    """A topic that is there: `stream-app topics create` makes them, and no worker needs the right to."""

    async def declare(self) -> None:
        """Faust would try to create it, and fail where it may not."""


class _App(faust.App):
    lease: Lease
    health: Health
    positions: Callable[[], Positions]
    client_options: Mapping[str, Any]

    def FlowControlQueue(self, maxsize: int | None = None, *, clear_on_resume: bool = False) -> BatchQueue:  # noqa: N802
        """Queues of batches: Faust has no setting for it."""
        return BatchQueue(maxsize=maxsize or 0, flow_control=self.flow_control, clear_on_resume=clear_on_resume)


class _ConsumerThread(AIOKafkaConsumerThread):
    """Faust's thread that talks to Kafka; what the group answers renews the lease, or ends it."""

    def _create_consumer(self, loop: Any) -> Any:
        """One that reads only what was committed: Faust has a setting for it that turns on much else."""
        consumer: Any = super()._create_consumer(loop)
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - aiokafka looks at it when it starts
        return consumer

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Leave the logs of tables to recovery: what is fetched of them here nobody takes, and it stays in memory."""
        logs = [TopicPartition(*tp) for tp in assigned if _is_log(self.app, tp)]
        self._ensure_consumer().pause(*logs)  # before anything is awaited, so nothing has been fetched
        await super().on_partitions_assigned(assigned, generation_id)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust would tell of every log that it is not fetched."""
        if not _is_log(self.app, tp):
            super().verify_event_path(now, tp)

    def highwater(self, tp: TP) -> int:
        """Where a partition ended when it was last fetched from: what is in open transactions cannot be read yet."""
        stable = self._ensure_consumer().last_stable_offset(tp)
        return super().highwater(tp) if stable is None or stable < 0 else int(stable)

    async def on_start(self) -> None:
        await super().on_start()
        coordinator: Any = cast(Any, self._consumer)._coordinator  # noqa: SLF001 - aiokafka tells nobody of its heartbeats
        note_membership(cast(_App, self.app).lease, coordinator)


def _is_log(app: faust.types.AppT, tp: TP) -> bool:
    return tp.topic in app.tables.changelog_topics


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


class BatchConsumer(Consumer):
    """Faust's consumer for topics whose records are handed over in batches, and whose positions the books keep."""

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Go on where the books are. Faust asks for this whenever it has thrown away records that were fetched.

        It would go to what the group has committed, and stay where it is, behind those records, if that is nothing.
        """
        assigned = self.assignment()
        positions = {tp: position for tp, position in cast(_App, self.app).positions().items() if tp in assigned}
        await self.seek_wait(positions)
        self._read_offset.update({tp: position or None for tp, position in positions.items()})

    @property
    def generation(self) -> int:
        """The generation of the group that this worker is in now; below 0 where the group does not know it."""
        return int(cast(Any, self._thread)._ensure_consumer()._coordinator.generation)  # noqa: SLF001 - nobody else has it

    async def commit_positions(self, positions: Positions, generation: int) -> bool:
        """Commit; False when the group has moved on since `generation`: the partitions may have had other owners.

        A commit is made in the name of whatever generation the consumer is in when it is sent, even of none, and Faust
        leaves out what is no longer assigned: that it succeeds says nothing of the generation before.
        """
        return await self._commit(positions) and self.generation == generation

    async def _commit(self, offsets: Positions) -> bool:
        with cast(_App, self.app).health.doing("commit"):
            return bool(await super()._commit(offsets))

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """A batch stands at its last offset, so what looks like a gap before it is the batch."""

    def _new_offset(self, tp: TP) -> int | None:
        """Commit up to the last batch counted: batches of a partition are counted in order, one at a time."""
        acked = self._acked[tp]
        if not acked:
            return None
        offset = max(acked) + 1
        acked.clear()
        self._acked_index[tp].clear()
        return offset


class Kafka:
    """The consumer of a running app."""

    def __init__(self, app: faust.App) -> None:
        self._app = app

    async def commit(self, positions: Positions, generation: int) -> bool:
        """Commit; False when the group has moved on since `generation`: the partitions may have had other owners."""
        return await cast(BatchConsumer, self._app.consumer).commit_positions(positions, generation)

    async def ends(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """Where the partitions end now."""
        return await self._app.consumer.highwaters(*tps)

    async def start(self, tp: TP) -> int:
        """Where a partition begins: what was before is gone."""
        return int((await self._app.consumer.earliest_offsets(tp))[tp])

    async def seek(self, tp: TP, offset: int) -> None:
        """Read a partition from `offset` on, if it is ours still."""
        if tp in self._app.consumer.assignment():
            await self._app.consumer.seek(tp, offset)

    def end(self, tp: TP) -> int:
        """Where a partition ended when it was last fetched from; 0 where it is not ours, as in a rebalance."""
        consumer = self._app.consumer
        return (consumer.highwater(tp) or 0) if tp in consumer.assignment() else 0
