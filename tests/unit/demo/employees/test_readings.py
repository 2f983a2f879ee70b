"""What a demo with employees reads: who is named in an answer, and which questions are asked."""

from stream_app.core.messages import ROLES, Role
from stream_app.core.state.scopes import ScopeName
from stream_app.demo.employees.readings import Named, Reach, _questions, named_in

TEA, CUPS = ScopeName("sales", "tea"), ScopeName("sales", "cups")
REACH = Reach([TEA, CUPS], [CUPS], ["ann", "bob"])
SCOPE = {"topic", "population", "role"}


def test_people_are_named_in_the_scope_that_stands_around_them() -> None:
    scope = {"topic": "tea", "population": "sales", "role": "maven"}
    answer = {**scope, "influencers": [{"user_id": "ann"}, {"user_id": "bob", "now": {"flag": None}}], "total": 2}
    assert [*named_in(answer)] == [Named("ann", TEA, Role.MAVEN, None), Named("bob", TEA, Role.MAVEN, None)]
    user = {"user_id": "ann", "places": [{**scope, "now": {"user_id": "ann"}}]}
    assert [*named_in(user)] == [Named("ann", TEA, Role.MAVEN, None)]
    assert [*named_in({"flags": [{**scope, "user_id": "cy", "event_time": 7}]})] == [Named("cy", TEA, Role.MAVEN, 7)]
    assert [*named_in([1, "ann", None])] == []


def test_a_route_about_a_scope_is_asked_about_each_and_without_one() -> None:
    questions = [query for query, _ in _questions("/curve", SCOPE | {"limit"}, REACH)]
    assert questions[0] == {"limit": "500"}
    assert len(questions) == 1 + 2 * len(ROLES)
    assert all(query["limit"] == "500" for query in questions)


def test_a_route_about_a_person_is_asked_about_each_where_too_few_are() -> None:
    assert [query for query, _ in _questions("/users", {"id"}, REACH)] == [{"id": "ann"}, {"id": "bob"}]
    questions = [*_questions("/users/{user_id}/why", SCOPE, REACH)]
    assert len(questions) == 2 * len(ROLES)
    query, asked = questions[0]
    assert query == {"topic": "cups", "population": "sales", "role": "maven", "user_id": "ann"}
    assert asked == {"ann", "cups", "sales"}
