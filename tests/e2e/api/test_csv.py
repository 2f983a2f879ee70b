"""Lists as CSV equal those in JSON, and no cell is one that a spreadsheet would execute."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from stream_app.core.readable import readable
from stream_app.core.signals.facts import Fact, said
from tests.e2e.api.asking import asked, reply, url
from tests.e2e.api.stage import FRIENDS, HOSTILE, Stage

pytestmark = pytest.mark.timeout(150)

EXECUTED = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - the full width is the point
LISTS = [
    ("/topics", "topics", {"limit": 500}),
    ("/cuts", "cuts", {"limit": 500}),
    ("/cuts/history", "moments", {}),
    ("/influencers", "influencers", {"limit": 100}),
    ("/influencers", "influencers", {"population": FRIENDS, "topic": "phone"}),
    ("/flags", "flags", {"limit": 100}),
]


def rows_of(where: str, path: str, **query: Any) -> list[list[str]]:
    got = reply(where, url(path, format="csv", **query))
    assert (got.status, got.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    name = path.strip("/").replace("/", "-")
    assert got.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
    assert got.headers["cache-control"] == "no-store"
    return list(csv.reader(io.StringIO(got.body.decode(), newline="")))


def flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The cells of a row; what is in a field of its own has a name with an underscore."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}_")
        else:
            yield prefix + name, value


def says(cell: str, value: Any) -> bool:
    """Whether the cell says the value."""
    match value:
        case None:
            return cell == ""
        case bool():
            return cell == str(value).lower()
        case int() | float():
            return float(cell) == value
        case list():
            facts = [said(msgspec.convert(one, Fact)) for one in value if isinstance(one, dict)]
            return cell == "; ".join(facts) if facts else cell.split() == [str(one) for one in value]
    shown = readable(str(value))
    return cell in {shown, f"'{shown}"}


@pytest.mark.parametrize(("path", "field", "query"), LISTS)
def test_header_and_rows_are_those_of_the_json(where: str, path: str, field: str, query: dict[str, Any]) -> None:
    header, *rows = rows_of(where, path, **query)
    answer = asked(where, path, **query)[field]
    assert len(rows) == len(answer) > 0
    assert len(header) == len(set(header))
    for cells, row in zip(rows, answer, strict=True):
        values = dict(flat(row))
        absent = {name for name, value in row.items() if value is None}
        for name, cell in zip(header, cells, strict=True):
            if name in values:
                assert says(cell, values[name]), (name, cell, values[name])
            else:
                assert cell == ""
                assert name.split("_")[0] in absent
        assert {name for name in values if name not in header} <= absent


def test_the_header_is_there_where_no_row_is(where: str) -> None:
    header, *rows = rows_of(where, "/influencers", topic="nothing")
    assert header[:3] == ["user_id", "rank", "value"]
    assert rows == []


@pytest.mark.parametrize(("path", "column"), [("/influencers", "user_id"), ("/topics", "topic"), ("/cuts", "topic")])
def test_names_that_would_be_executed_are_neutralised_and_read_back(
    stage: Stage, where: str, path: str, column: str
) -> None:
    query = {"population": FRIENDS, "limit": 200} | ({"topic": "*"} if path == "/influencers" else {})
    header, *rows = rows_of(where, path, **query)
    place = header.index(column)
    for row in rows:
        for cell in row:
            assert not cell.startswith(EXECUTED) or _is_number(cell)
    found = {row[place].removeprefix("'") if row[place][1:2] in EXECUTED else row[place] for row in rows}
    wanted = (
        set(HOSTILE) if column == "user_id" else {topic for name, topic in stage.expected.scopes if name == FRIENDS}
    )
    wanted = set(map(readable, wanted))
    assert {name for name in wanted if name.startswith(EXECUTED)} <= {name.removeprefix("'") for name in found}
    assert wanted <= found


def test_no_separator_begins_a_cell_in_the_middle_of_a_name(where: str) -> None:
    """Where the list separator of a country is ; or tab the file is taken apart there, but not within quotes."""
    got = reply(where, url("/influencers", format="csv", population=FRIENDS, topic="*", limit=200))
    for separator in (";", "\t"):
        rows = csv.reader(io.StringIO(got.body.decode(), newline=""), delimiter=separator)
        assert [cell for row in rows for cell in row if cell.startswith(EXECUTED)] == []


def _is_number(cell: str) -> bool:
    try:
        return bool(float(cell)) or True
    except ValueError:
        return False
