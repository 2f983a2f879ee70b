"""The settings that `--employees` begins with: what is given wins over them, and the documents have them."""

from typing import Any

import pytest

from stream_app.demo.employees.defaults import EMPLOYEES
from stream_app.settings import Settings, environment_name, load
from stream_app.settings.text import setting_text
from tests.unit.docs.pages import DOCS, row, section

PAGE = (DOCS / "employees.md").read_text()


@pytest.mark.parametrize(
    ("environ", "given", "floor"),
    [
        ({}, {}, 20),
        ({"STREAM_APP_MIN_IMPRESSIONS": "300"}, {}, 300),
        ({"STREAM_APP_MIN_IMPRESSIONS": "300"}, {"min_impressions": "1000"}, 1000),
    ],
)
def test_a_variable_wins_over_them_and_a_flag_over_both(
    environ: dict[str, str], given: dict[str, Any], floor: int
) -> None:
    settings = load(environ, given, EMPLOYEES)
    assert (settings.min_impressions, settings.window_s) == (floor, 28 * 86_400)
    assert load(environ, given).window_s == Settings().window_s


@pytest.mark.parametrize("name", EMPLOYEES)
def test_each_is_in_the_table_with_its_value(name: str) -> None:
    _variable, value, _why = row(section(PAGE, "Settings for mail and chat"), environment_name(name))
    assert value == setting_text(name, getattr(Settings(**EMPLOYEES), name))


def test_their_evaluations_and_slots_are_those_of_the_defaults_28_times_as_long() -> None:
    mine, usual = Settings(**EMPLOYEES), Settings()
    assert mine.window_s == 28 * usual.window_s
    assert mine.step_s == mine.short_s / 12
