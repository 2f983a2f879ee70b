"""How many records all workers count per second, from what their partitions publish."""

import asyncio
from collections import deque
from time import monotonic

from stream_app.core.queries import QueryableState

_SAMPLE_S = 1.0
_SPAN_S = 8.0


class Throughput:
    """Looks at the counters every second."""

    def __init__(self, state: QueryableState) -> None:
        self._state = state
        self._samples: deque[tuple[float, dict[int, int]]] = deque(maxlen=round(_SPAN_S / _SAMPLE_S) + 1)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look(monotonic())
            await asyncio.sleep(_SAMPLE_S)

    def look(self, now_s: float) -> None:
        """Look once."""
        counted = {
            partition: sum(source.read for source in status.sources.values())
            for partition, status in self._state.statuses.items()
        }
        self._samples.append((now_s, counted))

    @property
    def per_s(self) -> float:
        """Records per second over the last seconds; a partition seen for the first time does not count."""
        if len(self._samples) < 2:
            return 0.0
        (first_s, first), (last_s, last) = self._samples[0], self._samples[-1]
        counted = sum(max(last[partition] - before, 0) for partition, before in first.items() if partition in last)
        return counted / max(last_s - first_s, _SAMPLE_S / 2)
