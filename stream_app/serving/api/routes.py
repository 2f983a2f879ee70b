"""The questions of the API, one after the other: where each is asked, with which parameters, and what answers it."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
from aiohttp import web

from stream_app.core.messages import Cut, Flag
from stream_app.serving.api import messages, queries
from stream_app.serving.api.answers import Answers, UnknownUserError
from stream_app.serving.api.own import Own, Ranking, Whereabouts
from stream_app.serving.api.peers import LEADERS, PLACES
from stream_app.serving.api.tables import as_csv

PREFIX = "/api/v1"
PROBLEM = "application/problem+json"

Q = TypeVar("Q", bound=queries.Query)


class Table(NamedTuple):
    """What of an answer is its rows, as CSV."""

    field: str
    kind: type[msgspec.Struct]


class Route(NamedTuple):
    """A question."""

    path: str
    asked: type[queries.Query]
    answered: type[messages.Answer]
    summary: str
    answer: Callable[[Answers, Any, str], messages.Answer | Awaitable[messages.Answer]]
    """From the answers, the parameters and the user in the path, if there is one."""
    table: Table | None = None


class BadQuestionError(ValueError):
    """A question that cannot be understood; the message says what is wrong."""


ROUTES = (
    Route(
        *("/about", queries.Nothing, messages.About, "What is counted, and by which rules"),
        lambda answers, _asked, _user: answers.about(),
    ),
    Route(
        *("/health", queries.Nothing, messages.Health, "The pipeline in one line"),
        lambda answers, _asked, _user: answers.health(),
    ),
    Route(
        *("/topics", queries.OfTopics, messages.Topics, "Topics with both their cuts"),
        lambda answers, asked, _user: answers.topics(asked),
        Table("topics", messages.Topic),
    ),
    Route(
        *("/cuts", queries.OfCuts, messages.Cuts, "The present cuts"),
        lambda answers, asked, _user: answers.cuts(asked),
        Table("cuts", Cut),
    ),
    Route(
        *("/cuts/history", queries.OfHistory, messages.History, "How a cut moved, pane by pane"),
        lambda answers, asked, _user: answers.history(asked),
        Table("moments", messages.Moment),
    ),
    Route(
        *("/curve", queries.OfScope, messages.Curve, "The Lorenz curve, and the cut in it"),
        lambda answers, asked, _user: answers.curve(asked),
    ),
    Route(
        *("/influencers", queries.OfInfluencers, messages.Influencers, "Users of a topic and role"),
        lambda answers, asked, _user: answers.influencers(asked),
        Table("influencers", messages.Influencer),
    ),
    Route(
        *("/users/{user_id}", queries.Nothing, messages.User, "A user in every topic and role"),
        lambda answers, _asked, user: answers.user(user),
    ),
    Route(
        *("/users/{user_id}/why", queries.OfScope, messages.Why, "Why a user stands there"),
        lambda answers, asked, user: answers.why(user, asked),
    ),
    Route(
        *("/flags", queries.OfFlags, messages.Flags, "The last flags, the newest first"),
        lambda answers, asked, _user: answers.flags(asked),
        Table("flags", Flag),
    ),
)
"""Every question that is answered at once."""


def add_routes(app: web.Application, answers: Answers, own: Own) -> None:
    """Have `app` answer them, and the other workers about the users of this one."""
    for route in ROUTES:
        app.router.add_get(PREFIX + route.path, _handler(route, answers))

    async def leaders(request: web.Request) -> web.Response:
        return as_json(own.leaders(_decoded(await request.read(), Ranking)))

    async def places(request: web.Request) -> web.Response:
        return as_json(await own.places(_decoded(await request.read(), Whereabouts)))

    app.router.add_post(LEADERS, leaders)
    app.router.add_post(PLACES, places)


def parsed(kind: type[Q], request: web.Request) -> Q:
    """The parameters of a question; empty ones are as good as absent. Raises BadQuestionError."""
    several = {field.name for field in msgspec.structs.fields(kind) if isinstance(field.default, tuple)}
    given: dict[str, Any] = {}
    for name in request.query:
        values = [value for value in request.query.getall(name) if value]
        if len(values) > 1 and name not in several:
            raise BadQuestionError(f"{name} is given {len(values)} times: give it once")
        if values:
            given[name] = values if name in several else values[0]
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadQuestionError(f"{error}; {PREFIX}/openapi.json has every parameter") from error


def as_json(answer: object) -> web.Response:
    """An answer, never kept by anybody on the way."""
    return web.Response(
        body=msgspec.json.encode(answer), content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def problem(status: int, title: str, detail: str) -> web.Response:
    """Why there is no answer."""
    body = msgspec.json.encode(messages.Problem(title=title, status=status, detail=detail))
    headers = {"Cache-Control": "no-store"} | ({"WWW-Authenticate": "Bearer"} if status == 401 else {})
    return web.Response(body=body, status=status, content_type=PROBLEM, headers=headers)


def _handler(route: Route, answers: Answers) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        asked = parsed(route.asked, request)
        try:
            answer = route.answer(answers, asked, request.match_info.get("user_id", ""))
            if not isinstance(answer, messages.Answer):
                answer = await answer
        except UnknownUserError as error:
            return problem(404, "Unknown user", str(error))
        if route.table is None or getattr(asked, "format", "json") == "json":
            return as_json(answer)
        name = route.path.strip("/").replace("/", "-")
        return web.Response(
            text=as_csv(getattr(answer, route.table.field), route.table.kind),
            content_type="text/csv",
            charset="utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"},
        )

    return handle


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise BadQuestionError(f"{error}: workers of one tracker must be of one release") from error
