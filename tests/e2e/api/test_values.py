"""Every worker answers every question as a naive computation over the events does, wherever the users are."""

import math
from collections import Counter
from typing import Any

import pytest

from stream_app.core.messages import OWN_ROLES, ROLES, Role
from tests.e2e.api.asking import asked, every_page, of_user, reply, url
from tests.e2e.api.stage import EVERYBODY, FRIENDS, HOSTILE, Stage

pytestmark = pytest.mark.timeout(150)

SCOPES = (EVERYBODY, ("all", "phone"), ("all", "console"), (FRIENDS, "phone"))
CASES = [(scope, role) for scope in SCOPES for role in ROLES[:OWN_ROLES]]
STANDINGS = ("none", "emerging", "entered", "fading")


@pytest.mark.parametrize(("scope", "role"), CASES)
def test_influencers_are_those_of_the_events_in_order_page_by_page(
    stage: Stage, where: str, scope: tuple[str, str], role: Role
) -> None:
    population, topic = scope
    found = every_page(where, "/influencers", "influencers", 97, population=population, topic=topic, role=role)
    wanted = stage.expected.values(scope, role)
    values = {one["user_id"]: one["value"] for one in found if one["value"]}
    assert values == wanted
    assert len(found) == len({one["user_id"] for one in found})
    assert {one["standing"] for one in found if not one["value"]} <= {"emerging", "entered", "fading"}
    assert [one["value"] for one in found] == sorted((one["value"] for one in found), reverse=True)
    total = sum(wanted.values())
    for one in found:
        user = one["user_id"]
        if one["value"]:
            assert one["rank"] == stage.expected.rank(scope, user, role)
        assert one["share"] == pytest.approx(one["value"] / total, rel=1e-5)
        assert one["panes"] == stage.expected.by_pane(scope, user, role)
        assert sum(one["panes"]) == one["value"]


def test_both_workers_list_users_in_the_same_order(stage: Stage) -> None:
    first, second = (
        [one["user_id"] for one in every_page(where, "/influencers", "influencers", 500, role="maven")]
        for where in stage.addresses
    )
    assert first == second


def test_an_answer_about_users_has_window_and_threshold(stage: Stage, where: str) -> None:
    answer = asked(where, "/influencers", limit=1)
    cut = stage.expected.cut(EVERYBODY, Role.CONNECTOR)
    assert cut is not None
    assert answer["threshold"] == cut.threshold
    assert answer["first_pane"] == stage.expected.window_start
    assert answer["pane_ms"] == 900_000
    assert answer["missing_partitions"] == []


@pytest.mark.parametrize("role", ROLES[:OWN_ROLES])
def test_standings_divide_the_users_among_them(where: str, role: Role) -> None:
    everybody = every_page(where, "/influencers", "influencers", 500, role=role)
    for standing in STANDINGS:
        some = every_page(where, "/influencers", "influencers", 500, role=role, standing=standing)
        assert some == [one for one in everybody if one["standing"] == standing]
    both = every_page(where, "/influencers", "influencers", 500, role=role, standing=["entered", "fading"])
    assert both == [one for one in everybody if one["standing"] in {"entered", "fading"}]
    curve = asked(where, "/curve", role=role)
    assert len(both) == curve["cut"]["flagged"]
    if role is Role.MAVEN:
        assert curve["with_evidence"] == sum(one["value"] >= 5 for one in everybody)


def test_search_finds_a_part_of_the_name_in_any_case(where: str) -> None:
    everybody = every_page(where, "/influencers", "influencers", 500)
    some = every_page(where, "/influencers", "influencers", 500, search="ISER-0")
    assert some == [one for one in everybody if "iser-0" in one["user_id"]] != []


