"""The outbox of flags on a real Kafka, with a crash between every two of its steps."""

import random
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from stream_app.core.messages import Flag, FlagType
from stream_app.core.state.ledger import Ledger
from stream_app.engine.output_topics import OutputTopics
from stream_app.engine.ownership.fencing import Lease
from stream_app.engine.producer import BatchingProducer, Headers
from stream_app.engine.rounds.flag_outbox import FlagOutbox
from stream_app.kafka import topics
from stream_app.settings import Settings, load
from tests.board_samples import a_flag
from tests.proof.report import Proof
from tests.proof.verifier import everything
from tests.servers.tracker import variables
from tests.unit.engine.fakes import Crash, Surroundings

pytestmark = pytest.mark.timeout(600)

EVALUATIONS, FLAGS_EACH = 200, 5
STEPS = 2 * (FLAGS_EACH + 1)
"""Every standing written, all of them made durable, every flag sent, all of them made durable."""
PARTITION = 0


class Mortal(BatchingProducer):
    """Writes to Kafka, and dies before a step; of what it held then some may have got through."""

    def __init__(self, settings: Settings, dies_before: int) -> None:
        super().__init__(settings, Lease(60.0))
        self._left = dies_before

    def put(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        spare: Callable[[], Headers] | None = None,
    ) -> None:
        self._step()
        super().put(topic, partition, key, value, headers, spare)

    async def flush(self) -> None:
        self._step()
        await super().flush()

    def _step(self) -> None:
        if not self._left:
            raise Crash
        self._left -= 1

    async def end(self, kept: int) -> None:
        """The process is gone; of what it had not sent, the first `kept` records of each partition are in Kafka."""
        for place, records in list(self._waiting.items()):
            self._waiting[place] = records[:kept]
            if not kept:
                del self._waiting[place]
        await super().flush()
        if self._producer is not None:
            await self._producer.stop()


def decided(evaluation: int, life: int) -> list[Flag]:
    """What an evaluation finds; decided anew in another life it has another id."""
    return [
        msgspec.structs.replace(
            a_flag(f"u{evaluation}-{number}", "phone", flag_id=f"{evaluation}-{number}-{life}", eta_s=None),
            type=FlagType.ENTERED,
            detected_at=1000 * (life + 1),
        )
        for number in range(FLAGS_EACH)
    ]


@pytest.mark.promise(9)
async def test_every_flag_arrives_once_when_repeats_are_dropped(brokers: str, kafka: str, proof: Proof) -> None:
    rng = random.Random(9)
    name = f"outbox-{kafka}"
    settings = load(variables(brokers, name, partitions="1", standings_topic=f"{name}-standings-changelog"))
    assert not [found.problem for found in topics.create(settings) if found.problem]
    crashes = 0
    for life in range(EVALUATIONS + 1):
        fake = Surroundings(app_id=name)
        producer = Mortal(settings, 10**9)
        fake.standings.producer, fake.standings.data.data = producer, {}
        fake.standings.restore(PARTITION, everything(settings, settings.standings_topic))
        outbox = FlagOutbox(
            fake.standings, OutputTopics(producer, settings), fake.meter, lambda _partition, _flags: None
        )
        stored = fake.standings.of_partition(PARTITION)
        await outbox.take_over(PARTITION, stored, Ledger(1000, 4, 2))
        known = {msgspec.json.decode(key)[0] for key in stored}
        for evaluation in (life - 1, life):
            flags = [flag for flag in decided(evaluation, life) if flag.user_id not in known]
            producer._left = life % STEPS if evaluation == life < EVALUATIONS else 10**9
            try:
                if flags and 0 <= evaluation < EVALUATIONS:
                    await outbox.raise_flags(PARTITION, flags)
            except Crash:
                crashes += 1
        producer._left = 10**9
        await producer.end(rng.randrange(FLAGS_EACH + 1))
    sent = [msgspec.json.decode(record.value, type=Flag) for record in everything(settings, settings.flags_topic)]
    distinct = {flag.flag_id: flag for flag in sent}
    repeats = len(sent) - len(distinct)
    proof.figure(crashes=crashes, raised=EVALUATIONS * FLAGS_EACH, distinct=len(distinct), repeats=repeats)
    assert crashes == EVALUATIONS
    assert all(distinct[flag.flag_id] == flag for flag in sent), "a repeat says something else"
    assert Counter(flag.user_id for flag in distinct.values()) == Counter(
        {f"u{evaluation}-{number}": 1 for evaluation in range(EVALUATIONS) for number in range(FLAGS_EACH)}
    )
