"""The credit sender: decides the funnels of the owned partitions, and sends what follows once Kafka has the decisions.

1. Decide: events of ended panes, partition by partition; wait until Kafka has the decisions, and all that was counted.
2. Send the packets of credits, then how far they have come, and the trials that were judged; wait until Kafka has them.
3. Note that they are sent. The next header that is written says so, and the next delta of the topic of credits.

A crash between any two lines has the next owner send the packets of the last decisions again, with the same ids; it
judges again what the last owner did, and sends that again too (see core/signals/stored/step_log).
"""

from collections.abc import Iterable
from typing import NamedTuple

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.funnel.stored.credit_packets import AddressedPacket
from stream_app.core.funnel.stored.stored_funnel import StoredFunnel
from stream_app.core.signals.stored.step_log import DueSteps
from stream_app.engine.context import EngineContext


class _Due(NamedTuple):
    """What a partition has to send."""

    store: LedgerStore
    funnel: StoredFunnel
    newest: int
    """Decision up to which all packets are to be sent."""
    credits: list[AddressedPacket]
    steps: DueSteps | None
    """They go after the credits."""


class CreditSender:
    """Decides and sends."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._output = context.output

    async def decide_all(self) -> None:
        """Decide in every partition what event time has passed, and send what follows."""
        due = []
        for held in list(self._context.owned.values()):
            async with held.lock:
                funnel = held.store.funnel
                if funnel is None or not self._context.holds(held):
                    continue
                held.store.decide(held.store.ledger.horizon)
                funnel.forget(held.store.ledger.window, held.store.ledger.horizon)
                steps = held.store.signals.steps.due(funnel.funnel.decided_ms)
                if (unsent := funnel.unsent()) or steps.packets:
                    due.append(_Due(held.store, funnel, funnel.progress.newest, unsent, steps))
        if due:
            await self._output.flush()
            await self._send(due)

    async def send_again(self, stores: Iterable[LedgerStore]) -> None:
        """Send the credits that former owners may not have sent; Kafka has the decisions."""
        funnels = ((store, store.funnel) for store in stores)
        await self._send(
            [
                _Due(store, funnel, funnel.progress.newest, unsent, None)
                for store, funnel in funnels
                if funnel is not None and (unsent := funnel.unsent())
            ]
        )

    async def _send(self, due: list[_Due]) -> None:
        for one in due:
            for packet in [*one.credits, *(one.steps.packets if one.steps else ())]:
                self._output.credits(packet)
        if due:
            await self._output.flush()
        for one in due:
            one.funnel.note_sent(one.newest)
            if one.steps:
                one.store.signals.steps.note_sent(one.steps)
