"""Hostile requests: every one gets an answer or a Problem, none an internal error."""

import json
from typing import Any
from urllib.parse import unquote

import pytest

from tests.e2e.api.asking import Reply, asked, of_user, raw, reply, streaming, url
from tests.e2e.api.stage import FRIENDS, HOSTILE, Stage

pytestmark = pytest.mark.timeout(150)

ENDPOINTS = ("/about", "/health", "/topics", "/cuts", "/cuts/history", "/curve", "/funnel", "/influencers", "/flags")
STREAMS = ("/flags/stream", "/live")
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def where(stage: Stage) -> str:
    """One worker will do here."""
    return stage.addresses[0]


def problem(got: Reply) -> dict[str, Any]:
    """What a problem says: every one is complete and has no secrets of the code in it."""
    assert got.headers["content-type"] == "application/problem+json", got.body
    assert got.headers["cache-control"] == "no-store"
    said: dict[str, Any] = got.json()
    assert said.keys() == {"type", "title", "status", "detail"}
    assert said["status"] == got.status
    assert said["detail"]
    assert "Traceback" not in said["detail"]
    return said


def test_unknown_and_forbidden_parameters_are_reported(where: str, subtests: pytest.Subtests) -> None:
    for path in [*ENDPOINTS, *STREAMS, "/users/riser-01", "/users/riser-01/why"]:
        for query in ["nonsense=1", "nonsense=", "Limit=1", "format=xml", "role=king&topic=x", "%00=1"]:
            with subtests.test(path=path, query=query):
                got = reply(where, f"{url(path)}?{query}")
                parameter = repr(unquote(query.partition("=")[0])).strip("'")
                takes_roles = path in {"/cuts", "/cuts/history", "/curve", "/influencers", "/flags", *STREAMS}
                assert got.status == 400
                assert problem(got)["title"] == "Bad request"
                assert ("king" if parameter == "role" and takes_roles else parameter) in problem(got)["detail"]


def test_values_out_of_bounds_are_reported(where: str, subtests: pytest.Subtests) -> None:
    for path, query in [
        *(("/influencers", f"limit={text}") for text in ("0", "-1", "501", "ten", "9" * 30, "1.5", "null", "true")),
        *(("/influencers", f"offset={text}") for text in ("-1", "10001", "9" * 400)),
        *(("/flags", f"since={text}") for text in ("-1", "9" * 20, "yesterday", "1.5", "NaN")),
        ("/influencers", "limit=1&limit=2"),
        ("/influencers", "topic=a&topic=b"),
        ("/influencers", "standing=entered&standing=king"),
        ("/influencers", "order=best"),
        ("/influencers", f"search={'x' * 257}"),
        ("/cuts", f"topic={'x' * 257}"),
        ("/flags", "type=exploded"),
        ("/flags", f"user={'x' * 257}"),
        ("/flags/stream", "role=king"),
        ("/live", "limit=1"),
    ]:
        with subtests.test(path=path, query=query):
            got = reply(where, f"{url(path)}?{query}")
            assert got.status == 400
            assert query.partition("=")[0] in problem(got)["detail"]


@pytest.mark.parametrize("position", ["x", "-1", "1..2", "1.2.", ".", "9" * 100, "1_0", "٣", "1.-2", "0x1"])
def test_an_invalid_position_is_reported(where: str, position: str) -> None:
    got = reply(where, url("/flags/stream"), headers={"Last-Event-ID": position.encode().decode("latin-1")})
    assert got.status == 400
    assert "Last-Event-ID" in problem(got)["detail"]


@pytest.mark.parametrize("topic", ["a\0b", "a/b", "%2F", "..", "ünï…", "👍", "x" * 256, "*", " ", "'", '"', "\r\nX: y"])
def test_topics_nobody_talks_about_are_empty_answers(where: str, topic: str) -> None:
    if topic not in {"*", " "}:
        answer = asked(where, "/influencers", topic=topic)
        assert (answer["total"], answer["influencers"], answer["threshold"]) == (0, [], 0)
        assert answer["topic"] == topic.strip().lower()
        assert asked(where, "/curve", topic=topic)["points"] == []
        assert asked(where, "/cuts/history", topic=topic)["moments"] == []
    assert asked(where, "/influencers", topic=topic, population="nobody")["total"] == 0


@pytest.mark.parametrize("user", ["nobody", "a/c", "50%%", "..%2f", "x" * 257, "y" * 4000, "\0", "👍", "why", "u/why"])
def test_users_nobody_knows_are_problems(where: str, user: str) -> None:
    for more in ("", "/why"):
        got = reply(where, url(of_user(user, more)))
        assert got.status == 404
        assert problem(got)["title"] == "Unknown user"


