"""The letter budget: how many records a worker sets aside one by one, and how many bytes of each batch."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from stream_app.core.events.dead_letter import LONGEST_MESSAGE, TOO_MANY, DeadLetter, Shared

BURST_S = 10
"""So many seconds' worth may be written at once."""
MOST_BATCH_BYTES = 8_000_000
"""Of the letters of one batch: they are in memory until Kafka has them."""

_MOST_RANGES = 500
_WHY = "more than dead_letters_per_s, or too large together; the topic they came from has them"


class LetterBudget:
    """A token bucket: it holds one token for each letter that may be written now."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._tokens = float(per_s * BURST_S)
        self._filled_s = 0.0

    def within(self, letters: Iterable[DeadLetter], most_bytes: int, now_s: float) -> Iterator[DeadLetter]:
        """Yield the letters of one batch, each of at most `most_bytes`; those beyond the budget share the last one."""
        elapsed_s, self._filled_s = max(now_s - self._filled_s, 0.0), now_s
        self._tokens = min(self._tokens + elapsed_s * self._per_s, float(self._per_s * BURST_S))
        left, room = iter(letters), MOST_BATCH_BYTES
        for letter in islice(left, int(self._tokens)):
            fitting = letter.within(most_bytes)
            room -= fitting.nbytes
            if room < 0:
                left = chain((letter,), left)
                break
            self._tokens -= 1
            yield fitting
        if (first := next(left, None)) is None:
            return
        second = next(left, None)
        if second is None and first.nbytes <= most_bytes:
            yield first  # a letter of its own is no larger than one that says where it is
            return
        others = chain((first,), () if second is None else (second,), left)
        yield _shared(others)


def _shared(letters: Iterator[DeadLetter]) -> DeadLetter:
    """Return the letter that `letters` share: of one partition, by offset, at least one."""
    reasons: dict[str, int] = {}
    ranges: list[tuple[int, int]] = []
    origin = None
    for letter in letters:
        origin = origin or letter.origin
        offset = letter.origin.offset
        reasons[letter.reason] = reasons.get(letter.reason, 0) + 1
        if ranges and ranges[-1][1] == offset - 1:
            ranges[-1] = (ranges[-1][0], offset)
        else:
            ranges.append((offset, offset))
    if origin is None:
        raise ValueError("no letters")
    first, last = ranges[0][0], ranges[-1][1]
    together = Shared(last, reasons, ranges if len(ranges) <= _MOST_RANGES else [(first, last)])
    found = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    message = f"{together.records} records at offsets {first} to {last} ({found}) share this letter: {_WHY}"
    return DeadLetter(origin, None, None, TOO_MANY, message[:LONGEST_MESSAGE], shared=together)
