"""A worker with a fault: `python -m tests.proof.faulty FAULT TRIGGER ENVIRONMENT`, from when the file TRIGGER is there.

The faults are put in from outside: the product has no hooks for them.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from stream_app.engine.counting.batch_counter import BatchCounter
from stream_app.engine.faust.batches import BatchScheduler
from stream_app.settings import load
from stream_app.worker import run_worker


def freeze_partition(began: Callable[[], bool]) -> None:
    """The records of partition 0 are fetched, and never reach the agent."""
    iterate = BatchScheduler.iterate

    def without_one(self: BatchScheduler, records: Any) -> Iterator[Any]:
        for tp, message in iterate(self, records):
            if tp.partition or not began():
                yield tp, message

    BatchScheduler.iterate = without_one  # type: ignore[method-assign]


def freeze_agent(began: Callable[[], bool]) -> None:
    """The agents wait for something that never comes."""
    count = BatchCounter.count

    async def stuck(self: BatchCounter, fetched: Any) -> Any:
        if began():
            await asyncio.Event().wait()
        return await count(self, fetched)

    BatchCounter.count = stuck  # type: ignore[method-assign,assignment]


def freeze_commit(began: Callable[[], bool]) -> None:
    """The group never answers a commit."""
    commit = AIOKafkaConsumerThread.commit

    async def stuck(self: Any, offsets: Any) -> bool:
        if began():
            await asyncio.Event().wait()
        return await commit(self, offsets)

    AIOKafkaConsumerThread.commit = stuck  # type: ignore[method-assign]


FAULTS = {"partition": freeze_partition, "agent": freeze_agent, "commit": freeze_commit}

if __name__ == "__main__":
    fault, trigger, environment = sys.argv[1:]
    FAULTS[fault](Path(trigger).exists)
    sys.exit(run_worker(load(json.loads(environment))))
