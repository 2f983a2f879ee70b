"""The credit sender: decides the funnels of the owned partitions, and sends the credits once Kafka has the decisions.

1. Decide: events of ended panes, partition by partition; wait until Kafka has the decisions.
2. Send the packets; wait until Kafka has them.
3. Note that they are sent. The next header that is written says so.

A crash between any two lines has the next owner send the packets of the last decisions again, with the same ids.
"""

from collections.abc import Iterable
from typing import NamedTuple

from stream_app.core.funnel.stored.stored_funnel import StoredFunnel
from stream_app.engine.context import EngineContext


class _Due(NamedTuple):
    """A funnel with packets to send, up to a decision."""

    funnel: StoredFunnel
    newest: int


class CreditSender:
    """Decides and sends."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._output = context.output

    async def decide_all(self) -> None:
        """Decide in every partition what event time has passed, and send the credits that follow."""
        due = []
        for held in list(self._context.owned.values()):
            async with held.lock:
                funnel = held.store.funnel
                if funnel is None or not self._context.holds(held):
                    continue
                held.store.decide(held.store.ledger.horizon)
                funnel.forget(held.store.ledger.window, held.store.ledger.horizon)
                due.append(_Due(funnel, funnel.progress.newest))
        due = [one for one in due if one.funnel.unsent()]
        if due:
            await self._output.flush()
            await self._send(due)

    async def send_again(self, funnels: Iterable[StoredFunnel | None]) -> None:
        """Send what former owners may not have sent; Kafka has the decisions."""
        await self._send([_Due(funnel, funnel.progress.newest) for funnel in funnels if funnel and funnel.unsent()])

    async def _send(self, due: list[_Due]) -> None:
        for funnel, newest in due:
            for packet in funnel.unsent(newest):
                self._output.credits(packet)
        if due:
            await self._output.flush()
        for funnel, newest in due:
            funnel.note_sent(newest)
