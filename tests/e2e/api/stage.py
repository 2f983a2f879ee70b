"""A tracker of two workers that has counted the demo stream, and what hostile people sent after it."""

import time
from collections.abc import Sequence

import msgspec

from stream_app.core.messages import OWN_ROLES, ROLES
from stream_app.demo.generator.population import FEWEST_USERS, demo_population
from stream_app.engine.rounds.evaluation_round import LONGEST_PAUSE_S
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.sources.replay import replay
from tests.e2e.api.asking import addresses, asked, present_cut
from tests.e2e.api.expected import Expected, Scope
from tests.servers.tracker import Tracker
from tests.waiting import eventually

SETTLE_S = 60.0
PARTITIONS = 4
EVERYBODY = ("all", "*")
FRIENDS = "friends & foes"
"""A population whose name needs quoting."""
HOSTILE = (
    *("=cmd|' /C calc'!A0", "+1", "-1", "@x", "\tx", "\rx", "\nx", "＝1", "＋1", "－1", "＠1"),  # noqa: RUF001
    *(
        'say "hi", then go',
        "two\nlines",
        "a;=1+1",
        "a/b",
        "50%",
        "%2F",
        "{braces}",
        "?#&",
        "ünïcode…",
        "..x",
        ".",
        "..",
        "x" * 256,
    ),
)
"""User ids that spreadsheets, URLs and tables stumble over."""


def hostile_events(end_ms: int) -> list[RecordedEvent]:
    """A post and a share of each, about topics as hostile as they are."""
    events = []
    for number, user in enumerate(HOSTILE):
        for share in (False, True):
            value = {
                "event_id": f"hostile-{number}-{share}",
                "ts": end_ms - 60_000 + number,
                "user_id": user,
                "topics": [HOSTILE[-number][:200], "phone"],
                "impressions": 10 + number // 2,
                "population": FRIENDS,
                **({"kind": "share", "author_id": "u00001"} if share else {}),
            }
            events.append(RecordedEvent(share, user.encode(), msgspec.json.encode(value), end_ms - 60_000 + number))
    return events


def demo_events() -> list[RecordedEvent]:
    """The demo stream of the fewest users, and the hostile ones."""
    demo = demo_population(users=FEWEST_USERS)
    return [*demo.events, *hostile_events(demo.window_end_ms)]


class Stage:
    """What has been sent to a tracker, and what it must answer; `settle` waits until it does."""

    def __init__(self, run: Tracker, records: Sequence[RecordedEvent]) -> None:
        self.run = run
        self.records = records
        self.expected = Expected(records, run.settings)
        replay(records, run.settings.brokers, run.settings)
        self.addresses = addresses(run)
        self.settle()

    def settle(self) -> None:
        """Return when every worker has the whole picture, standings included."""
        for where in self.addresses:
            assert eventually(lambda where=where: self.is_settled(where), SETTLE_S), (  # type: ignore[misc]
                asked(where, "/health"),
                self.run.workers[-1].said(),
            )
        self._until_no_more_flags()

    def _until_no_more_flags(self) -> None:
        """The other worker may look once more at the last cuts: return when there was no flag for long enough."""
        last, since = "", time.monotonic()

        def is_quiet() -> bool:
            nonlocal last, since
            reached = str([asked(where, "/flags", limit=1)["position"] for where in self.addresses])
            if reached != last:
                last, since = reached, time.monotonic()
            return time.monotonic() - since > 2 * LONGEST_PAUSE_S

        assert eventually(is_quiet, SETTLE_S)

    def is_settled(self, where: str) -> bool:
        """Whether a worker knows of all events, and its ledgers and cuts agree about standings."""
        health = asked(where, "/health")
        counted = sum(health[name] for name in ("applied", "duplicate", "late", "rejected"))
        if counted < self.expected.sent or health["partitions"] < self.run.settings.partitions:
            return False
        scopes = sorted(self.expected.scopes - {EVERYBODY}, key=self.expected.users, reverse=True)
        return all(self._agrees(where, scope) for scope in (EVERYBODY, *scopes))

    def _agrees(self, where: str, scope: Scope) -> bool:
        """Whether the cuts of a scope are the right ones, and the standings are evaluated by them."""
        population, topic = scope
        for role in ROLES[:OWN_ROLES]:
            wanted = self.expected.cut(scope, role)
            cut = present_cut(where, role=role, population=population, topic=topic)
            if (cut and (cut["k"], cut["total"])) != (wanted and (wanted.k, wanted.total)):
                return False
            standings = [
                asked(
                    where,
                    "/influencers",
                    role=role,
                    population=population,
                    topic=topic,
                    standing=names,
                    limit=1,
                )["total"]
                for names in (["entered", "fading"], ["emerging"])
            ]
            if cut and standings != [cut["flagged"], cut["emerging"]]:
                return False
        return True
