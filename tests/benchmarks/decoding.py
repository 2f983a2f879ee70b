"""What it takes to make columns of a batch of JSON events: as it is done, and with other libraries that are installed.

`python -m tests.benchmarks.decoding`; for the decision docs/adr/native-part.md.
"""

import importlib
import io
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from stream_app.core.events.credit import ViewRates, credit_all
from stream_app.core.events.decode import decode
from stream_app.core.events.identity import HashingPlan
from stream_app.core.events.schema import Post
from stream_app.core.state.interning import Interner

EVENTS, REPEATS = 5_000, 15
MOST_BYTES = 65_536


class Lean(msgspec.Struct, gc=False):
    """A post whose fields are read and not checked."""

    event_id: str
    ts: int
    user_id: str
    topics: tuple[str, ...] = ()
    audience: float | None = None


def a_batch() -> list[bytes]:
    """A batch like those of the throughput benchmark."""
    rng = random.Random(1)
    return [
        msgspec.json.encode(
            {
                "event_id": f"e{rng.randrange(10**9)}",
                "ts": 1_704_067_200_000 + 10 * place,
                "user_id": f"u{int(100_000 * rng.random() ** 3)}",
                "topics": [f"t{int(20 * rng.random() ** 2)}"],
                "audience": rng.randrange(1, 5_000),
                "channel": "web",
            }
        )
        for place in range(EVENTS)
    ]


def ways(values: list[bytes]) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield each way by name."""
    users, topics, plan = Interner(), Interner(), HashingPlan(7)
    whole, lean = msgspec.json.Decoder(list[Post]), msgspec.json.Decoder(Lean)

    def as_it_is() -> object:
        credits_, _ = credit_all(decode(values, Post, MOST_BYTES), Post, ViewRates(), plan)
        return users.add(credits_.users), topics.add([topic for some in credits_.topics for topic in some])

    def leaner() -> object:
        events = list(map(lean.decode, values))
        names = [event.user_id for event in events], [event.event_id for event in events]
        times = np.array([event.ts for event in events], np.int64)
        return names, times, np.array([event.audience for event in events], np.float64)

    yield "as it is: events, columns, hashes, numbers of users and topics", as_it_is
    yield "… of which events alone", lambda: decode(values, Post, MOST_BYTES)
    yield "msgspec, the batch as one array", lambda: whole.decode(b"[" + b",".join(values) + b"]")
    yield "msgspec without checks, and columns", leaner
    yield from _with_other_libraries(values)


def _with_other_libraries(values: list[bytes]) -> Iterator[tuple[str, Callable[[], object]]]:
    if (arrow := _installed("pyarrow")) and (arrow_json := _installed("pyarrow.json")):
        fields = [("event_id", arrow.string()), ("ts", arrow.int64()), ("user_id", arrow.string())]
        schema = arrow.schema([*fields, ("topics", arrow.list_(arrow.string())), ("audience", arrow.int64())])
        asked = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        alone = arrow_json.ReadOptions(use_threads=False, block_size=10_000_000)

        def with_arrow() -> object:
            table = arrow_json.read_json(io.BytesIO(b"\n".join(values)), read_options=alone, parse_options=asked)
            return table["user_id"].dictionary_encode()

        yield "pyarrow, the batch as lines, columns and numbers of users", with_arrow
    if polars := _installed("polars"):
        kinds = {"event_id": polars.String, "ts": polars.Int64, "user_id": polars.String}
        kinds |= {"topics": polars.List(polars.String), "audience": polars.Int64}
        yield "polars, the batch as lines, columns", lambda: polars.read_ndjson(b"\n".join(values), schema=kinds)


def _installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def microseconds(way: Callable[[], object]) -> float:
    """CPU time of an event, the best of several."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        way()
        best = min(best, time.process_time() - started)
    return best / EVENTS * 1e6


if __name__ == "__main__":
    for name, way in ways(a_batch()):
        sys.stdout.write(f"{microseconds(way):5.2f} µs  {name}\n")
