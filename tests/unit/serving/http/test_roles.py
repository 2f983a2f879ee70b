"""Roles, populations and expiry of tokens, asked of every route; and single sign-on by a proxy."""

from pathlib import Path

import msgspec
import pytest

from stream_app.serving.api.params import Params
from stream_app.serving.api.responses import Place, Topics, User
from stream_app.serving.api.routes import PREFIX, ROUTES
from stream_app.serving.api.views import PARTS_OF_PEOPLE, View
from stream_app.serving.http.auth import OF_VIEWERS
from stream_app.serving.http.problems import RefusedError
from stream_app.serving.http.tokens import AccessRole, Caller
from stream_app.settings import Settings, SettingsError, load
from stream_app.settings.secret import Secret
from tests.unit.serving.http.served import LOCALHOST, Served, head, serving, status

OWN, VIEWER, ANALYST, OPERATOR, OLD, SALES = (f"{name}-has-this-token" for name in ("own", "v", "a", "o", "x", "s"))
FILE = f"""
name=vic  role=viewer   populations=*      until=never      token={VIEWER}
name=ann  role=analyst  populations=*      until=never      token={ANALYST}
name=ola  role=operator populations=*      until=never      token={OPERATOR}
name=old  role=analyst  populations=*      until=2020-01-01 token={OLD}
name=sal  role=analyst  populations=sales  until=never      token={SALES}
name=sso@example.com role=viewer populations=* until=never
"""
OF_PEOPLE = {
    *(PREFIX + path for path in ("/influencers", "/users", "/users/why", "/users/{user_id}", "/users/{user_id}/why")),
    *(PREFIX + path for path in ("/users/recruits", "/users/{user_id}/recruits")),
    *(PREFIX + path for path in ("/flags", "/flags/stream")),
}


def settings_in(folder: Path, **more: object) -> Settings:
    (folder / "tokens").write_text(FILE)
    return Settings(http_tokens_file=str(folder / "tokens"), http_token=Secret(OWN), **more)  # type: ignore[arg-type]


async def asked(served: Served, path: str, token: str, *headers: str) -> int:
    query = path.replace("{user_id}", "u1")
    given = (f"Authorization: Bearer {token}",) if token else ()
    return status(await served.get(query, *given, *headers))


def test_every_route_is_for_viewers_or_for_analysts() -> None:
    others = {"/metrics", *(PREFIX + path for path in ("/openapi.json", "/live", "/flags/stream"))}
    assert {PREFIX + route.path for route in ROUTES} | others == OF_VIEWERS | OF_PEOPLE
    assert set() == OF_VIEWERS & OF_PEOPLE


async def test_each_role_is_let_in_where_it_may_look_and_nowhere_else(tmp_path: Path) -> None:
    async with serving(settings_in(tmp_path)) as served:
        for path in sorted(OF_VIEWERS | OF_PEOPLE):
            if path.endswith(("/live", "/stream")):
                continue
            let_in = {token: await asked(served, path, token) not in {401, 403} for token in (OWN, ANALYST, VIEWER)}
            assert let_in == {OWN: True, ANALYST: True, VIEWER: path in OF_VIEWERS}, path
            assert await asked(served, path, OPERATOR) == 403
            assert await asked(served, path, OLD) == 401
            assert await asked(served, path, "") == 401
        assert await asked(served, f"{PREFIX}/flags/stream", VIEWER) == 403
        assert await asked(served, "/metrics", SALES) == 403
        assert await asked(served, f"{PREFIX}/flag-quality", SALES) == 403


async def test_a_session_has_the_role_of_its_token_and_ends_with_it(tmp_path: Path) -> None:
    form = "Content-Type: application/x-www-form-urlencoded"
    async with serving(settings_in(tmp_path)) as served:
        entered = await served.get("/api/v1/session", form, method="POST", body=f"token={VIEWER}")
        cookie = "Cookie: " + head(entered)["set-cookie"].partition(";")[0]
        assert status(await served.get(f"{PREFIX}/openapi.json", cookie)) == 200
        assert status(await served.get(f"{PREFIX}/flags", cookie)) == 403
        refused = await served.get("/api/v1/session", form, method="POST", body=f"token={OLD}")
        assert status(refused) == 401
        served.access._file._tokens = []  # type: ignore[union-attr]
        assert status(await served.get(f"{PREFIX}/openapi.json", cookie)) == 401


async def test_while_the_file_is_wrong_nobody_is_let_in(tmp_path: Path) -> None:
    async with serving(settings_in(tmp_path)) as served:
        served.access._file._fault = "line 3"  # type: ignore[union-attr]
        assert await asked(served, f"{PREFIX}/openapi.json", ANALYST) == 503
        assert await asked(served, f"{PREFIX}/openapi.json", OWN) == 503
        assert await asked(served, "/livez", "") == 200


