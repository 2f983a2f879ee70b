"""Producers with transactions: committed events are counted, aborted and open ones are not."""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.engine.load import START_MS
from tests.servers.tracker import Tracker, following, tracker, variables

pytestmark = pytest.mark.timeout(100)

USERS, ROUNDS = 40, 3
STALL_S = 3.0
WAIT_S = 30.0


class Transactions:
    """A producer with a transaction."""

    def __init__(self, run: Tracker, name: str) -> None:
        self._topic = run.settings.posts_topic
        self._brokers = run.settings.brokers
        self._name = name
        self._loop = asyncio.new_event_loop()
        self._producer: Any = None

    def begin(self) -> None:
        """Post once by everybody, and leave it open."""
        self._run(self._post())

    def commit(self) -> None:
        """Have it count."""
        self._run(self._producer.commit_transaction())

    def abort(self) -> None:
        """Take it back."""
        self._run(self._producer.abort_transaction())

    def close(self) -> None:
        """Leave."""
        if self._producer is not None:
            self._run(self._producer.stop())
        self._loop.close()

    def _run(self, what: Coroutine[Any, Any, None]) -> None:
        self._loop.run_until_complete(what)

    async def _post(self) -> None:
        if self._producer is None:
            self._producer = AIOKafkaProducer(bootstrap_servers=self._brokers, transactional_id=self._name)
            await self._producer.start()
        await self._producer.begin_transaction()
        for number in range(USERS):
            user, now = f"u{number}", time.monotonic_ns()
            post = {"event_id": f"{self._name}{now}", "ts": START_MS, "user_id": user, "audience": 5}
            await self._producer.send_and_wait(self._topic, msgspec.json.encode(post), key=user.encode())


@contextmanager
def transactions(run: Tracker, name: str) -> Iterator[Transactions]:
    """A producer for the length of the block."""
    made = Transactions(run, name)
    try:
        yield made
    finally:
        made.close()


def test_only_what_was_committed_counts_and_nobody_waits_for_the_marks(apache_brokers: str, tmp_path: Path) -> None:
    environment = variables(apache_brokers, "transactions", stall_s=f"{STALL_S:g}s")
    with tracker(environment, tmp_path, workers=1) as run, following(run, run.settings.curves_topic) as follower:
        with transactions(run, "first") as first, transactions(run, "second") as second:
            for _ in range(ROUNDS):
                first.begin()
                first.commit()
                first.begin()
                first.abort()
            follower.until_read(ROUNDS * USERS, WAIT_S)
            first.begin()
            second.begin()
            second.commit()  # nobody can read it while the first is open
            until_s = time.monotonic() + 2.5 * STALL_S  # a worker that waits for unreadable offsets has ended by then
            seen = follower.until(lambda _: time.monotonic() > until_s, "time passed", WAIT_S)
            assert seen.total("read") == ROUNDS * USERS
            first.commit()
            follower.until_read((ROUNDS + 2) * USERS, WAIT_S)
        until_s = time.monotonic() + 2.5 * STALL_S
        seen = follower.until(lambda _: time.monotonic() > until_s, "time passed", WAIT_S)
    assert (seen.total("read"), seen.total("applied")) == ((ROUNDS + 2) * USERS, (ROUNDS + 2) * USERS)
    assert not any(known.lagging for known in seen.statuses.values())
