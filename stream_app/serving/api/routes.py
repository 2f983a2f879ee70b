"""The routes of the API: the path of each query, its parameters, and what answers it."""

import re
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, NamedTuple, TypeVar

import msgspec
import msgspec.inspect
from aiohttp import web

from stream_app.core.events.names import normal_topic
from stream_app.core.messages import Cut, Flag
from stream_app.core.privacy.looks import persons_of
from stream_app.serving.api import params, responses
from stream_app.serving.api.answers import Answers
from stream_app.serving.api.csv import as_csv
from stream_app.serving.api.flags.quality_response import FlagQualities
from stream_app.serving.api.funnel.funnel_response import TopicFunnel
from stream_app.serving.api.funnel.recruits_response import Recruits
from stream_app.serving.api.look_log import LookLog
from stream_app.serving.api.unanswered import UNKNOWN, UnavailableError, UnknownUserError
from stream_app.serving.api.users.why_response import Why
from stream_app.serving.api.views import View
from stream_app.serving.http.problems import BadRequestError, problem

PREFIX = "/api/v1"

_NUMBER = re.compile(r"-?[0-9]{1,18}")
_TEXTS = frozenset({"population", "search", "topic", "user"})
"""Parameters that are as good as absent where they are empty."""

P = TypeVar("P", bound=params.Params)


class CsvRows(NamedTuple):
    """What of an answer is its rows, as CSV."""

    field: str
    kind: type[msgspec.Struct]


class Route(NamedTuple):
    """A query."""

    path: str
    asked: type[params.Params]
    answered: type[responses.Answer]
    summary: str
    answer: Callable[[Answers, Any, str], responses.Answer | Awaitable[responses.Answer]]
    """From the answers, the parameters and the user in the path, if there is one."""
    csv: CsvRows | None = None


ROUTES = (
    Route(
        *("/about", params.NoParams, responses.About, "What is counted, and by which rules"),
        lambda answers, _asked, _user: answers.overview.about(),
    ),
    Route(
        *("/health", params.NoParams, responses.Health, "The pipeline in one line"),
        lambda answers, _asked, _user: answers.overview.health(),
    ),
    Route(
        *("/topics", params.TopicParams, responses.Topics, "Topics with both their cuts"),
        lambda answers, asked, _user: answers.scopes.topics(asked),
        CsvRows("topics", responses.Topic),
    ),
    Route(
        *("/cuts", params.CutParams, responses.Cuts, "The present cuts"),
        lambda answers, asked, _user: answers.cuts(asked),
        CsvRows("cuts", Cut),
    ),
    Route(
        *("/cuts/history", params.HistoryParams, responses.History, "How a cut moved, pane by pane"),
        lambda answers, asked, _user: answers.history(asked),
        CsvRows("moments", responses.Moment),
    ),
    Route(
        *("/curve", params.ScopeParams, responses.Curve, "The Lorenz curve, and the cut in it"),
        lambda answers, asked, _user: answers.curve(asked),
    ),
    Route(
        *("/funnel", params.FunnelParams, TopicFunnel, "Who comes to a topic, who brings them and who comes back"),
        lambda answers, asked, _user: answers.funnel(asked),
    ),
    Route(
        *("/influencers", params.InfluencerParams, responses.Influencers, "Users of a topic and role"),
        lambda answers, asked, _user: answers.influencers(asked),
        CsvRows("influencers", responses.Influencer),
    ),
    Route(
        *("/users", params.UserParams, responses.User, "A user in every topic and role, for every id"),
        lambda answers, asked, _user: answers.user(asked.id),
    ),
    Route(
        *("/users/why", params.WhyParams, Why, "Why a user stands there, for every id"),
        lambda answers, asked, _user: answers.why(asked.id, asked),
    ),
    Route(
        *("/users/recruits", params.RecruitParams, Recruits, "Whom a user brought into a topic, for every id"),
        lambda answers, asked, _user: answers.recruits(asked.id, asked),
    ),
    Route(
        *("/users/{user_id}", params.NoParams, responses.User, "A user in every topic and role"),
        lambda answers, _asked, user: answers.user(user),
    ),
    Route(
        *("/users/{user_id}/why", params.ScopeParams, Why, "Why a user stands there"),
        lambda answers, asked, user: answers.why(user, asked),
    ),
    Route(
        *("/users/{user_id}/recruits", params.RecruitsOfParams, Recruits, "Whom a user brought into a topic"),
        lambda answers, asked, user: answers.recruits(user, asked),
    ),
    Route(
        *("/flags", params.FlagParams, responses.Flags, "The last flags, the newest first"),
        lambda answers, asked, _user: answers.flags(asked),
        CsvRows("flags", Flag),
    ),
    Route(
        *("/flag-quality", params.NoParams, FlagQualities, "How good the last flags were, by day and week"),
        lambda answers, _asked, _user: answers.overview.flag_quality(),
    ),
)
"""Every query that is answered at once."""