def test_a_user_is_asked_for_by_the_whole_id(where: str) -> None:
    for path in ("/users", "/users?id=", f"/users?id={'x' * 257}", "/users?id=a&id=b", "/users/why?id="):
        got = reply(where, url(path))
        assert got.status == 400
        assert "id" in problem(got)["detail"]
    assert reply(where, url("/users/why")).status == 404  # it is the user of that name


def test_why_takes_every_user_id(where: str, subtests: pytest.Subtests) -> None:
    for user in HOSTILE:
        with subtests.test(user=user):
            got = asked(where, "/users/why", id=user, population=FRIENDS)
            assert got["user_id"] == user
            assert asked(where, "/users", id=user)["user_id"] == user
            if user not in {".", ".."}:  # clients and proxies take these for something else
                assert asked(where, of_user(user, "/why"), population=FRIENDS)["place"] == got["place"]
            assert (len(got["evidence"]["posts"]), len(got["evidence"]["shares"])) == (1, 1)


def test_other_methods_are_refused_with_those_allowed(where: str, subtests: pytest.Subtests) -> None:
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]:
        for path in [*ENDPOINTS, *STREAMS, "/users/x", "/openapi.json"]:
            with subtests.test(method=method, path=path):
                got = reply(where, url(path), method=method)
                assert got.status == 405
                assert "GET" in got.headers["allow"].split(",")
                problem(got)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_head_is_get_without_a_body(where: str, path: str) -> None:
    got = reply(where, url(path), method="HEAD")
    assert (got.status, got.body, got.headers["content-type"]) == (200, b"", "application/json")


@pytest.mark.parametrize("path", STREAMS)
def test_head_of_a_stream_is_refused_at_once(where: str, path: str) -> None:
    assert reply(where, url(path), method="HEAD").status == 405


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/users/", "/users/x/y", "/peers/x", "/influencers/", "//"])
def test_other_paths_are_not_found(where: str, path: str) -> None:
    got = reply(where, url(path))
    assert got.status == 404
    problem(got)


def test_a_ranking_of_fewer_than_nobody_is_refused(where: str) -> None:
    ranking = {"topic": "tea", "population": "all", "role": "maven", "standings": [], "search": "", "most": -5}
    body = json.dumps([{**ranking, "emerging_first": False}]).encode()
    got = reply(where, url("/peers/leaders"), method="POST", body=body, headers=JSON)
    assert got.status == 400
    problem(got)


def test_workers_refuse_what_no_worker_asks(where: str, subtests: pytest.Subtests) -> None:
    for path in ["/peers/leaders", "/peers/places"]:
        for body in [b"", b"[[]]", b"[1]", b"{}", b"\xff", b'[{"users": 1}]', b"[" * 5000, b"x" * 2_000_000]:
            with subtests.test(path=path, body=body[:30]):
                got = reply(where, url(path), method="POST", body=body, headers=JSON)
                assert got.status in {400, 413}
                problem(got)


@pytest.mark.parametrize(
    "target",
    [
        b"/api/v1/users/\xff\xfe",
        b"/api/v1/users/%ff%fe",
        b"/api/v1/users/%ED%A0%80/why",
        b"/api/v1/\xff",
        b"/api/v1/influencers?topic=\xff",
        b"/api/v1/influencers?topic=%ff",
        b"/api/v1/influencers?\xff=1",
        b"/api/v1/influencers?search=%ED%A0%80",
        b"/api/v1/users/%",
        b"/api/v1/users/%zz",
        b"*",
        b"http://127.0.0.1/api/v1/users/x",
    ],
)
def test_bytes_that_are_no_text_are_no_failure(where: str, target: bytes) -> None:
    answer = raw(where, b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % target)
    status = int(answer.split()[1])
    assert status == 200 or 400 <= status < 500, answer
    body = answer.partition(b"\r\n\r\n")[2]
    if status != 200 and b"problem+json" in answer:
        json.loads(body)


@pytest.mark.parametrize("header", [b"Host: [", b"Host: [::1", b"Host: ]", b"Host: a:b:c", b"Host: \xff", b"Host: "])
def test_a_host_that_is_none_is_refused(where: str, header: bytes) -> None:
    answer = raw(where, b"GET /api/v1/about HTTP/1.1\r\n%s\r\nConnection: close\r\n\r\n" % header)
    assert int(answer.split()[1]) in {400, 403}


def test_the_deepest_page_leads_to_none_that_is_refused(where: str) -> None:
    answer = asked(where, "/influencers", offset=10_000)
    assert (answer["influencers"], answer["next"]) == ([], None)


def test_no_request_left_a_traceback_in_a_log(stage: Stage) -> None:
    """The last of the file: after all that was asked in it."""
    with streaming(stage.addresses[0], "/live") as stream:
        stream.until(lambda events: len(events) > 3, 20)
    for worker in stage.run.workers:
        assert not worker.has_said("Traceback"), worker.said()
        assert not worker.has_said("could not be answered"), worker.said()
