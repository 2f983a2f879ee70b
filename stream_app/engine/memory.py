"""The garbage collector at quiet moments only: in the middle of a batch it looks at every live object, for nothing."""

import asyncio
import gc

_YOUNG_S = 5.0
_FULL_EVERY = 24


async def collect_quietly() -> None:
    """Collect every few seconds between batches, everything every two minutes; until cancelled.

    Decoding 5,000 events makes thousands of objects that die by reference count. Left to itself the collector would run
    in the middle of that: decoding then takes more than twice as long.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for turn in range(1, 1_000_000_000):
            await asyncio.sleep(_YOUNG_S)
            gc.collect(2 if turn % _FULL_EVERY == 0 else 1)
    finally:
        gc.enable()
