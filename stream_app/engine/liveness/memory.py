"""Memory: the garbage collector at quiet moments only, and what was freed goes back to the system."""

import asyncio
import ctypes
import gc

_YOUNG_S = 5.0
_FULL_EVERY = 24
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # as in malloc.h
_LARGE_BYTES = 1_000_000
_SPARE_BYTES = 64_000_000


def keep_little() -> None:
    """Have the C library keep little of what is freed; before there are threads: each would have an arena of its own.

    Left to itself glibc raises its limit for large blocks with every one that is freed, and columns that grow leave
    holes that nothing else fits in: a quarter more memory for the same rows. Other C libraries need no such advice.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        return
    for option, value in ((_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, _SPARE_BYTES), (_ARENA_MAX, 1)):
        libc.mallopt(option, value)


async def collect_quietly() -> None:
    """Collect every few seconds between batches, everything every two minutes; until cancelled.

    Decoding a batch makes thousands of objects that die by reference count. Left to itself the collector would run in
    the middle of that: decoding then takes more than twice as long.
    """
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", lambda _spare: None)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for turn in range(1, 1_000_000_000):
            await asyncio.sleep(_YOUNG_S)
            gc.collect(2 if turn % _FULL_EVERY == 0 else 1)
            give_back(0)
    finally:
        gc.enable()