def test_emerging_users_come_first_the_soonest_before_the_others(where: str) -> None:
    for topic in ("phone", "console", "*"):
        found = every_page(where, "/influencers", "influencers", 100, topic=topic, order="emerging")
        emerging = [one["standing"] == "emerging" for one in found]
        assert emerging == sorted(emerging, reverse=True)
        etas = [math.inf if one["eta_s"] is None else one["eta_s"] for one in found if one["standing"] == "emerging"]
        assert etas == sorted(etas)
        rest = [one["value"] for one in found if one["standing"] != "emerging"]
        assert rest == sorted(rest, reverse=True)


@pytest.mark.parametrize(("scope", "role"), CASES)
def test_the_cut_is_that_of_the_events(stage: Stage, where: str, scope: tuple[str, str], role: Role) -> None:
    population, topic = scope
    (cut,) = asked(where, "/cuts", population=population, topic=topic, role=role)["cuts"]
    wanted = stage.expected.cut(scope, role)
    assert wanted is not None
    for name in ("users", "total", "k", "threshold", "ties"):
        assert cut[name] == getattr(wanted, name)
    assert (cut["coverage"], cut["gini"]) == pytest.approx((wanted.coverage, wanted.gini))
    assert cut["percent_of_users"] == pytest.approx(100 * wanted.k / wanted.users)
    size = {"all": 1000}.get(population)
    assert cut["percent_of_population"] == (pytest.approx(100 * wanted.k / size) if size else None)
    assert (cut["window_start"], cut["window_end"]) == (stage.expected.window_start, stage.expected.window_end)
    assert 1 <= cut["k_low"] <= cut["k"] <= cut["k_high"] <= cut["users"]
    assert cut["threshold_low"] <= cut["threshold"] <= cut["threshold_high"]
    assert cut["percent_of_users_low"] == pytest.approx(100 * cut["k_low"] / cut["users"])
    assert cut == asked(where, "/curve", population=population, topic=topic, role=role)["cut"]


@pytest.mark.parametrize("role", ROLES[:OWN_ROLES])
def test_users_inside_the_interval_of_the_threshold_are_borderline(where: str, role: Role) -> None:
    (cut,) = asked(where, "/cuts", topic="*", population="all", role=role)["cuts"]
    everybody = every_page(where, "/influencers", "influencers", 500, role=role)
    inside = [one["user_id"] for one in everybody if cut["threshold_low"] <= one["value"] <= cut["threshold_high"]]
    assert [one["user_id"] for one in everybody if one["borderline"]] == inside != []
    assert len(inside) < len(everybody)
    assert asked(where, "/users/why", id=inside[0], role=role)["place"]["now"]["borderline"] is True


@pytest.mark.parametrize(("scope", "role"), CASES)
def test_the_curve_lies_on_that_of_the_events(stage: Stage, where: str, scope: tuple[str, str], role: Role) -> None:
    population, topic = scope
    points = asked(where, "/curve", population=population, topic=topic, role=role)["points"]
    assert len(points) <= 200
    assert (points[0], points[-1]) == ([0, 0], [1, 1])
    exact = {round(x, 6): y for x, y in stage.expected.curve(scope, role)}
    assert dict(points) == pytest.approx({x: exact[x] for x, _ in points}, abs=2e-6)


def test_topics_are_all_there_are_with_both_cuts_page_by_page(stage: Stage, where: str) -> None:
    found = every_page(where, "/topics", "topics", 7)
    assert {(one["population"], one["topic"]): one["users"] for one in found} == {
        scope: stage.expected.users(scope) for scope in stage.expected.scopes
    }
    everybody = [one["topic"] == "*" for one in found]
    assert everybody == sorted(everybody, reverse=True)
    rest = [one["users"] for one in found if one["topic"] != "*"]
    assert rest == sorted(rest, reverse=True)
    for one in found:
        for role in ROLES[:OWN_ROLES]:
            wanted = stage.expected.cut((one["population"], one["topic"]), role)
            assert (one[role] and one[role]["k"]) == (wanted and wanted.k)
    assert asked(where, "/topics", limit=1)["populations"] == ["all", FRIENDS]


