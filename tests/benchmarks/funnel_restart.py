"""How long a worker takes to restore a million people of the funnel, and as many who are credited.

`python -m tests.benchmarks.funnel_restart [PEOPLE]`: as many people and scopes; each shares a post of somebody else.
"""

import sys
from collections.abc import Iterator

from stream_app.core.events.schema import Event, Share
from tests.benchmarks.funnel_store import WAYS, counted, opened, restart_s
from tests.benchmarks.retracting import SPAN_MS
from tests.benchmarks.workload import END_MS

PEOPLE, BATCH = 1_000_000, 1000
_SHARE = (
    b'{"event_id":"e%08x","ts":%d,"user_id":"u%07d","kind":"share","post_id":"p%08x","topics":["topic-%02d"],'
    b'"audience":100,"author_id":"a%07d"}'
)


def shares(count: int) -> Iterator[tuple[type[Event], list[bytes]]]:
    """Yield batches of shares, no two of one person or of one author."""
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        times_ms = ((number, END_MS - SPAN_MS + number * SPAN_MS // count) for number in numbers)
        yield Share, [_SHARE % (number, ts_ms, number, number, number % 20, number) for number, ts_ms in times_ms]


def main() -> None:
    """Measure and print."""
    people = int(sys.argv[1]) if len(sys.argv) > 1 else PEOPLE
    way = WAYS["both"]
    table = counted(list(shares(people // 2)), way).table
    spent_s, size_mb = restart_s(table, way.funnel), sum(map(len, table.values())) / 1e6
    sys.stdout.write(f"{people} people and scopes, {size_mb:.0f} MB of changelog: restored in {spent_s:.1f} s of CPU\n")
    funnel = opened(table, way.funnel).funnel
    assert funnel is not None
    sys.stdout.write(f"{len(funnel.funnel.entries)} entries, {len(funnel.funnel.shares)} shares, ")
    sys.stdout.write(f"{int(funnel.credited.by_scope()[0].sum())} authors and scopes credited\n")


if __name__ == "__main__":
    main()
