"""All settings: one frozen, validated object, read from the environment. Only this package reads the environment."""

from stream_app.settings.environment import (
    ENV_FILE,
    FILE_SUFFIX,
    asked_log_format,
    documentation,
    environment_name,
    environment_of_child,
    from_environment,
    load,
    use_env_file,
    with_servers,
)
from stream_app.settings.schema import (
    ENV_PREFIX,
    NAMES,
    SECRETS,
    SECURITY,
    Settings,
    SettingsError,
)

__all__ = [
    "ENV_FILE",
    "ENV_PREFIX",
    "FILE_SUFFIX",
    "NAMES",
    "SECRETS",
    "SECURITY",
    "Settings",
    "SettingsError",
    "asked_log_format",
    "documentation",
    "environment_name",
    "environment_of_child",
    "from_environment",
    "load",
    "use_env_file",
    "with_servers",
]
