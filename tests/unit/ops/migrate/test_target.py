"""The settings that a migration switches to, and those of the workers that count for it."""

from stream_app.ops.migrate.target import changed_settings, counting_only, target_of
from stream_app.settings import Settings, load
from stream_app.settings.secret import Secret, SecretUrl
from stream_app.settings.text import as_environment

ERASURES = "erasures_topic"


def test_the_names_carry_the_number() -> None:
    target = target_of(Settings(), 12)
    assert (target.partitions, target.app_id, target.posts_topic) == (12, "influence-p12", "influence.posts.p12")
    assert target.erasures_topic == Settings().erasures_topic


def test_a_second_migration_replaces_the_number() -> None:
    assert target_of(target_of(Settings(), 12), 24) == target_of(Settings(), 24)


def test_what_has_to_be_set_is_all_that_differs() -> None:
    before = Settings(brokers="kafka:9092", window_s=7200.0, pane_s=900.0)
    after = target_of(before, 12)
    assert load({**as_environment(before), **changed_settings(before, after)}) == after


def test_the_workers_that_count_serve_nobody_and_keep_what_decides_the_counts() -> None:
    target = target_of(
        Settings(
            redis_url=SecretUrl("rediss://cache/0"),
            redis_ca_file="ca.pem",
            otlp_url=SecretUrl("http://otel:4318/v1/metrics"),
            http_host="0.0.0.0",  # noqa: S104 - is replaced
            http_token=Secret("planted-token-long-enough"),
            production=True,
            channel_view_rates={"email": 0.4},
        ),
        12,
    )
    counting = counting_only(target)
    assert load(as_environment(counting)) == counting
    assert (counting.http_host, counting.http_port, str(counting.redis_url)) == ("127.0.0.1", 0, "")
    assert not counting.otlp_url
    kept = ("app_id", "partitions", "posts_topic", "window_s", "pane_s", "channel_view_rates", "share", ERASURES)
    assert {name: getattr(counting, name) for name in kept} == {name: getattr(target, name) for name in kept}
    assert counting.min_users > 10**18
