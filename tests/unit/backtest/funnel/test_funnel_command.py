"""`stream-app funnel`: what it prints for people and programs, what it refuses, and the answers of SQL."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stream_app.cli import main

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
TROLLS = "troll-tweets-2016-10"
DAY_MS = 86_400_000
START_MS = 17_000 * DAY_MS


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["funnel", *arguments], env={})


@pytest.fixture(name="events")
def _events(tmp_path: Path) -> str:
    """Ann brings bob and cem on the first day; bob comes again after nine, and then again at once."""
    rows: list[dict[str, Any]] = [
        {"user_id": "ann", "topics": ["tea"], "audience": 10},
        {"user_id": "bob", "kind": "share", "author_id": "ann", "post_id": "p", "topics": ["tea"], "audience": 20},
        {"user_id": "cem", "kind": "share", "author_id": "zoe", "via_id": "ann", "post_id": "q", "audience": 30},
        {"user_id": "bob", "kind": "share", "author_id": "ann", "post_id": "p", "ts": START_MS + 9 * DAY_MS},
        {"user_id": "bob", "ts": START_MS + 9 * DAY_MS + 1},
    ]
    lines = [json.dumps({"event_id": place, "ts": START_MS + place} | row) for place, row in enumerate(rows)]
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join([*lines, lines[-1]]))
    return str(path)


def test_people_read_stages_that_add_up_and_what_they_do_not_mean(events: str) -> None:
    result = run(events)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "6 events read: 5 counted, 1 duplicate, 0 rejected." in text
    assert "4 entries = 3 new + 1 re-entered = 3 recruited + 1 self-started + 0 unknown." in text
    assert "2016-07-18 3 2 0.667" in text
    assert "Credit goes to the person named, not to the cause" in text
    assert "New means new to this data" in text


def test_a_cohort_whose_horizon_is_not_over_has_no_r_yet(events: str) -> None:
    assert "not yet" in run(events, "--until", "2016-07-19").output
    assert "not yet" not in run(events).output


def test_a_topic_has_its_own_funnel_however_it_is_spelled(events: str) -> None:
    text = " ".join(run(events, "--topic", "#Tea").output.split())
    assert "2 entries = 2 new + 0 re-entered = 1 recruited + 1 self-started + 0 unknown." in text


def test_a_topic_that_is_not_there_is_answered_with_those_that_are(events: str) -> None:
    result = run(events, "--topic", "coffee")
    assert result.exit_code == 0
    assert "Nobody was in topic coffee of population all. Most were in * (all), tea (all)." in result.output


def test_a_window_counts_its_own_time_and_what_came_before_decides_who_is_new(events: str) -> None:
    text = " ".join(run(events, "--window", "24h").output.split())
    assert "1 entry = 0 new + 1 re-entered = 1 recruited + 0 self-started + 0 unknown." in text


def test_programs_get_all_topics_and_the_same_in_a_report(events: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    result = run(events, "--gap", "24h", "--json", "--report", str(report))
    found = json.loads(result.output)
    assert found == json.loads(report.read_bytes())
    assert [(scope["topic"], scope["funnel"]["entries"]) for scope in found["scopes"]] == [("*", 4), ("tea", 2)]
    assert found["scopes"][0]["top_recruiters"] == [{"user_id": "ann", "recruits": 3}]


def test_where_every_event_is_rejected_the_reason_is_said(tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    path.write_text('{"event_id": 1, "user_id": "ann", "ts": 900000000000}\n')
    result = run(str(path))
    assert result.exit_code == 0
    assert "1 event read: 0 counted, 0 duplicate, 1 rejected." in result.output
    assert "before STREAM_APP_MIN_TS" in result.output


@pytest.mark.parametrize("span", ["0s", "1000000d", "soon"])
def test_a_span_that_is_none_is_refused(events: str, span: str) -> None:
    for option in ("--gap", "--horizon", "--window"):
        result = run(events, option, span)
        assert result.exit_code == 2, result.output
        assert option in result.output


ANSWERS = [
    ("conferences", 168, "*", (1766, 1736, 30, 1240, 526, 0, 1736, 337, 260, 0.7143), 89),
    ("conferences", 168, "nicar18", (412, 389, 23, 215, 197, 0, 389, 68, 58, 0.5527), 24),
    ("conferences", 24, "*", (2262, 1736, 526, 1525, 737, 0, 1736, 337, 284, 0.8785), 91),
    ("conferences", 24, "aslo2018", (523, 385, 138, 319, 204, 0, 385, 86, 73, 0.8286), 35),
    (TROLLS, 168, "*", (464, 420, 44, 5, 222, 237, 420, 83, 3, 0.0119), 2),
    (TROLLS, 24, "*", (1526, 420, 1106, 20, 1033, 473, 420, 83, 10, 0.0476), 6),
    (TROLLS, 24, "rejecteddebatetopics", (58, 48, 10, 1, 43, 14, 48, 11, 1, 0.0208), 1),
    ("enron-mail", 168, "*", (2390, 181, 2209, 0, 2390, 0, 181, 0, 0, 0.0), 0),
    ("enron-mail", 24, "*", (8112, 181, 7931, 0, 8112, 0, 181, 0, 0, 0.0), 0),
    ("enron-mail", 24, "calif_enron", (1161, 136, 1025, 0, 1161, 0, 136, 0, 0, 0.0), 0),
]
"""By file, gap in hours and topic: entries, new, re-entered, recruited, self-started, unknown, participants, advocates,
recruiters, K; recruiters who make 80 %. What `funnel.py FILE --gap HOURS --topics 4` prints, and the view `amplified`
that it leaves."""

TOP = {
    ("conferences", 24): (
        6_822_188,
        [("u50d30c7283", 348), ("u9928222f0d", 34), ("u8a7b810f74", 30), ("u47e6fe5c3b", 29), ("ucb2d969476", 27)],
        [("udf975c1f0e", 1_356_179, 28, 15, 8.52), ("u786352bf3c", 1_339_990, 15, 10, 6.82)],
        {"2018-06-11": (166, 112), "2018-06-16": (81, 76), "2018-06-20": (150, 32), "2018-03-07": (122, 25)},
    ),
    (TROLLS, 24): (
        6_886_616,
        [("ChrixMorgan", 5), ("TEN_GOP", 4), ("BabyJannyMeow", 3), ("DanaGeezus", 2), ("Baltimore0nline", 1)],
        [("ChrixMorgan", 711_576, 261, 46, 36.53), ("MaxDementiev", 708_316, 24, 9, 3.27)],
        {"2016-10-01": (108, 2), "2016-10-02": (59, 1), "2016-10-03": (49, 0), "2016-10-06": (47, 0)},
    ),
}
"""Of `*`: amplified in all, top recruiters, most amplified, and some cohorts: people and their recruits within 24 h."""


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="needs ../shared")
@pytest.mark.parametrize(("name", "gap_h"), sorted({answer[:2] for answer in ANSWERS}))
def test_the_funnel_of_recorded_streams_is_the_oracles(name: str, gap_h: int) -> None:
    result = run(str(DATA / f"{name}.jsonl.gz"), "--gap", f"{gap_h}h", "--min-ts", "1970-01-01", "--json")
    report = json.loads(result.output)
    assert report["read"] == report["applied"] + report["duplicate"] + report["rejected"]
    by_topic = {scope["topic"]: scope for scope in report["scopes"]}
    for *where, topic, stages, few in ANSWERS:
        if where == [name, gap_h]:
            cohorts, *found = reversed(by_topic[topic]["funnel"].values())
            assert (*reversed(found),)[:9] == stages[:9]
            assert by_topic[topic]["funnel"]["k"] == stages[9]
            assert by_topic[topic]["recruiters_80"] == few
            assert sum(cohort["people"] for cohort in cohorts) == stages[1]
    if (name, gap_h) in TOP:
        amplified, recruiters, most_amplified, some = TOP[name, gap_h]
        whole = by_topic["*"]
        assert whole["amplified"] == amplified
        assert [(*one.values(),) for one in whole["top_recruiters"]][:5] == recruiters
        assert [(*one.values(),) for one in whole["most_amplified"]][:2] == most_amplified
        by_day = {one["day"]: (one["people"], one["recruits"]) for one in whole["funnel"]["cohorts"]}
        assert some.items() <= by_day.items()
