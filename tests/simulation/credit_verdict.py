"""What must hold of credits when everything has come to rest: each that was sent counts once, and is in the log."""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.messages import Role
from stream_app.core.signals.stored import step_packets
from stream_app.core.signals.stored.step_packets import ReadCredits
from stream_app.core.state.ledger import Ledger
from stream_app.engine.influence.funnel_settings import funnel_settings_of
from stream_app.kafka.topics import changelogs_of
from tests.naive import naive_cut
from tests.simulation.plan import PANES

if TYPE_CHECKING:
    from tests.simulation.run import Run


def unread(run: "Run") -> Iterator[str]:
    """Credits that are not counted yet."""
    topic = run.plan.settings.credits_topic
    for partition in range(run.plan.settings.partitions):
        source, end = run.sources(partition).get(topic), run.broker.logs[topic, partition].end
        if (source.position if source else 0) != end:
            yield f"{topic}-{partition} at {source.position if source else 0} of {end}"


def wrong(run: "Run") -> Iterator[str]:
    """Partitions whose people have other recruits than were sent to them, in what is left of the window."""
    for worker in run.live():
        for partition, owned in worker.engine.owned.items():
            ledger = owned.store.ledger
            first_ms = ledger.window.start_ms(ledger.horizon)
            wanted, restored = _sent(run, partition, first_ms), _restored(run, partition, ledger.horizon)
            counted = int(ledger.rows.values(2).sum())
            if not wanted == counted == restored:
                yield f"partition {partition}: {counted} recruits, {restored} in the log, {wanted} were sent"


def cuts(run: "Run") -> dict[tuple[str, str, str], tuple[int, int, int, int, int]]:
    """The cuts of recruiters, by topic, population and role, of what all partitions have counted."""
    recruits: dict[tuple[str, str], list[int]] = defaultdict(list)
    for worker in run.live():
        for owned in worker.engine.owned.values():
            ledger = owned.store.ledger
            names = ledger.scopes.names()
            for scope, value in zip(ledger.rows.scopes.tolist(), ledger.rows.values(2).tolist(), strict=True):
                population, topic = names[scope]
                recruits[topic, population].append(value)
    made = {of: naive_cut(values, run.plan.settings.share) for of, values in recruits.items()}
    return {
        (*of, str(Role.RECRUITER)): (cut.users, cut.total, cut.k, cut.threshold, cut.ties)
        for of, cut in made.items()
        if cut
    }


def _sent(run: "Run", partition: int, first_ms: int) -> int:
    """Recruits by the packets on the topic, each id once."""
    found: dict[int, int] = {}
    for record in run.broker.logs[run.plan.settings.credits_topic, partition].records():
        packet = step_packets.decode(record.value or b"", run.plan.settings.partitions)
        if not isinstance(packet, ReadCredits):
            continue
        credits_ = packet.credits
        in_window = np.flatnonzero(credits_.ts_ms >= first_ms)
        found.update(zip(credits_.ids[in_window].tolist(), credits_.recruits[in_window].tolist(), strict=True))
    return sum(found.values())


def _restored(run: "Run", partition: int, horizon_ms: int) -> int:
    settings = run.plan.settings
    table = run.broker.logs[changelogs_of(settings)[0], partition].table()
    ledger = Ledger(settings.pane_ms, PANES, settings.short_panes)
    LedgerStore(partition, ledger, table, lambda _key, _value: None, funnel=funnel_settings_of(settings))
    ledger.advance(horizon_ms)
    return int(ledger.rows.values(2).sum())
