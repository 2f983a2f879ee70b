"""Faust settings: maps the worker's settings to those of a Faust app, each set explicitly.

See docs/reliability.md#fault-defaults.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import faust
from faust.auth import OAuthCredentials
from faust.serializers.codecs import codecs
from faust.types.auth import CredentialsT

from stream_app.engine.faust.batches import scheduler_of
from stream_app.engine.faust.consumer import BatchConsumer, Positions, TrackerApp
from stream_app.engine.faust.contract import refusal
from stream_app.engine.faust.restore import TrackerTables
from stream_app.engine.faust.tables import PartitionTable
from stream_app.engine.liveness.exit_codes import Exit, end
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.engine.ownership.fencing import Lease
from stream_app.kafka.async_clients import aiokafka_options
from stream_app.kafka.options import servers_of
from stream_app.kafka.record_batches import leave_records_packed
from stream_app.kafka.topics import copartitioned_topics
from stream_app.settings import Settings

_BATCHES_AHEAD = 2
_BATCHES_A_POLL = 2


def configured_app(
    settings: Settings, lease: Lease, health: WorkerHealth, positions: Callable[[], Positions]
) -> TrackerApp:
    """Create a Faust app without topics, tables and agents; `positions` returns the positions of the ledgers."""
    if why := refusal():
        end(Exit.REFUSED, why)
    leave_records_packed()
    forbid_pickle()
    options = aiokafka_options(settings)
    app = TrackerApp(
        settings.app_id,
        broker=[f"kafka://{server}" for server in servers_of(settings)],
        broker_credentials=_credentials(options),
        key_serializer="raw",
        value_serializer="raw",
        store="memory://",
        datadir=Path(tempfile.gettempdir()) / "stream-app",  # stays empty, but Faust creates it
        Table=PartitionTable,
        ConsumerScheduler=scheduler_of(settings.batch_events, settings.read_topics),
        TableManager=TrackerTables,
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
    app.copartitioned = copartitioned_topics(settings)
    transport: Any = app.transport
    transport.Consumer = BatchConsumer  # Faust has no setting for it
    return app


def forbid_pickle() -> None:
    """Remove the pickle codecs from Faust, so that no record can make it run code."""
    for name in [name for name in codecs if "pickle" in name]:
        del codecs[name]


class ExistingTopic(faust.Topic):
    """A topic that exists already: `stream-app topics create` creates topics, so workers need no right to."""

    async def declare(self) -> None:
        """Do nothing. Faust would try to create the topic, and fail without the right to."""


def _credentials(options: Mapping[str, Any]) -> CredentialsT | None:
    """Convert aiokafka options to Faust credentials, from which Faust derives the same options again."""
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
