"""All settings: one frozen, validated object, read from the environment. Only this package reads the environment."""

from stream_app.settings.environment import FILE_SUFFIX, environment_of_child, from_environment, load
from stream_app.settings.schema import (
    ENV_PREFIX,
    NAMES,
    SECRETS,
    SECURITY,
    Settings,
    SettingsError,
    documentation,
    environment_name,
    with_servers,
)

__all__ = [
    "ENV_PREFIX",
    "FILE_SUFFIX",
    "NAMES",
    "SECRETS",
    "SECURITY",
    "Settings",
    "SettingsError",
    "documentation",
    "environment_name",
    "environment_of_child",
    "from_environment",
    "load",
    "with_servers",
]
