"""Every setting is one that the workers of a group must agree on, or one in which they may differ."""

import msgspec
import pytest

from stream_app.settings import NAMES, SECRETS, SECURITY, Settings
from stream_app.settings.schema import RULING
from stream_app.settings.text import ruling_texts

MAY_DIFFER = {
    "how a worker reaches others, and how it shares its work": {
        *("brokers", "replication", "session_timeout_s", "allow_mixed", "batch_events", "tick_s", "stall_s"),
    },
    "how large what it writes is, and how often": {"max_message_bytes", "dead_letters_per_s"},
    "what it serves": {name for name in NAMES if name.startswith(("http_", "peer_", "redis_", "log_", "otlp_"))}
    | {"metric_topics", "audit", "audit_topic"},
    "what is not a worker's": {name for name in NAMES if name.startswith("alerts_")} | {"undelivered_topic"},
    "secrets, which are not announced": SECRETS,
    "how it is let in": {*SECURITY},
}


def test_every_setting_rules_or_may_differ() -> None:
    free = set().union(*MAY_DIFFER.values())
    assert free | RULING == set(NAMES)
    assert not free & RULING


@pytest.mark.parametrize(
    "name", ["app_id", "curves_topic", "standings_topic", "erasures_topic", "flags_topic", "dead_letters_topic"]
)
def test_workers_agree_on_the_group_and_on_every_topic_that_they_share(name: str) -> None:
    other = msgspec.structs.replace(Settings(), **{name: "another"})
    assert ruling_texts(other)[name] == "another"
    assert other.version != Settings().version


def test_workers_agree_on_which_batches_are_rejected() -> None:
    other = msgspec.structs.replace(Settings(), max_unpacked_bytes=1_000_000)
    assert ruling_texts(other).items() - ruling_texts(Settings()).items() == {("max_unpacked_bytes", "1000000")}
