"""The OpenAPI document is valid, complete and true: schemathesis sends what it allows, and what it forbids."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, settings
from openapi_spec_validator import OpenAPIV31SpecValidator

from stream_app.serving.api.openapi import document, text
from tests.e2e.api.asking import asked, every_page
from tests.e2e.api.parts import app_of
from tests.e2e.api.stage import HOSTILE, Stage

ROOT = Path(__file__).parents[3]
PEERS_ANSWER = ("leaders", "places", "recruits", "scopes", "funnels")
UNDESCRIBED = {
    *(("POST", path) for path in ("/api/v1/session", *(f"/api/v1/peers/{asked}" for asked in PEERS_ANSWER))),
    *(("DELETE", "/api/v1/session"), ("GET", "/api/v1/openapi.json")),
}
"""What browsers and other workers ask."""
STREAMS = "(/flags/stream|/live)$"
"""They never end."""
USERS = ("riser-01", "u00001", *HOSTILE)

DESCRIBED = document()
SCHEMA = schemathesis.openapi.from_dict(DESCRIBED).exclude(path_regex=STREAMS)

pytestmark = pytest.mark.timeout(150)


def test_the_document_is_one_of_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(DESCRIBED).validate()


def test_the_file_is_what_is_written_from_the_code_and_what_a_worker_serves(stage: Stage) -> None:
    kept = (ROOT / "schemas" / "openapi.json").read_text()
    assert kept == text()
    for where in stage.addresses:
        assert asked(where, "/openapi.json") == json.loads(kept)


def test_the_document_describes_every_route_and_no_other() -> None:
    served = {
        (route.method, _path(route))
        for route in app_of().router.routes()
        if _path(route).startswith("/api/v1") and route.method != "HEAD"
    }
    described = {(method.upper(), path) for path, methods in DESCRIBED["paths"].items() for method in methods}
    assert served - UNDESCRIBED == described
    assert served >= UNDESCRIBED


@SCHEMA.parametrize()
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_a_worker_does_what_the_document_says(case: schemathesis.Case[Any], stage: Stage) -> None:
    case.call_and_validate(base_url=f"http://{stage.addresses[0]}", timeout=20)


def test_answers_about_users_who_are_there_are_as_described(stage: Stage, subtests: pytest.Subtests) -> None:
    for path in [f"/api/v1/users{user}{what}" for user in ("", "/{user_id}") for what in ("", "/why", "/recruits")]:
        is_in_path = "{" in path
        for user in USERS:
            if is_in_path and user in {".", ".."}:
                continue  # which is something else in a path
            with subtests.test(path=path, user=user):
                population = asked(stage.addresses[0], "/users", id=user)["places"][0]["population"]
                query = {"population": population} if path.endswith(("why", "recruits")) else {}
                if not is_in_path:
                    query["id"] = user
                given = {"user_id": quote(user, safe="")} if is_in_path else {}
                case = SCHEMA[path]["GET"].Case(path_parameters=given, query=query)
                response = case.call(base_url=f"http://{stage.addresses[1]}", timeout=20)
                assert response.status_code == 200
                case.validate_response(response)


@pytest.mark.parametrize(
    ("path", "rows"),
    [("/topics", "topics"), ("/cuts", "cuts"), ("/influencers", "influencers")],
)
def test_every_page_of_a_list_is_as_described(stage: Stage, path: str, rows: str) -> None:
    where = stage.addresses[0]
    total = len(every_page(where, path, rows, 100))
    for offset in range(0, total, 100):
        case = SCHEMA[f"/api/v1{path}"]["GET"].Case(query={"limit": 100, "offset": offset})
        case.validate_response(case.call(base_url=f"http://{where}", timeout=20))


def _path(route: web.AbstractRoute) -> str:
    """As the document writes it."""
    info: Any = route.resource.get_info() if route.resource else {}
    return str(info.get("path") or info.get("formatter", ""))
