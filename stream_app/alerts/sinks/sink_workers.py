"""A thread for each sink, so that a slow one holds up nobody; it is given one message at a time."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

from stream_app.alerts.sinks.message import AlertMessage, DeliveryResult, Outcome, Sender


class Done(NamedTuple):
    """What came of one message at one sink."""

    sink: str
    key: str
    outcome: Outcome


class SinkWorker:
    """The way to one sink."""

    def __init__(self, name: str, sender: Sender, may_send: Callable[[], bool], done: "SimpleQueue[Done]") -> None:
        """`may_send` is asked right before a message is sent: this process may have been frozen in between."""
        self.name = name
        self._sender = sender
        self._may_send = may_send
        self._done = done
        self._given: SimpleQueue[tuple[str, AlertMessage] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"sink {name}", daemon=True)
        self._thread.start()

    def give(self, key: str, message: AlertMessage) -> None:
        """Have it sent; what comes of it is put into the queue."""
        self._given.put((key, message))

    def close(self) -> None:
        """Send nothing more."""
        self._given.put(None)

    def _run(self) -> None:
        while (given := self._given.get()) is not None:
            key, message = given
            self._done.put(Done(self.name, key, self._sent(message)))

    def _sent(self, message: AlertMessage) -> Outcome:
        if not self._may_send():
            return Outcome(DeliveryResult.RETRY, "this process may have been replaced by another")
        try:
            return self._sender.send(message)
        except Exception as error:  # noqa: BLE001 - the thread must go on
            return Outcome(DeliveryResult.RETRY, type(error).__name__)