def add_routes(app: web.Application, answers: Answers, looks: LookLog) -> None:
    """Have `app` answer them; who is named is in the record of a look before."""
    for route in ROUTES:
        # What is between braces takes no braces by itself, and a user id may have them.
        app.router.add_get(PREFIX + route.path.replace("{user_id}", "{user_id:[^/]+}"), _handler(route, answers, looks))


def parsed(kind: type[P], request: web.Request) -> P:
    """The parameters of a query; empty text is as good as none. Raises BadRequestError."""
    fields = msgspec.structs.fields(kind)
    several = {field.name for field in fields if isinstance(field.default, tuple)}
    if unknown := request.query.keys() - {field.name for field in fields}:
        raise BadRequestError(f"there is no parameter {min(unknown)!r} here; {PREFIX}/openapi.json has every parameter")
    numbers = _numbers(kind)
    given: dict[str, Any] = {}
    for name in request.query:
        values = request.query.getall(name)
        if len(values) > 1 and name not in several:
            raise BadRequestError(f"{name} is given {len(values)} times: give it once")
        if not all(map(_is_text, values)):
            raise BadRequestError(f"{name} is not text in UTF-8")
        given[name] = values if name in several else _value(values[0], is_number=name in numbers)
    if "topic" in given:
        given["topic"] = normal_topic(given["topic"])
    for name in _TEXTS & given.keys():
        if not given[name]:
            del given[name]
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise BadRequestError(f"{error}; {PREFIX}/openapi.json has every parameter") from error


@cache
def _numbers(kind: type[params.Params]) -> frozenset[str]:
    """The parameters of a query that are numbers."""
    described = msgspec.inspect.type_info(kind)
    assert isinstance(described, msgspec.inspect.StructType)  # noqa: S101 - all parameters are one
    return frozenset(field.name for field in described.fields if _is_number(field.type))


def _is_number(kind: msgspec.inspect.Type) -> bool:
    match kind:
        case msgspec.inspect.Metadata(type=inner):
            return _is_number(inner)
        case msgspec.inspect.UnionType(types=options):
            return any(map(_is_number, options))
    return isinstance(kind, msgspec.inspect.IntType)


def _value(text: str, *, is_number: bool) -> str | int:
    """What a parameter says: text that is no number stays text, and is refused for that."""
    return int(text) if is_number and _NUMBER.fullmatch(text) else text


def as_json(answer: object) -> web.Response:
    """An answer, never kept by anybody on the way."""
    return web.Response(
        body=msgspec.json.encode(answer), content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def _handler(route: Route, answers: Answers, looks: LookLog) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        view = View.of(request)
        asked = view.within(parsed(route.asked, request))
        user = request.match_info.get("user_id", "")
        try:
            found = route.answer(answers, asked, user if _is_text(user) else "")
            whole = answers.disclosed(found if isinstance(found, responses.Answer) else await found)
        except UnknownUserError as error:
            await looks.record(request, [user or getattr(asked, "id", "")])  # to have asked is a look, too
            return problem(404, "Unknown user", str(error))
        except UnavailableError as error:
            return problem(503, "Not now", str(error))
        if (answer := view.answer(whole)) is None:
            return problem(404, "Unknown user", UNKNOWN)
        if looks.is_on and (named := persons_of(answer)):
            await looks.record(request, named)
        if route.csv is None or getattr(asked, "format", "json") == "json":
            return as_json(answer)
        name = route.path.strip("/").replace("/", "-")
        return web.Response(
            text=as_csv(getattr(answer, route.csv.field), route.csv.kind),
            content_type="text/csv",
            charset="utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"},
        )

    return handle


def _is_text(given: str) -> bool:
    """Whether it can be said in an answer: bytes that are no UTF-8 come as what cannot."""
    return given.isascii() or not any("\ud800" <= character <= "\udfff" for character in given)
