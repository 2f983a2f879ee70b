"""A thread for each sink, so that a slow sink delays no other; it sends one message at a time."""

import threading
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import NamedTuple

from stream_app.alerts.sinks.message import AlertMessage, DeliveryOutcome, DeliveryResult, Sender
from stream_app.alerts.sinks.retry import RetrySchedule


class DeliveryAttempt(NamedTuple):
    """One attempt to send a message to a sink, and how it ended."""

    sink: str
    key: str
    outcome: DeliveryOutcome


class SinkWorker:
    """The thread that sends to one sink."""

    def __init__(
        self, name: str, sender: Sender, may_send: Callable[[], bool], attempts: "SimpleQueue[DeliveryAttempt]"
    ) -> None:
        """Calls `may_send` right before each send: the process may have been frozen since the message was submitted."""
        self.name = name
        self._sender = sender
        self._may_send = may_send
        self._attempts = attempts
        self._inbox: SimpleQueue[tuple[str, AlertMessage] | None] = SimpleQueue()
        threading.Thread(target=self._run, name=f"sink {name}", daemon=True).start()

    def submit(self, key: str, message: AlertMessage) -> None:
        """Send the message in the thread and put the attempt into the queue."""
        self._inbox.put((key, message))

    def close(self) -> None:
        """End the thread after the messages submitted before."""
        self._inbox.put(None)

    def _run(self) -> None:
        while (submitted := self._inbox.get()) is not None:
            key, message = submitted
            self._attempts.put(DeliveryAttempt(self.name, key, self._send(message)))

    def _send(self, message: AlertMessage) -> DeliveryOutcome:
        if not self._may_send():
            return DeliveryOutcome(DeliveryResult.RETRY, "another instance may be active")
        try:
            return self._sender.send(message)
        except Exception as error:  # noqa: BLE001 - the thread must go on
            return DeliveryOutcome(DeliveryResult.RETRY, type(error).__name__)


class SinkWorkers:
    """The workers of all sinks, with their retry schedules.

    They outlive the connection to Kafka: the outcome of an attempt is kept until it is written.
    """

    def __init__(self, senders: Mapping[str, Sender], may_send: Callable[[], bool]) -> None:
        self._attempts: SimpleQueue[DeliveryAttempt] = SimpleQueue()
        self._unwritten: DeliveryAttempt | None = None
        self._workers = {name: SinkWorker(name, sender, may_send, self._attempts) for name, sender in senders.items()}
        self.schedules = {name: RetrySchedule() for name in senders}
        self.sending: dict[str, str] = {}
        """By sink: the key of the message that is being sent, until its outcome is written."""

    def submit(self, sink: str, key: str, message: AlertMessage) -> None:
        """Have the worker of the sink send the message."""
        self.sending[sink] = key
        self._workers[sink].submit(key, message)

    def finished(self, timeout_s: float) -> DeliveryAttempt | None:
        """The oldest attempt whose outcome is not written yet; None if no attempt ends within the time."""
        if self._unwritten is None:
            try:
                self._unwritten = self._attempts.get(timeout=timeout_s)
            except Empty:
                return None
        return self._unwritten

    def written(self, attempt: DeliveryAttempt) -> None:
        """The outcome is written: the sink is free for the next message."""
        self._unwritten = None
        del self.sending[attempt.sink]

    def close(self) -> None:
        """End all threads."""
        for worker in self._workers.values():
            worker.close()
