"""The events behind a value are the user's own, of that topic, population and window, and those with the most reach."""

from typing import Any

import pytest

from stream_app.core.events.schema import Post, Share
from tests.e2e.api.asking import asked, of_user
from tests.e2e.api.expected import Counted
from tests.e2e.api.stage import HOSTILE, Stage

pytestmark = pytest.mark.timeout(150)

SHOWN = 5
USERS = ("riser-01", "riser-05", "u00001", "u00002", HOSTILE[0], HOSTILE[1])


def reach(one: Counted) -> int | None:
    """What is known of the people reached."""
    event = one.event
    return None if event.impressions is None and (event.audience is None or event.audience < 0) else one.people


def shown(one: Counted) -> dict[str, Any]:
    """An event as evidence."""
    event = one.event
    return {
        "ts": one.ts_ms,
        "kind": event.kind,
        "impressions": reach(one),
        "topics": list(event.topics or ()),
        "post_id": None if event.post_id is None else str(event.post_id),
        "author_id": str(event.author_id) if isinstance(event, Share) and event.author_id is not None else None,
        "channel": event.channel,
    }


def best(events: list[Counted], kind: type[Post] | type[Share]) -> list[tuple[int, int]]:
    """(reach, time) of those of a kind with the most reach."""
    of_kind = [
        (-1 if (people := reach(one)) is None else people, one.ts_ms) for one in events if isinstance(one.event, kind)
    ]
    return sorted(of_kind, reverse=True)[:SHOWN]


@pytest.mark.parametrize("user", USERS)
def test_evidence_is_the_events_with_the_most_reach(stage: Stage, where: str, user: str) -> None:
    known = stage.expected.roles_of(user)
    assert known
    for scope, role in known:
        events = stage.expected.of(user, scope)
        evidence = asked(where, of_user(user, "/why"), population=scope[0], topic=scope[1], role=role)["evidence"]
        everything = [shown(one) for one in events]
        for field, kind in (("posts", Post), ("shares", Share)):
            found = [(-1 if one["impressions"] is None else one["impressions"], one["ts"]) for one in evidence[field]]
            assert found == best(events, kind)
            assert all(one in everything for one in evidence[field])
        assert evidence["found"] == len(events)
        assert evidence["read_records"] >= len(events)
        assert (evidence["is_complete"], evidence["note"]) == (True, "")


def test_both_workers_find_the_same(stage: Stage) -> None:
    first, second = (asked(where, of_user("riser-01", "/why"))["evidence"] for where in stage.addresses)
    assert first == second
