"""What a worker says when it does not join the others, and what the digest of settings holds."""

import msgspec

from stream_app.core.group.members import Members
from stream_app.engine.ownership.admission import refusal
from stream_app.settings import SECRETS, Settings
from stream_app.settings.schema import RULING
from stream_app.settings.secret import Secret
from stream_app.settings.text import ruling_texts
from tests.unit.core.group.test_members import said


def test_a_refusal_names_both_workers_every_setting_with_both_values_and_what_to_do() -> None:
    ours = Settings(window_s=3600.0 * 12, population_sizes={"b": 2, "a": 1})
    theirs = Settings(population_sizes={"a": 1, "b": 2}, min_posts=9)
    members = Members("me", ruling_texts(ours))
    members.hear(said("them", ruling_texts(theirs)), "them", 5, now_s=0)
    (other,) = members.live(0)
    why = refusal(members, other, "here:1")
    for words in (
        "host:them (release",
        "here:1",
        "WINDOW_S is 12h here and 24h there",
        "MIN_POSTS is 5 here and 9 there",
    ):
        assert words in why
    for words in ("STREAM_APP_ALLOW_MIXED=true", "stop all workers"):
        assert words in why
    assert "POPULATION_SIZES" not in why, "the order means nothing"


def test_a_release_that_writes_what_this_one_cannot_read_is_not_joined() -> None:
    members = Members("me", {})
    members.hear(msgspec.structs.replace(said("them", {}), format=99, release="9.0"), "them", 5, now_s=0)
    (other,) = members.live(0)
    assert "release of the others" in refusal(members, other, "here:1")


def test_no_secret_is_part_of_what_workers_say_of_their_settings() -> None:
    assert not RULING & SECRETS
    assert Settings(person_key=Secret("x" * 20)).version == Settings(person_key=Secret("y" * 20)).version
    assert Settings(pseudonyms=False).version != Settings(partitioner="any").version
