"""The demo as people run it: the right answers for a file, errors that help, and an end that leaves nothing behind."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stream_app.core.messages import OWN_ROLES, ROLES, Role
from stream_app.settings import NAMES, environment_name
from tests.naive import NaiveCut, naive_cut
from tests.waiting import eventually

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "data"
DEADLINE_S = 90.0
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BEGIN_MS = 1_475_625_600_000
"""2016-10-05T00:00Z."""

pytestmark = pytest.mark.timeout(120)


@contextmanager
def demo(folder: Path, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """`stream-app demo` in a process; everything that it writes for itself goes to a folder."""
    ours = {environment_name(name) for name in NAMES}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT), "STREAM_APP_HTTP_PORT": "0"}
    command = [sys.executable, "-m", "stream_app", "demo", *map(str, arguments)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, process_group=0)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finished(
    folder: Path, *arguments: object, status: int = 0, deadline_s: float = DEADLINE_S
) -> tuple[str, dict[str, Any]]:
    """What a demo prints and reports."""
    report = folder / "report.json"
    own = folder / "own"
    own.mkdir()
    with demo(own, *arguments, "--report", report) as process:
        output, errors = process.communicate(timeout=deadline_s)
    assert process.returncode == status, errors
    assert errors == ""
    assert list(own.glob("stream-app-demo-*")) == []
    found: dict[str, Any] = json.loads(report.read_text())
    return output, found


def event(number: int, user: int, ts_ms: int, kind: str = "post") -> dict[str, Any]:
    topics = ["Tea"] if user % 2 else ["Tea ", "Coffee"]
    audience = 1000 + 40 * user**2
    return {
        "event_id": number,
        "ts": ts_ms,
        "user_id": f"u{user}",
        "kind": kind,
        "topics": topics,
        "audience": audience,
    }


def a_day() -> list[dict[str, Any]]:
    """Events of 40 users, user n with n posts and every third with a share, in order of time over a day."""
    acts = [(user, kind) for user in range(40) for kind in ["post"] * user + ["share"] * (user % 3 == 0)]
    step_ms = (DAY_MS - HOUR_MS) // len(acts)
    order = sorted(range(len(acts)), key=lambda place: place * 7919 % len(acts))
    return [event(n, *acts[place][:1], BEGIN_MS + n * step_ms, acts[place][1]) for n, place in enumerate(order)]


def write(path: Path, events: list[dict[str, Any]]) -> Path:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)
    return path


def expected(events: list[dict[str, Any]], topic: str, role: Role) -> NaiveCut | None:
    values: dict[str, int] = {}
    for made in events:
        if topic == "*" or topic in [name.strip().lower() for name in made["topics"]]:
            worth = made["audience"] if role is Role.CONNECTOR else made["kind"] == "post"
            values[made["user_id"]] = values.get(made["user_id"], 0) + worth
    return naive_cut(values.values(), 0.8)


def wrong(report: dict[str, Any], events: list[dict[str, Any]]) -> list[str]:
    """The cuts of a report that are not those of the events."""
    found = {(cut["topic"], cut["role"]): cut for cut in report["cuts"]}
    problems = []
    for topic in ("*", "tea", "coffee"):
        for role in ROLES[:OWN_ROLES]:
            true, cut = expected(events, topic, role), found.pop((topic, role.value))
            assert true is not None
            pairs = [(name, cut[name], getattr(true, name)) for name in ("users", "total", "k", "threshold", "ties")]
            problems += [f"{topic} {role} {name}: {got} is not {want}" for name, got, want in pairs if got != want]
    return problems + [f"{place} is no topic" for place in found]


def test_a_file_is_tracked_exactly_and_reported(tmp_path: Path) -> None:
    events = a_day()
    repeated, unread = [*events, events[5]], [{"event_id": 1, "user_id": 7}]
    file = write(tmp_path / "day.jsonl.gz", repeated + unread)
    # Its cuts need 35 % of the users: of a third, the default, everybody entered only in passing, if at all.
    settings = ("--min-users", 10, "--tick", "200ms", "--diffuse-fraction", 0.5)
    output, report = finished(tmp_path, file, *settings)
    read = len(events) + 2
    counts = {"read": read, "applied": len(events), "duplicate": 1, "late": 0, "rejected": 1, "retracted": 0}
    assert report["events"] == counts
    assert wrong(report, events) == []
    assert report["settled"]
    assert report["watermark"] == max(made["ts"] for made in events)
    assert report["settings"]["min_users"] == 10
    assert report["seconds"] > 0
    assert set(report["flags"]) == {"emerging", "entered", "fading", "left"}
    assert report["flags"]["entered"] > 0
    assert f"{read:,} events in" in output
    assert "Where to look next" in output
    assert re.search(r"^tea +connector +40 ", output, re.MULTILINE)


def test_a_file_may_take_back_what_it_holds(tmp_path: Path) -> None:
    events = a_day()
    taken = events[::5]
    back = [{**made, "kind": "retract", "of": made["kind"]} for made in taken]
    file = write(tmp_path / "day.jsonl.gz", [*back[:20], *events, *back[20:], *back[:3]])
    output, report = finished(tmp_path, file, "--min-users", 10, "--tick", "200ms")
    assert wrong(report, [made for made in events if made not in taken]) == []
    counted = report["events"]
    assert (counted["read"], counted["duplicate"]) == (len(events) + len(back) + 3, 3)
    assert (counted["late"], counted["rejected"]) == (0, 0)
    assert report["settled"]
    assert bool(counted["retracted"]) == ("retracted before they came" in output)


def test_the_window_ends_at_until_and_later_events_are_left_out(tmp_path: Path) -> None:
    events = a_day()
    end_ms = BEGIN_MS + 12 * HOUR_MS
    inside = [made for made in events if end_ms - 6 * HOUR_MS <= made["ts"] < end_ms]
    file = write(tmp_path / "day.jsonl.gz", events)
    given = ("--until", "2016-10-05T12:00Z", "--window", "6h", "--short", "30m", "--tick", "200ms")
    _, report = finished(tmp_path, file, *given)
    assert wrong(report, inside) == []
    assert report["watermark"] == end_ms - 1
    assert report["events"]["read"] == sum(made["ts"] < end_ms for made in events)


def test_a_file_without_events_is_reported_and_not_waited_for(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("nothing\nin here\nis an event\n")
    output, report = finished(tmp_path, text, status=1)
    assert "Not one event could be counted" in output
    assert "not-json  3 events, the first is number 1: not a JSON object in UTF-8" in " ".join(output.split("\n"))
    assert "3 rejected" in output
    assert report["settled"] is True


def test_a_file_much_longer_than_the_window_has_no_late_event_at_full_speed(tmp_path: Path) -> None:
    count, windows = 30_000, 4
    step_ms = windows * HOUR_MS // count
    path = tmp_path / "long.csv"
    with path.open("w") as file:
        file.write("event_id,ts,user_id,kind,topics\n")
        for number in range(count):
            kind = "share" if number % 3 else "post"
            file.write(f"{number},{BEGIN_MS + number * step_ms},u{number % 997},{kind},tea|coffee\n")
    given = ("--workers", 2, "--window", "1h", "--pane", "1m", "--short", "10m", "--tick", "200ms")
    output, report = finished(tmp_path, path, *given)
    assert report["events"] == {
        "read": count,
        "applied": count,
        "duplicate": 0,
        "late": 0,
        "rejected": 0,
        "retracted": 0,
    }
    assert report["settled"]
    assert "are older than a window of 1h that ends with the newest" in " ".join(output.split())


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("until", ["the servers start", "the workers run"])
def test_ending_it_at_any_moment_leaves_no_process_and_no_file(tmp_path: Path, end: signal.Signals, until: str) -> None:
    with demo(tmp_path, "--users", 1000, "--workers", 2) as process:
        children = descendants_once(process.pid, lambda names: until_is(until, names))
        process.send_signal(end)
        start = time.monotonic()
        process.communicate(timeout=DEADLINE_S)
        assert time.monotonic() - start < 15
    assert exit_status(process.returncode) == 128 + end
    assert eventually(lambda: not any(map(is_running, children)), DEADLINE_S), list(map(command_line, children))
    assert list(tmp_path.glob("stream-app-demo-*")) == []


def exit_status(returncode: int) -> int:
    """The exit status of a process.

    Where Ctrl-C meets Python in an exec(), in the middle of an import say, Python ends by the signal although the
    interrupt was dealt with: to a shell that is the same.
    """
    return returncode if returncode >= 0 else 128 - returncode


def until_is(moment: str, names: list[str]) -> bool:
    """Whether a demo has come so far, by the command lines of its processes."""
    if moment == "the servers start":
        return any("tansu" in name for name in names)
    return sum("stream_app worker" in name for name in names) == 2


def descendants_once(pid: int, condition: Callable[[list[str]], bool]) -> list[int]:
    """The processes below a process, once the condition holds for their command lines."""
    found: list[int] = []

    def has_come() -> bool:
        found[:] = descendants(pid)
        return condition([command_line(pid) for pid in found])

    assert eventually(has_come, DEADLINE_S), "the demo did not come so far"
    return found


def descendants(pid: int) -> list[int]:
    """From /proc, which only Linux has."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return children + [grandchild for child in children for grandchild in descendants(child)]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def is_running(pid: int) -> bool:
    return bool(command_line(pid))


@pytest.mark.oracle
@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_a_recorded_stream_gives_the_reference_answers(tmp_path: Path) -> None:
    _, report = finished(tmp_path, SHARED / "conferences.jsonl.gz", "--window", "9000d", "--pane", "30d")
    found = {cut["role"]: cut for cut in report["cuts"] if cut["topic"] == "*"}
    figures = {
        role: tuple(cut[name] for name in ("users", "total", "k", "threshold", "ties")) for role, cut in found.items()
    }
    assert figures.pop("recruiter")
    assert figures == {"maven": (641, 1993, 260, 2, 112), "connector": (1258, 9_071_810, 47, 15_407, 1)}
    assert report["events"] == {
        "read": 19_727,
        "applied": 4444,
        "duplicate": 15_283,
        "late": 0,
        "rejected": 0,
        "retracted": 0,
    }
