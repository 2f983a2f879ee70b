"""When a failed message is sent again: each message and the sink as a whole back off exponentially. No I/O."""

from collections.abc import Iterable

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 300.0


class RetrySchedule:
    """The backoff of one sink. A message that always fails does not hold up the others for long."""

    def __init__(self) -> None:
        self._sink_ready_s = 0.0
        self._failures = 0
        """In a row."""
        self._attempts: dict[str, int] = {}
        self._ready_s: dict[str, float] = {}

    def next(self, keys: Iterable[str], now_s: float) -> str | None:
        """The first message that may be sent now."""
        if now_s < self._sink_ready_s:
            return None
        return next((key for key in keys if self._ready_s.get(key, 0.0) <= now_s), None)

    def failed(self, key: str, now_s: float, wait_s: float) -> None:
        """An attempt has failed; `wait_s` is how long the sink asks to be left alone, or 0."""
        self._failures += 1
        self._attempts[key] = self.attempts(key) + 1
        self._ready_s[key] = now_s + backoff_s(self._attempts[key])
        self._sink_ready_s = now_s + max(wait_s, backoff_s(self._failures))

    def done(self, key: str) -> None:
        """The message is delivered or given up, and the sink answers."""
        self._failures, self._sink_ready_s = 0, 0.0
        self._attempts.pop(key, None)
        self._ready_s.pop(key, None)

    def attempts(self, key: str) -> int:
        """How many attempts have failed since this process started."""
        return self._attempts.get(key, 0)


def backoff_s(failures: int) -> float:
    """1 s, 2 s, 4 s … 5 min."""
    return min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 16))
