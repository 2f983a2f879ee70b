"""Topics on a broker that learns of them late: Apache Kafka answers before all its nodes know them."""

from typing import Any

import pytest

from stream_app.kafka import topics
from stream_app.kafka.topics import TopicsError, create, require, topics_of
from stream_app.settings import Settings

SETTINGS = Settings(partitions=4)


class SlowBroker:
    """Creates topics at once and describes them only from the third request on."""

    def __init__(self, *, late: int = 3) -> None:
        self.created: dict[str, int] = {}
        self._silent = late - 1

    def list_topics(self) -> list[str]:
        return []

    def create_topics(self, new: list[Any]) -> None:
        self.created |= {topic.name: topic.num_partitions for topic in new}

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        if self._silent:
            self._silent -= 1
            return [{"name": name, "error_code": 3, "partitions": []} for name in names]
        return [{"name": name, "partitions": [{}] * self.created[name]} for name in names if name in self.created]

    def close(self) -> None: ...


def test_new_topics_are_checked_once_the_broker_knows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = SlowBroker()
    monkeypatch.setattr(topics, "_admin", lambda _settings: broker)
    assert [finding.problem for finding in create(SETTINGS)] == [""] * len(topics_of(SETTINGS))


def test_a_topic_that_never_appears_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "_admin", lambda _settings: SlowBroker(late=1_000_000))
    monkeypatch.setattr(topics, "_KNOWN_WITHIN_S", 0.2)
    for finding in create(SETTINGS):
        assert ("stream-app topics create" in finding.problem) != finding.topic.is_optional


def test_workers_run_without_the_topics_of_alerts_and_alerts_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = SlowBroker(late=1)
    broker.created = {topic.name: topic.partitions for topic in topics.needed_topics_of(SETTINGS)}
    monkeypatch.setattr(topics, "_admin", lambda _settings: broker)
    require(SETTINGS)
    with pytest.raises(TopicsError, match=rf"topic {SETTINGS.alerts_topic}: missing: create it with"):
        topics.require_for_alerts(SETTINGS)


def test_every_topic_that_is_not_as_required_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = SlowBroker(late=1)
    broker.created = {topic.name: 4 for topic in topics_of(SETTINGS)} | {SETTINGS.late_topic: 3}
    monkeypatch.setattr(topics, "_admin", lambda _settings: broker)
    with pytest.raises(TopicsError) as caught:
        require(SETTINGS)
    lines = str(caught.value).splitlines()
    assert lines[0] == "not as they should be:"
    assert f"  topic {SETTINGS.late_topic}: 3 partitions instead of 4" in str(caught.value)
    assert len(lines) == 5  # the three topics of one partition have 4, too


@pytest.mark.parametrize("name", [SETTINGS.erasures_topic, SETTINGS.alerts_topic])
def test_a_reset_keeps_the_erasures_and_the_alerts_that_were_sent(name: str) -> None:
    assert name in {topic.name for topic in topics_of(SETTINGS)}
    assert name not in {topic.name for topic in topics.state_topics_of(SETTINGS)}
