"""The URL of Redis: what no client can be made of is refused at the start, by the name of the setting."""

import pytest

from stream_app.settings import SettingsError, load

PASSWORD = "planted-Pa55"


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache:6379/0",
        "redis://cache",
        "redis:///1",
        "rediss://ann:p%40ss@cache:6380/0?ssl_cert_reqs=none",
        "redis://cache/0?db=3&protocol=3&client_name=board&health_check_interval=30",
        "unix:///run/redis.sock?db=1",
        "redis://[::1]:6379/0",
        "",
    ],
)
def test_what_redis_understands_is_taken(url: str) -> None:
    assert load({"STREAM_APP_REDIS_URL": url}).redis_url.reveal() == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://cache:6379/0?ssl=true", "begin it with rediss://"),
        ("redis://cache:6379/0?ssl_cert_reqs=none", "begin it with rediss://"),
        ("redis://cache:6379/0?foo=1", "foo after the question mark"),
        ("rediss://cache:6379/0?ssl_cert_reqs=maybe", "ssl_cert_reqs"),
        ("redis://cache:6379/0?db=one", "db"),
        ("redis://cache:6379/0?protocol=9", "protocol"),
        ("redis://cache:6379/zero", "cannot be read"),
        ("redis://cache:port/0", "cannot be read"),
        ("redis://cache:99999/0", "cannot be read"),
        ("redis://[::1/0", "cannot be read"),
        ("http://cache:6379/0", "cannot be read"),
        ("cache:6379", "cannot be read"),
        (f"redis://ann:{PASSWORD}/x@cache/0", "cannot be read"),
        (f"redis://ann:x?{PASSWORD}=1@cache/0", "cannot be read"),
        (f"redis://cache/0?{PASSWORD}", "an option after the question mark"),
    ],
)
def test_everything_else_is_a_sentence_with_the_name_of_the_setting(url: str, message: str) -> None:
    with pytest.raises(SettingsError, match=r"STREAM_APP_REDIS_URL") as failed:
        load({"STREAM_APP_REDIS_URL": url})
    assert message in str(failed.value)
    assert PASSWORD not in str(failed.value)
