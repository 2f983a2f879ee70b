"""When a sink is tried again: each message, and the sink as a whole, waits longer after each failure. No I/O."""

from collections.abc import Iterable

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0


class RetrySchedule:
    """Of one sink. A message that always fails waits by itself, and does not hold up the others for long."""

    def __init__(self) -> None:
        self._sink_from_s = 0.0
        self._failures = 0
        """In a row."""
        self._attempts: dict[str, int] = {}
        self._from_s: dict[str, float] = {}

    def next(self, keys: Iterable[str], now_s: float) -> str | None:
        """The first of the messages that may be tried now."""
        if now_s < self._sink_from_s:
            return None
        return next((key for key in keys if self._from_s.get(key, 0.0) <= now_s), None)

    def failed(self, key: str, now_s: float, wait_s: float) -> None:
        """Sending has failed; the sink wants to be left alone for `wait_s`, where it has said so."""
        self._failures += 1
        self._attempts[key] = self.attempts(key) + 1
        self._from_s[key] = now_s + backoff_s(self._attempts[key])
        self._sink_from_s = now_s + max(wait_s, backoff_s(self._failures))

    def done(self, key: str) -> None:
        """The message needs no further try, and the sink answers."""
        self._failures, self._sink_from_s = 0, 0.0
        self._attempts.pop(key, None)
        self._from_s.pop(key, None)

    def attempts(self, key: str) -> int:
        """How often the message has failed, as far as this process knows."""
        return self._attempts.get(key, 0)


def backoff_s(failures: int) -> float:
    """1 s, 2 s, 4 s … 5 min."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 1, 16))
