"""Every route, page, topic, key, metric, file and command, asked for what it must not say, by differences too."""

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any
from unittest.mock import MagicMock, Mock

import click
import msgspec
import pytest
from aiohttp import web

from stream_app.cli import main
from stream_app.core.messages import Role
from stream_app.core.privacy.min_group import power_of_ten
from stream_app.core.queries import FunnelFigures
from stream_app.engine.rounds.flag_outbox import FlagOutbox
from stream_app.serving.api import params
from stream_app.serving.api.funnel.funnel_response import TopicFunnel
from stream_app.serving.api.routes import PREFIX, ROUTES
from stream_app.serving.api.server import Api
from stream_app.settings import Settings
from tests.unit.engine.fakes import NOW_MS, PARTITION, record, stored_after
from tests.unit.serving.disclosed import LEADER, MANY, OF_SIX, OF_THREE, PEOPLE, PUBLISHED, SIX, THREE, Disclosed

COUNTS = {"users", "k", "ties", "flagged", "emerging", "found", "with_evidence", "retracted"} | {
    *("entries", "new", "re_entered", "recruited", "self_started", "unknown"),
    *("participants", "advocates", "recruiters", "people", "recruits"),
}
AMOUNTS = {"total", "threshold", "value", "share", "short_rate", "long_rate", "rate_error", "impressions", "reached"}

OTHER_ROUTES = {
    "/flags/stream": "flags as they are on Kafka",
    "/live": "what PageUpdates shows, and flags as they are on Kafka",
    "/openapi.json": "the form of the answers",
    "/peers/funnels": "for workers only, by a secret of their own",
    "/peers/leaders": "for workers only, by a secret of their own",
    "/peers/places": "for workers only, by a secret of their own",
    "/peers/recruits": "for workers only, by a secret of their own",
    "/peers/scopes": "for workers only, by a secret of their own",
}
OTHER_TOPICS = {
    "posts_topic": "input",
    "shares_topic": "input",
    "retractions_topic": "input",
    "curves_topic": "for workers only",
    "additions_topic": "for workers only",
    "credits_topic": "for workers only",
    "audit_topic": "who looked at whom, for auditors",
    "erasures_topic": "keyed hashes",
    "dead_letters_topic": "input that cannot be counted; commands hide key and value",
    "late_topic": "input that is too old; commands hide key and value",
    "alerts_topic": "flags as they are on Kafka",
    "undelivered_topic": "flags as they are on Kafka",
}
COMMANDS = {
    "alerts": "flags as they are on Kafka, of these settings only",
    "backtest": "numbers of flags in a file that the operator has",
    "dead-letters": "key and value are hidden",
    "demo": "made-up people, or what the API says of a file that the operator has",
    "doctor": "settings, topics and sizes of the whole",
    "erase": "the person that the operator names",
    "funnel": "people and numbers in a file that the operator has",
    "migrate": "sizes of the whole",
    "opt-out": "the person that the operator names",
    "person": "the person that the operator names",
    "replay": "a file that the operator has",
    "reset": "names of topics",
    "settings": "settings",
    "top": "the Redis board",
    "topics": "names of Kafka's topics",
    "watch": "flags as they are on Kafka, of these settings only",
    "worker": "logs, without people",
}


@pytest.fixture(name="five")
async def _five() -> Disclosed:
    return await Disclosed(min_group=5).filled()


