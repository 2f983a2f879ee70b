"""A chance on every emerging flag, the same for who is emerging; how good the flags were, by HTTP and as metrics."""

import re

from stream_app.core.flags.flag_quality import WINDOWS
from stream_app.core.messages import Role
from tests.e2e.api.asking import asked, reply
from tests.e2e.api.stage import Stage

OF_ALL = {(role.value, window) for role in Role for window in WINDOWS}
GAUGE = re.compile(r'^influence_flag_warnings\{role="(\w+)",window="(\w+)"\} ', re.MULTILINE)


def test_emerging_flags_have_a_chance_and_others_none(where: str) -> None:
    flags = asked(where, "/flags", limit=500, type="emerging")["flags"]
    assert flags
    assert all(0 < flag["chance"] < 1 and flag["chance_flags"] >= 0 for flag in flags)
    assert {flag["chance_from"] for flag in flags} <= {"shipped", "own"}
    assert all(flag["chance"] is None for flag in asked(where, "/flags", limit=500, type="entered")["flags"])


def test_who_is_emerging_has_the_chance_of_the_flag(where: str) -> None:
    found = asked(where, "/influencers", order="emerging", limit=100, topic="phone")["influencers"]
    emerging = [one for one in found if one["standing"] == "emerging"]
    assert emerging
    for one in emerging:
        why = asked(where, "/users/why", id=one["user_id"], topic="phone")
        assert one["chance"] == why["place"]["flag"]["chance"] is not None
    assert {one["chance"] for one in found if one["standing"] != "emerging"} <= {None}


def test_every_worker_measures_the_flags_of_all(stage: Stage) -> None:
    answers = [asked(address, "/flag-quality") for address in stage.addresses]
    assert answers[0] == answers[1]
    assert {(one["role"], one["window"]) for one in answers[0]["qualities"]} == OF_ALL
    for address in stage.addresses:
        assert {*GAUGE.findall(reply(address, "/metrics").body.decode())} == OF_ALL
