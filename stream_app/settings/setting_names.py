"""What settings are called and mean, and settings that others are derived from."""

from typing import get_type_hints

import msgspec

from stream_app.settings.kinds import Doc
from stream_app.settings.schema import ENV_PREFIX, NAMES, SECURITY, Settings
from stream_app.settings.secret import SecretUrl


def with_servers(settings: Settings, brokers: str, redis_url: str) -> Settings:
    """The same settings for the embedded servers, which have neither TLS nor users."""
    plain = {name: getattr(Settings(), name) for name in SECURITY}
    return msgspec.structs.replace(settings, brokers=brokers, redis_url=SecretUrl(redis_url), **plain)


def documentation() -> dict[str, str]:
    """The meaning of each setting, by name."""
    hints = get_type_hints(Settings, include_extras=True)
    return {name: next(note for note in hints[name].__metadata__ if isinstance(note, Doc)).text for name in NAMES}


def environment_name(name: str) -> str:
    """The variable of a setting; durations are given there in seconds or with a unit."""
    return ENV_PREFIX + name.upper()