def numbers_in(said: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number with its name, without the settings and what describes the tracker."""
    if isinstance(said, dict):
        for key, value in said.items():
            yield from numbers_in(value, key)
    elif isinstance(said, list):
        for value in said:
            yield from numbers_in(value, name)
    elif isinstance(said, int | float) and not isinstance(said, bool):
        yield name, said


def plain(answer: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(answer))


def names(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}(?![0-9])", text) is not None


async def test_without_a_minimum_everything_is_said() -> None:
    texts = "\n".join((await (await Disclosed().filled()).texts()).values())
    assert [name for name in (*PEOPLE, MANY, SIX, THREE) if not names(texts, name)] == []


async def test_nothing_names_a_topic_of_too_few_people_nor_them(five: Disclosed) -> None:
    for where, text in (await five.texts()).items():
        is_asked = f'"topic":"{THREE}"' in text or f"topic='{THREE}'" in where
        named = [name for name in (*OF_THREE, THREE) if names(text, name) and not (is_asked and name == THREE)]
        assert not named, f"{where} names {named}: {text[:500]}"


async def test_where_a_topic_of_too_few_people_is_asked_about_the_answer_is_that_of_an_unknown_one(
    five: Disclosed,
) -> None:
    answers = five.worker.answers
    for topic in (THREE, "nothing"):
        asked = params.ScopeParams(topic=topic, population="all", role=Role.MAVEN)
        curve, history = await answers.curve(asked), await answers.history(asked)
        assert (curve.cut, answers.disclosed(curve).points, history.moments) == (None, [], [])  # type: ignore[attr-defined]
        found = await answers.influencers(params.InfluencerParams(topic=topic, population="all", role=Role.MAVEN))
        said = answers.disclosed(found)
        assert (said.influencers, said.total, said.threshold, said.next) == ([], 0, 0, None)  # type: ignore[attr-defined]
        assert not answers.scopes.exists(asked)


async def test_who_is_over_theta_is_named_where_as_many_others_are_not(five: Disclosed) -> None:
    texts = await five.texts()
    assert names(texts["redis"], LEADER)
    assert names(texts["topic flags_topic"], LEADER)
    assert any(names(text, LEADER) for where, text in texts.items() if where.startswith("route /influencers"))
    ordinary = [name for name in PEOPLE[6:30] if any(names(text, name) for text in texts.values())]
    assert ordinary == []


async def test_every_number_of_people_is_a_multiple_and_every_amount_a_power_of_ten(five: Disclosed) -> None:
    found = 0
    for path, answer in await five.answers():
        said = plain(answer)
        if path in {"/cuts", "/topics"}:
            del said["total"]  # how many there are
        for name, number in numbers_in(said):
            found += 1
            if name in COUNTS or (name == "total" and path == "/influencers"):
                assert number % 5 == 0, (path, name, number)
            elif name in AMOUNTS and path != "/about":
                assert number == 0 or power_of_ten(number) == number or (name, number) == ("share", 0.8), (path, name)
    assert found > 1000


async def test_a_funnel_is_said_of_as_many_people_as_the_minimum(five: Disclosed) -> None:
    stages = await _stages(five)
    found = {topic: one and (one.new, one.self_started, one.k) for topic, one in stages.items()}
    assert found == {"*": (30, 30, 0.0), MANY: (30, 30, 0.0), SIX: (5, 5, 0.0), THREE: None}
    exact = await _stages(await Disclosed().filled())
    assert {topic: one and one.new for topic, one in exact.items()} == {"*": 33, MANY: 30, SIX: 6, THREE: 3}
    metrics = (await five.texts())["metrics"]
    assert f'influence_funnel_new_entries{{population="all",topic="{SIX}"}} 5.0' in metrics


async def _stages(worker: Disclosed) -> dict[str, FunnelFigures | None]:
    """What is said of the funnel of each topic."""
    return {answer.topic: answer.stages for _, answer in await worker.answers() if isinstance(answer, TopicFunnel)}


async def test_no_difference_of_two_numbers_of_people_says_how_many_too_few_are(five: Disclosed) -> None:
    counts = {
        number for _, answer in await five.answers() for name, number in numbers_in(plain(answer)) if name in COUNTS
    }
    assert {abs(one - other) for one, other in combinations(counts, 2)} & {1, 2, 3, 4} == set()


async def test_no_difference_of_two_totals_is_that_of_a_topic_of_too_few(five: Disclosed) -> None:
    exact = {10, 100}
    totals = {cut.total for cut in (await five.worker.answers.cuts(params.CutParams())).cuts}
    assert {abs(one - other) for one, other in combinations(totals, 2)} & exact == set()


async def test_one_that_takes_something_back_is_not_seen_in_how_many_did(five: Disclosed) -> None:
    seen = []
    for number in range(10):  # the posts of the first person
        what = {
            "kind": "retract",
            "of": "post",
            "event_id": f"influence.posts-{number}",
            "user_id": LEADER,
            "ts": NOW_MS,
        }
        await five.parts.count([record(number, msgspec.json.encode(what), LEADER.encode(), "influence.retractions")])
        await five.parts.round()
        answers = five.worker.answers
        seen.append(plain(answers.disclosed(answers.overview.health()))["retracted"])
    assert seen == [0, 0, 0, 0, 5, 5, 5, 5, 5, 10]


async def test_when_a_topic_reaches_the_minimum_the_next_moment_says_nothing_about_who_came() -> None:
    tracker = await Disclosed(min_group=5).filled()
    before = await tracker.answers()
    assert not any(names(str(answer), THREE) for path, answer in before if path in {"/topics", "/cuts"})
    asked = params.ScopeParams(topic=THREE, population="all", role=Role.MAVEN)
    seen = []
    for newcomer in PEOPLE[10:14]:
        await tracker.count(THREE, [newcomer], [3])
        await tracker.rounds()
        cut = tracker.worker.answers.scopes.cut(asked)
        seen.append(None if cut is None else (cut.users, cut.total, cut.k))
    assert seen[0] is None
    assert [users for users, _, _ in filter(None, seen)] == [5, 5, 5]
    assert all(total in {10, 100} and k == 5 for _, total, k in filter(None, seen))


async def test_a_topic_that_falls_below_the_minimum_is_deleted_and_one_that_never_reached_it_is_not_named() -> None:
    tracker = await Disclosed(min_group=5).filled()
    written = stored_after(tracker.parts.fake.producer.of("influence.cuts"))
    assert any(SIX.encode() in key for key in written)
    day_ms = 86_400_000
    tracker.parts.fake.now_s += day_ms / 1000 + 3600
    await tracker.count("elsewhere", PEOPLE, [1] * 33, NOW_MS + day_ms - 3_600_000)
    await tracker.count(SIX, OF_SIX[:3], [1] * 3, NOW_MS + day_ms - 3_600_000)
    await tracker.count("elsewhere", PEOPLE[:1], [1], NOW_MS + day_ms + 3_600_000)
    await tracker.rounds()
    records = tracker.parts.fake.producer.of("influence.cuts")
    assert not any(SIX.encode() in key for key in stored_after(records))
    assert not any(THREE.encode() in (record.key or b"") for record in records)


async def test_flagged_names_those_with_a_standing_only() -> None:
    tracker = await Disclosed(individuals="flagged").filled()
    texts = await tracker.texts()
    flagged = {msgspec.json.decode(record.value)["user_id"] for record in tracker.flags()}
    assert LEADER in flagged
    for where, text in texts.items():
        assert {name for name in PEOPLE if names(text, name)} <= flagged, where


async def test_off_names_nobody_anywhere_and_has_cuts_and_curves() -> None:
    tracker = await Disclosed(individuals="off").filled()
    texts = await tracker.texts()
    assert [where for where, text in texts.items() for name in PEOPLE if names(text, name)] == []
    assert tracker.flags() == []
    curve = await tracker.worker.answers.curve(params.ScopeParams(topic=MANY, population="all", role=Role.MAVEN))
    assert (curve.cut is not None, curve.cut and curve.cut.users, len(curve.points) > 2) == (True, 30, True)


async def test_standings_from_before_are_said_again_in_powers_of_ten_or_deleted() -> None:
    tracker = await Disclosed().filled()
    stored = tracker.parts.fake.standings.of_partition(PARTITION)
    assert stored
    for settings, expected in (({"min_group": 5}, True), ({"individuals": "off"}, False)):
        fake, disclosure = tracker.parts.fake, Settings(**settings).disclosure
        outbox = FlagOutbox(fake.standings, fake.context.output, fake.meter, Mock(), disclosure=disclosure)
        before = len(fake.producer.of("influence-standings-changelog"))
        await outbox.take_over(PARTITION, dict(stored), tracker.parts.ledger)
        await fake.producer.flush()
        written = fake.producer.of("influence-standings-changelog")[before:]
        assert {record.key for record in written} == {*stored}
        assert all((record.value is not None) is expected for record in written)
        values = [msgspec.json.decode(record.value)["value"] for record in written if record.value]
        assert all(power_of_ten(value) == value for value in values)


def test_every_route_topic_and_command_is_one_that_was_asked_here() -> None:
    app = web.Application()
    api = Api(Settings(), MagicMock(), Mock(), lambda: None, Mock())
    api.add_routes(app)
    paths = {resource.canonical.removeprefix(PREFIX) for resource in app.router.resources()}
    assert paths == {route.path for route in ROUTES} | OTHER_ROUTES.keys()
    topics = {name for name in Settings.__struct_fields__ if name.endswith("_topic")}
    assert topics == {*PUBLISHED, *OTHER_TOPICS}
    assert isinstance(main, click.Group)
    assert {*main.list_commands(click.Context(main))} == COMMANDS.keys()
