"""The settings of the tracker that a migration makes: another number of partitions, and names of its own."""

import re

import msgspec

from stream_app.settings import Settings, environment_name
from stream_app.settings.secret import SecretUrl
from stream_app.settings.text import setting_text

_NEW_TOPICS = (
    *("posts_topic", "shares_topic", "retractions_topic", "flags_topic", "cuts_topic", "standings_topic"),
    *("curves_topic", "additions_topic", "credits_topic", "dead_letters_topic", "late_topic", "alerts_topic"),
)
"""The others, of erasures and of undelivered messages, have one partition and know no positions: they stay."""
_SUFFIX = re.compile(r"[.-]p\d+$")
_FLAGS_NOBODY = 2**62
"""Least users of a scope that flags somebody."""


def target_of(settings: Settings, partitions: int) -> Settings:
    """The settings to switch to. Names carry the number of partitions: influence.posts.p12, influence-p12."""
    topics = {name: f"{_base(getattr(settings, name))}.p{partitions}" for name in _NEW_TOPICS}
    return msgspec.structs.replace(
        settings, partitions=partitions, app_id=f"{_base(settings.app_id)}-p{partitions}", **topics
    )


def counting_only(target: Settings) -> Settings:
    """The same for workers that count, flag nobody and serve nobody."""
    return msgspec.structs.replace(
        target,
        min_users=_FLAGS_NOBODY,
        otlp_url=SecretUrl(""),
        redis_url=SecretUrl(""),
        redis_ca_file="",
        redis_cert_file="",
        redis_key_file="",
        redis_key_password=type(target.redis_key_password)(),
        http_host="127.0.0.1",
        http_port=0,
        http_advertised="",
        production=False,
    )


def changed_settings(before: Settings, after: Settings) -> dict[str, str]:
    """By variable: what has to be set to switch."""
    names = ("app_id", "partitions", *_NEW_TOPICS)
    return {
        environment_name(name): setting_text(name, getattr(after, name))
        for name in names
        if getattr(before, name) != getattr(after, name)
    }


def _base(name: str) -> str:
    return _SUFFIX.sub("", name)