@pytest.mark.parametrize(("networks", "expected"), [(("127.0.0.0/8",), 200), (("10.0.0.0/8", "::1"), 401)])
async def test_a_proxy_says_who_is_signed_in_only_from_its_own_addresses(
    tmp_path: Path, networks: tuple[str, ...], expected: int
) -> None:
    settings = settings_in(tmp_path, http_user_header="X-Signed-In", http_user_proxies=networks)
    async with serving(settings) as served:
        path = f"{PREFIX}/openapi.json"
        assert await asked(served, path, "", "X-Signed-In: sso@example.com") == expected
        if expected == 200:
            assert await asked(served, f"{PREFIX}/flags", "", "X-Signed-In: sso@example.com") == 403
            assert await asked(served, path, "", "X-Signed-In: nobody@example.com") == 403
            assert await asked(served, path, "", "X-Signed-In: a", "X-Signed-In: sso@example.com") == 400
            assert await asked(served, path, "", "X-Forwarded-User: sso@example.com") == 401
            assert await asked(served, path, VIEWER) == 200


async def test_without_the_setting_no_header_says_who_somebody_is(tmp_path: Path) -> None:
    async with serving(settings_in(tmp_path)) as served:
        assert LOCALHOST == "127.0.0.1"
        assert await asked(served, f"{PREFIX}/openapi.json", "", "X-Signed-In: sso@example.com") == 401


async def test_no_token_asks_as_a_worker_without_the_secret_of_workers(tmp_path: Path) -> None:
    async with serving(settings_in(tmp_path)) as served:
        for token in (OWN, ANALYST):
            answer = await served.get(
                "/api/v1/peers/leaders", f"Authorization: Bearer {token}", method="POST", body="[]"
            )
            assert status(answer) == 401


@pytest.mark.parametrize(
    "given",
    [
        {"STREAM_APP_HTTP_USER_HEADER": "X-User", "STREAM_APP_HTTP_TOKENS_FILE": "t"},
        {"STREAM_APP_HTTP_USER_PROXIES": "10.0.0.1", "STREAM_APP_HTTP_TOKENS_FILE": "t"},
        {"STREAM_APP_HTTP_USER_HEADER": "X-User", "STREAM_APP_HTTP_USER_PROXIES": "10.0.0.1"},
        {
            "STREAM_APP_HTTP_USER_HEADER": "X-User",
            "STREAM_APP_HTTP_USER_PROXIES": "proxy.example.com",
            "STREAM_APP_HTTP_TOKENS_FILE": "t",
        },
    ],
)
def test_a_header_is_believed_only_from_named_addresses_and_of_people_in_the_file(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="http_user_"):
        load(given)


SALES_ONLY = View(Caller("sal", frozenset({AccessRole.ANALYST}), frozenset({"sales"})))
BOTH = View(Caller("bo", frozenset({AccessRole.VIEWER}), frozenset({"sales", "board"})))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_question_about_a_population_is_about_one_of_the_caller(route: object) -> None:
    kind: type[Params] = route.asked  # type: ignore[attr-defined]
    if "population" not in kind.__struct_fields__:
        return
    for population in ("sales", "board", ""):
        asked = kind(population=population)
        if population == "board":
            with pytest.raises(RefusedError, match="populations sales"):
                SALES_ONLY.within(asked)
        else:
            assert SALES_ONLY.within(asked).population == "sales"  # type: ignore[attr-defined]
        if population:
            assert BOTH.within(asked) is asked
        else:
            with pytest.raises(RefusedError, match="board, sales"):
                BOTH.within(asked)


def test_a_user_is_seen_in_populations_of_the_caller_only() -> None:
    def place(population: str) -> Place:
        return Place(topic="*", population=population, role="maven", threshold=1, now=None, flag=None)  # type: ignore[arg-type]

    user = User(user_id="u", pane_ms=1, first_pane=0, places=[place("sales"), place("board")])
    seen = SALES_ONLY.answer(user)
    assert isinstance(seen, User)
    assert [one.population for one in seen.places] == ["sales"]
    assert SALES_ONLY.answer(User(user_id="u", pane_ms=1, first_pane=0, places=[place("board")])) is None


def test_a_viewer_sees_no_part_of_the_page_that_names_people() -> None:
    topics = Topics(topics=[], populations=["board", "sales", "staff"], total=0, next=None)
    json = msgspec.json.encode(topics)
    assert all(BOTH.part(name, b"{}") is None for name in PARTS_OF_PEOPLE)
    assert BOTH.flags([object()]) == []  # type: ignore[list-item]
    assert BOTH.part("curve", b"{}") == b"{}"
    assert BOTH.part("quality", b"{}") is None
    assert msgspec.json.decode(BOTH.part("topics", json) or b"")["populations"] == ["board", "sales"]
    assert View(Caller("x", frozenset({AccessRole.VIEWER}))).part("topics", json) == json
