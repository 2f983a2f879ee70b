"""Builds the engine: creates its parts from the settings and connects them."""

import time
import uuid
from functools import partial

from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.flags.outcomes import FORESIGHT_MS
from stream_app.core.flags.track_record import TrackRecord
from stream_app.core.group.members import PATIENCE_SESSIONS, Members
from stream_app.core.privacy.erasures import Erasures
from stream_app.engine.context import EngineContext, OwnedPartitions, homes_of
from stream_app.engine.counting.batch_counter import BatchCounter
from stream_app.engine.counting.waiting_batches import WaitingBatches
from stream_app.engine.engine import Engine, EngineParts
from stream_app.engine.faust.app import connect, tracker_app
from stream_app.engine.faust.consumer import Positions, SourceConsumer
from stream_app.engine.liveness.broker_monitor import BrokerMonitor
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.engine.message_limits import MessageLimits
from stream_app.engine.output_topics import OutputTopics
from stream_app.engine.ownership.admission import Admission
from stream_app.engine.ownership.fencing import Lease
from stream_app.engine.ownership.rebalance import PartitionOwnership, positions_of
from stream_app.engine.ports import FlagListeners, Meter
from stream_app.engine.producer import BatchingProducer
from stream_app.engine.rounds.curve_exchange import CurveExchange
from stream_app.engine.rounds.cut_publisher import CutPublisher
from stream_app.engine.rounds.delta_reader import DeltaReader
from stream_app.engine.rounds.erasure import PartitionEraser
from stream_app.engine.rounds.evaluation_round import EvaluationRound
from stream_app.engine.rounds.flag_outbox import FlagOutbox
from stream_app.engine.rounds.partition_updates import PartitionUpdates
from stream_app.engine.rounds.source_reach import SourceReach
from stream_app.engine.rounds.watermark_alignment import WatermarkAlignment
from stream_app.engine.time_synchronization import TimeSynchronization
from stream_app.engine.unreadable import UnreadableRecords
from stream_app.kafka.topic_reader import partitions
from stream_app.settings import Settings
from stream_app.settings.standing_rules import rules_of
from stream_app.settings.text import ruling_texts


def build_engine(settings: Settings, meter: Meter) -> Engine:
    """Build the engine of a worker, connected to its own Faust app."""
    parts = engine_parts(settings, meter)
    engine = Engine(parts)
    connect(parts.tracker, engine)
    return engine


def engine_parts(settings: Settings, meter: Meter) -> EngineParts:
    """Build the parts of an engine."""
    owned: OwnedPartitions = {}
    lease, health = Lease(settings.session_timeout_s), WorkerHealth(settings.stall_s)
    broker_monitor = BrokerMonitor(settings)
    limits = MessageLimits(settings.max_message_bytes, lambda: broker_monitor.answer.limits)
    producer = BatchingProducer(settings, lease, limits, meter.bound_hit)

    def positions() -> Positions:
        return positions_of((held.store for held in owned.values()), settings.read_topics)

    tracker = tracker_app(settings, lease, health, positions, producer)
    tracker.standings.on_unreadable = UnreadableRecords(meter).record
    consumer = SourceConsumer(tracker.app)
    erasures = Erasures(settings.erasures_topic, settings.person_key.reveal())
    context = EngineContext(
        settings=settings,
        rules=rules_of(settings),
        owned=owned,
        followed=FollowedCuts(),
        homes=homes_of(owned, settings),
        output=OutputTopics(producer, settings, limits, meter.bound_hit),
        limits=limits,
        track_record=TrackRecord(settings.version, settings.panes * settings.pane_ms, FORESIGHT_MS),
        meter=meter,
        clock=time.time,
        erasures=erasures,
        members=Members(uuid.uuid4().hex, ruling_texts(settings), PATIENCE_SESSIONS * settings.session_timeout_s),
    )
    listeners = FlagListeners()
    exchange = CurveExchange(context)
    admission = Admission(settings, context.members, context.clocks, health, meter, context.clock)
    publisher = CutPublisher(context, exchange)
    synchronization = TimeSynchronization(context, broker_monitor)
    outbox = FlagOutbox(
        *(tracker.standings, context.output, meter, listeners.submit),
        on_ended=lambda partition, keys: listeners.forget(partition, keys, ()),
        disclosure=settings.disclosure,
    )
    eraser = PartitionEraser(context, tracker.standings, listeners.forget)
    counter = BatchCounter(context, consumer, synchronization)
    waiting = WaitingBatches(counter.count, consumer)
    reach = SourceReach(context, consumer, waiting.held, lambda: exchange.read_ms, lambda: exchange.said_ms)
    alignment = WatermarkAlignment(context, reach, exchange.statuses)
    updates = PartitionUpdates(context, exchange, eraser, synchronization, reach, alignment)
    return EngineParts(
        context=context,
        tracker=tracker,
        consumer=consumer,
        producer=producer,
        lease=lease,
        health=health,
        broker_monitor=broker_monitor,
        exchange=exchange,
        admission=admission,
        publisher=publisher,
        waiting=waiting,
        alignment=alignment,
        updates=updates,
        evaluation=EvaluationRound(context, exchange, outbox, publisher, updates, alignment, waiting),
        ownership=PartitionOwnership(
            *(context, tracker.segments, tracker.standings, outbox, eraser, consumer, synchronization),
            exchange.ids_until_ms,
        ),
        synchronization=synchronization,
        delta_reader=DeltaReader(context, partial(partitions, settings)),
        listeners=listeners,
    )