def test_topics_are_found_by_population_and_by_a_part_of_their_name(stage: Stage, where: str) -> None:
    own = asked(where, "/topics", population="all", limit=500)
    assert {one["topic"] for one in own["topics"]} == {topic for name, topic in stage.expected.scopes if name == "all"}
    found = asked(where, "/topics", search="PHO")["topics"]
    assert [(one["population"], one["topic"]) for one in found] == [("all", "phone"), (FRIENDS, "phone")]
    found = asked(where, "/topics", search="ÜNÏ")["topics"]
    assert [one["topic"] for one in found] == ["ünïcode…"]


def test_cuts_are_those_of_all_scopes_and_roles_page_by_page(stage: Stage, where: str) -> None:
    found = [one for one in every_page(where, "/cuts", "cuts", 13) if Role(one["role"]) in ROLES[:OWN_ROLES]]
    assert Counter((one["population"], one["topic"], one["role"]) for one in found) == Counter(
        (*scope, role.value)
        for scope in stage.expected.scopes
        for role in ROLES[:OWN_ROLES]
        if stage.expected.cut(scope, role)
    )


def test_a_topic_is_meant_however_it_is_written(where: str) -> None:
    assert asked(where, "/curve", topic=" Phone ") == asked(where, "/curve", topic="phone")


def test_a_user_is_known_in_every_topic_and_role(stage: Stage, where: str, subtests: pytest.Subtests) -> None:
    for user in ["riser-01", "u00001", *HOSTILE]:
        with subtests.test(user=user):
            answer = asked(where, of_user(user))
            assert answer["user_id"] == user
            wanted = {
                (*scope, role.value): panes.total()
                for (scope, name, role), panes in stage.expected.panes.items()
                if name == user
            }
            own = [one for one in answer["places"] if Role(one["role"]) in ROLES[:OWN_ROLES]]
            found = {(one["population"], one["topic"], one["role"]): one for one in own}
            assert {key: one["now"]["value"] for key, one in found.items()} == {
                key: sum_ for key, sum_ in wanted.items() if sum_
            }
            for (population, topic, role), one in found.items():
                assert one["now"]["panes"] == stage.expected.by_pane((population, topic), user, Role(role))
                assert one["now"]["user_id"] == user
                assert (one["flag"] is None) == (one["now"]["standing"] == "none")
                cut = stage.expected.cut((population, topic), Role(role))
                assert cut is not None
                assert one["threshold"] == cut.threshold
            shares = [one["now"]["share"] for one in answer["places"]]
            assert shares == sorted(shares, reverse=True)


def test_why_has_the_place_the_flag_its_rule_and_the_cut(where: str) -> None:
    rules = asked(where, "/about")["rules"]
    for one in asked(where, "/influencers", standing="entered", limit=3)["influencers"]:
        why: dict[str, Any] = asked(where, of_user(one["user_id"], "/why"))
        assert why["place"]["now"] == one
        flag = why["place"]["flag"]
        assert (flag["user_id"], flag["topic"], flag["role"], flag["type"]) == (
            one["user_id"],
            "*",
            "connector",
            "entered",
        )
        assert why["rule"] == rules[str(flag["rule"])] != ""
        assert why["cut"] == asked(where, "/curve")["cut"]


def test_an_unknown_user_is_a_problem(where: str) -> None:
    for path in (of_user("nobody"), of_user("nobody", "/why"), of_user("riser-01", "/why") + "?topic=nothing"):
        got = reply(where, url(path))
        assert (got.status, got.json()["title"]) == (404, "Unknown user")


def test_health_adds_up_over_all_workers(stage: Stage, where: str) -> None:
    health = asked(where, "/health")
    assert sum(health[name] for name in ("applied", "duplicate", "late", "rejected")) == stage.expected.sent
    assert (health["lag_records"], health["workers"], health["partitions"]) == (0, 2, 4)
    assert health["event_time"] == stage.expected.newest_ms
    assert health["users"] == len({one.user for one in stage.expected.events})
    assert (health["live"], health["ready"], health["redis_up"]) == (True, True, None)
