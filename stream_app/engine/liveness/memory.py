"""Memory: runs the garbage collector only between batches, and returns freed memory to the system."""

import asyncio
import ctypes
import gc

_YOUNG_S = 5.0
_FULL_EVERY = 24
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # as in malloc.h
_LARGE_BYTES = 1_000_000
_SPARE_BYTES = 64_000_000


def keep_little() -> None:
    """Make the C library return freed memory. Call this before starting threads, each of which would get an arena.

    By default glibc raises its mmap threshold whenever a large block is freed. Growing columns then leave holes in the
    heap that nothing else fits into, which costs a quarter more memory. Other C libraries do not need this.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        return
    for option, value in ((_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, _SPARE_BYTES), (_ARENA_MAX, 1)):
        libc.mallopt(option, value)


async def collect_quietly() -> None:
    """Collect young objects every few seconds and all objects every two minutes, between batches, until cancelled.

    Decoding a batch creates thousands of objects that are freed by reference counting. By default the collector would
    run in the middle of that, which more than doubles the decoding time.
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
