"""Privacy in the API: with pseudonyms no answer has a user id, and erased users are in no answer."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import msgspec
import pytest
from click.testing import CliRunner

from stream_app.cli import main
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.sources.replay import replay
from tests.e2e.api.asking import asked, of_user, reply, streaming, url
from tests.e2e.api.moving import GIVEN, START_MS, Moving
from tests.servers.tracker import tracker, variables

pytestmark = pytest.mark.timeout(150)

KEY = "a secret of sixteen or more"
PEOPLE = 40
RAW = "raw-name"
"""In every id of a user, a post, an author."""
VICTIM = f"{RAW}-u03"
WAIT_S = 30.0


def records() -> list[RecordedEvent]:
    """Everybody posts, and shares what the next one wrote; most is seen of the first. Some records are wrong."""
    found = []
    for number in range(4 * PEOPLE):
        user, author = f"{RAW}-u{number % PEOPLE:02}", f"{RAW}-u{(number + 1) % PEOPLE:02}"
        at_ms = START_MS + 1000 * number
        event = {
            "event_id": f"e{number}",
            "ts": at_ms,
            "user_id": user,
            "topics": ["tea"],
            "post_id": f"{RAW}-p{number}",
        }
        event["impressions"] = 2 ** (12 - number % PEOPLE // 4)
        share = {"kind": "share", "author_id": author} if number >= PEOPLE else {}
        found.append(RecordedEvent(bool(share), user.encode(), msgspec.json.encode(event | share), at_ms))
        if number % 20 == 3:
            wrong = {**event, "event_id": f"w{number}", "ts": at_ms - 86_400_000 * (number % 40 == 3), "topics": number}
            found.append(RecordedEvent(False, user.encode(), msgspec.json.encode(wrong), at_ms))
    return found


class People(NamedTuple):
    """Trackers that have counted the records, with a flag of everybody who gets one."""

    pseudonymous: Moving
    plain: Moving


@pytest.fixture(scope="module")
def people(embedded_brokers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    given = {**GIVEN, "partitions": "2", "person_key": KEY}
    with ExitStack() as stack:
        found = []
        for name, workers, pseudonyms in (("pseudonymous", 1, "true"), ("plain", 2, "false")):
            environment = variables(embedded_brokers, name, **given, pseudonyms=pseudonyms)
            found.append(Moving(stack.enter_context(tracker(environment, tmp_path_factory.mktemp(name), workers))))
            sent = replay(records(), embedded_brokers, found[-1].run.settings).sent
        for moving in found:
            for where in moving.addresses:
                moving.until(lambda where=where: _is_counted(where, sent), "all is counted")  # type: ignore[misc]
        yield People(*found)


def _is_counted(where: str, sent: int) -> bool:
    health = asked(where, "/health")
    counted = sum(health[name] for name in ("applied", "duplicate", "late", "rejected"))
    people = asked(where, "/influencers", topic="tea", standing=["entered"])
    return bool(counted == sent and people["missing_partitions"] == [] and people["total"] > 5)


def everything(where: str) -> dict[str, bytes]:
    """What a worker says wherever one may ask, of everybody that it lists."""
    people = asked(where, "/influencers", limit=500)["influencers"]
    paths = [
        *(
            url(path)
            for path in ("/about", "/health", "/topics", "/cuts", "/cuts/history", "/curve", "/funnel", "/openapi.json")
        ),
        *(url(path, topic="tea") for path in ("/cuts/history", "/curve", "/funnel")),
        *(
            url("/influencers", topic="tea", role=role, limit=500, format=kind)
            for role in ("maven", "connector")
            for kind in ("json", "csv")
        ),
        *(url("/flags", limit=500, format=kind) for kind in ("json", "csv")),
        *(url(of_user(one["user_id"])) for one in people),
        *(
            url(of_user(one["user_id"], "/why"), topic="tea", role=role)
            for one in people
            for role in ("maven", "connector")
        ),
        *("/metrics", "/livez", "/readyz"),
    ]
    said = {path: reply(where, path).body for path in paths}
    with streaming(where, "/live", topic="tea") as stream:
        events = stream.until(lambda events: any(event.name == "influencers" for event in events), WAIT_S)
        said["/live"] = "".join(map(str, events)).encode()
    flags = len(asked(where, "/flags", limit=500)["flags"])
    with streaming(where, "/flags/stream", {"Last-Event-ID": "0"}) as stream:
        said["/flags/stream"] = "".join(map(str, stream.flags(flags))).encode()
    return said


def test_with_pseudonyms_nobody_is_named_anywhere(people: People) -> None:
    (where,) = people.pseudonymous.addresses
    said = everything(where)
    assert [path for path, body in said.items() if RAW.encode() in body] == []
    pseudonym = PersonHashes(KEY).pseudonym(VICTIM)
    assert sum(pseudonym.encode() in body for body in said.values()) > 5
    why = asked(where, of_user(pseudonym, "/why"), topic="tea")
    assert (why["evidence"]["found"], why["evidence"]["is_complete"]) == (4, True)
    assert [(one["post_id"], one["author_id"]) for one in why["evidence"]["shares"]] == [(None, None)] * 3
    got = reply(where, url(of_user(VICTIM)))
    assert (got.status, RAW.encode() in got.body) == (404, False)
    for worker in people.pseudonymous.run.workers:
        assert not worker.has_said(RAW)


def test_an_erased_user_is_in_no_answer_and_all_others_are(people: People) -> None:
    moving = people.plain
    before = {where: everything(where) for where in moving.addresses}
    for said in before.values():
        named = [path for path, body in said.items() if VICTIM.encode() in body]
        assert {"/live", "/flags/stream", url("/flags", limit=500, format="csv")} <= {*named}
        assert any("/why" in path and VICTIM not in path for path in named), "as an author"
    result = CliRunner().invoke(
        main, ["erase", "-", "--yes", "--json"], input=f"{VICTIM}\n", env=moving.run.environment
    )
    assert json.loads(result.stdout)["waiting_partitions"] == []
    for where in moving.addresses:
        moving.until(lambda where=where: asked(where, "/influencers")["total"] == PEOPLE - 1, "gone")  # type: ignore[misc]
        for path in (of_user(VICTIM), of_user(VICTIM, "/why")):
            assert reply(where, url(path)).status == 404
        assert asked(where, "/flags", user=VICTIM)["flags"] == []
        after = everything(where)
        assert [path for path, body in after.items() if VICTIM.encode() in body] == []
        assert before[where].keys() - after.keys() == {path for path in before[where] if f"/users/{VICTIM}" in path}
