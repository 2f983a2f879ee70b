"""The watchdog: ends the process if it is unhealthy, or shutting down, for too long; drives the health clock.

See docs/reliability.md#fault-stuck-worker.
"""

import threading
from collections.abc import Callable
from time import monotonic

from stream_app.engine.liveness.broker_monitor import BrokerMonitor
from stream_app.engine.liveness.exit_codes import Exit, end
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.stacks import stacks

_CHECK_S = 1.0
_END_WITHIN_S = 8.0
"""Less than the ten (or thirty) seconds after which supervisors kill a worker."""


class Watchdog:
    """Checks health in a thread, because the event loop itself may be stuck."""

    def __init__(
        self, health: WorkerHealth, broker_monitor: BrokerMonitor, stall_s: float, is_ending: Callable[[], bool]
    ) -> None:
        """`stall_s`: how long the process may be unhealthy; `is_ending`: returns whether it was asked to shut down."""
        self._is_ending = is_ending
        self._health = health
        self._broker_monitor = broker_monitor
        self._stall_s = stall_s

    def watch(self) -> threading.Thread:
        """Start the thread."""
        thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        thread.start()
        return thread

    def _watch(self) -> None:
        pause = threading.Event()
        ill_s, ending_s, before_s = 0.0, 0.0, monotonic()
        while not pause.wait(_CHECK_S):
            now_s = monotonic()
            passed_s, before_s = min(now_s - before_s, 2 * _CHECK_S), now_s  # if more, the process was frozen
            ending_s += passed_s if self._is_ending() else 0.0
            if ending_s > _END_WITHIN_S:
                end(Exit.CUT_SHORT, "shutdown did not finish in time: the next owner continues from what Kafka has")
            if self._broker_monitor.answers:
                self._health.tick(passed_s)
            live, details = self._health.live()
            ill_s = 0.0 if live else ill_s + passed_s
            if ill_s > self._stall_s:
                doing = "\n".join(f"thread {stack.name}\n{stack.text}" for stack in stacks())
                end(Exit.STALLED, f"no progress for too long, another worker must take over: {details}", doing)
