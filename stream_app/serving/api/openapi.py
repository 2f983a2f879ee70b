"""The OpenAPI document of the API, made from its queries and answers; what it says is what the server checks."""

import json
from collections.abc import Iterator
from typing import Any, get_type_hints

import msgspec

from stream_app import __version__
from stream_app.serving.api import params
from stream_app.serving.api.responses import Answer, Problem
from stream_app.serving.api.routes import PREFIX, ROUTES, Route
from stream_app.serving.http.problems import PROBLEM

FILE_NAME = "openapi.json"

_REFERENCE = "#/components/schemas/{name}"
_PROBLEMS = {
    "400": "The question cannot be understood.",
    "401": "The token is missing or wrong.",
    "403": "This worker does not answer without a token, or does not answer pages of other sites.",
    "429": "Answering this client has taken too much time, or it, or its address, has too many streams open.",
}
_EVENT_STREAMS: tuple[tuple[str, type[params.Params], str], ...] = (
    ("/flags/stream", params.FlagStreamParams, "Flags as they are raised"),
    ("/live", params.ScopeParams, "What the page shows: an event per answer that has changed, named after its path"),
)
_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": r"^\d{1,18}(\.\d{1,18})*$"},
    "description": "The id of an event, or a `position`: everything that came after it is sent first.",
}
_USER_ID = {
    "name": "user_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 256},
}


def text() -> str:
    """The document as it stands in schemas/."""
    return json.dumps(document(), ensure_ascii=False, indent=2) + "\n"


def document() -> dict[str, Any]:
    """The document, as JSON values."""
    answers = {route.answered for route in ROUTES} | {Problem}
    _, schemas = msgspec.json.schema_components(
        sorted(answers, key=lambda kind: kind.__name__), ref_template=_REFERENCE
    )
    paths = {PREFIX + route.path: {"get": _query(route)} for route in ROUTES}
    paths |= {PREFIX + path: {"get": _event_stream(path, asked, summary)} for path, asked, summary in _EVENT_STREAMS}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stream_app",
            "version": __version__,
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": "Mass connectors, mavens and recruiters, topic by topic. Times are epoch ms. Questions "
            "about users on other workers are answered all the same.",
        },
        "servers": [{"url": "../..", "description": "as seen from this document, also below a path of a proxy"}],
        "security": [{"token": []}, {"cookie": []}, {}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "STREAM_APP_HTTP_TOKEN of the workers"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "stream_app"},
            },
        },
    }


def _query(route: Route) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": _reference(route.answered)}}
    if route.csv:
        content["text/csv"] = {"schema": {"type": "string"}}
    is_in_path = "{user_id}" in route.path
    is_of_user = route.path.startswith("/users")
    return {
        "operationId": _name(route.path),
        "summary": route.summary,
        "parameters": [*([_USER_ID] if is_in_path else []), *_parameters(route.asked)],
        "responses": {
            "200": {"description": route.summary, "content": content},
            **_problems(
                ({"404": "Nobody of that id is there."} if is_of_user else {})
                | ({"503": "Not now: ask again in a moment."} if is_of_user or route.path == "/flags" else {})
            ),
        },
    }


def _event_stream(path: str, asked: type[params.Params], summary: str) -> dict[str, Any]:
    return {
        "operationId": _name(path),
        "summary": summary,
        "parameters": [*_parameters(asked), *([_LAST_EVENT_ID] if path == "/flags/stream" else [])],
        "responses": {
            "200": {"description": summary, "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            **_problems(
                {
                    "404": "Nothing has been counted of the topic, and many wait for such topics.",
                    "503": "Too many different selections are looked at.",
                }
                if path == "/live"
                else {}
            ),
        },
    }


def _problems(more: dict[str, str]) -> dict[str, Any]:
    content = {PROBLEM: {"schema": _reference(Problem)}}
    return {status: {"description": why, "content": content} for status, why in {**_PROBLEMS, **more}.items()}


def _parameters(asked: type[params.Params]) -> Iterator[dict[str, Any]]:
    hints = get_type_hints(asked, include_extras=True)
    for field in msgspec.structs.fields(asked):
        (schema,), components = msgspec.json.schema_components([hints[field.name]], ref_template=_REFERENCE)
        schema = _inlined(schema, components)
        described = schema.pop("description", None)
        is_required = field.default is msgspec.NODEFAULT
        if not is_required and field.default not in ("", None, ()):
            schema["default"] = field.default
        yield {
            "name": field.name,
            "in": "query",
            "required": is_required,
            "schema": schema,
            **({"description": described} if described else {}),
        }


def _inlined(schema: Any, components: dict[str, Any]) -> Any:
    """The schema without references, and without null: a parameter that is absent is just that."""
    if isinstance(schema, list):
        return [_inlined(entry, components) for entry in schema if entry != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(components[schema["$ref"].rpartition("/")[2]], components) | {
            name: value for name, value in schema.items() if name != "$ref"
        }
    plain = {name: _inlined(value, components) for name, value in schema.items()}
    if len(options := plain.get("anyOf", ())) == 1:
        return options[0] | {name: value for name, value in plain.items() if name != "anyOf"}
    return plain


def _reference(kind: type[Answer]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _name(path: str) -> str:
    return path.strip("/").replace("/", "_").replace("{", "").replace("}", "")
