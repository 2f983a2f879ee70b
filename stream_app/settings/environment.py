"""Reads the settings from the environment and from the command line. Nothing else reads the environment."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from stream_app.settings.env_file import read_env_file
from stream_app.settings.kinds import Doc, is_duration, parse_duration_s, parse_pair
from stream_app.settings.schema import ENV_PREFIX, NAMES, SECRETS, SECURITY, Settings, SettingsError
from stream_app.settings.secret import Secret, SecretUrl

FILE_SUFFIX = "_FILE"
"""STREAM_APP_X_FILE names the file that holds the secret STREAM_APP_X."""

ENV_FILE = f"{ENV_PREFIX}ENV_FILE"
"""Names the env file, as --env-file does; no setting."""


def use_env_file(path: str) -> None:
    """Add the variables of an env file to the environment where it lacks them. Raises SettingsError."""
    for name, value in read_env_file(path).items():
        os.environ.setdefault(name, value)


def asked_log_format() -> str:
    """What the environment has for log_format, unchecked: for errors before there are settings."""
    return os.environ.get(environment_name("log_format"), "")


def environment_of_child(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child process: this one, with `variables` as its only settings.

    Settings go through the environment because everybody on the machine can see a command line.
    """
    return {**{name: text for name, text in os.environ.items() if not name.startswith(ENV_PREFIX)}, **variables}


def from_environment(given: Mapping[str, Any] | None = None) -> Settings:
    """The settings of this process; `given`, by name, wins over its environment. Raises SettingsError."""
    return load(os.environ, given)


def load(environ: Mapping[str, str], given: Mapping[str, Any] | None = None) -> Settings:
    """Settings from defaults, then `environ` (STREAM_APP_*), then `given` by name.

    Raises SettingsError that names the setting.
    """
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(ENV_PREFIX) or variable == ENV_FILE:
            continue
        name = variable.removeprefix(ENV_PREFIX).lower()
        if (secret := _secret_in_file(variable)) is not None:
            name, text = secret, _content(variable, text, environ)  # noqa: PLW2901 - as if the variable held it
        if name not in NAMES:
            like = get_close_matches(name, NAMES, 1)
            meant = f"did you mean {environment_name(like[0])}? " if like else ""
            raise SettingsError(f"{variable} is not a setting; {meant}see `stream-app settings` for all of them")
        values[name] = _parsed(name, text, variable)
    for name, value in (given or {}).items():
        values[name] = _parsed(name, value, f"--{name}") if isinstance(value, str) else value
    for name, value in values.items():
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError as error:
            if "`$." in str(error) or "`$[" in str(error):
                raise SettingsError(
                    f"{environment_name(name)}={value!r}: {_plain(error)}; {documentation()[name]}"
                ) from error
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_plain(error)) from error


def _secret_in_file(variable: str) -> str | None:
    """The secret setting X, if the variable is STREAM_APP_X_FILE."""
    name = variable.removeprefix(ENV_PREFIX).removesuffix(FILE_SUFFIX).lower()
    return name if variable.endswith(FILE_SUFFIX) and name in SECRETS else None


def _content(variable: str, path: str, environ: Mapping[str, str]) -> str:
    """The secret in a file, without the space around it. Raises SettingsError."""
    if (other := variable.removesuffix(FILE_SUFFIX)) in environ:
        raise SettingsError(f"{other} and {variable} are both set: set one of them")
    try:
        return Path(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{variable}={path!r}: the file cannot be read ({why})") from None


def _plain(error: Exception) -> str:
    return str(error).split(" - at `$")[0]


def _parsed(name: str, text: str, where: str) -> Any:
    """The value of a setting's text, in the form that msgspec converts."""
    default = getattr(Settings(), name)
    text = text.removeprefix("\ufeff").strip()
    if isinstance(default, Secret):
        return type(default)(text)
    try:
        if is_duration(name):
            return parse_duration_s(text)
        if isinstance(default, dict):
            return dict(parse_pair(item) for item in text.split(",") if item.strip())
        if isinstance(default, tuple):
            return tuple(item.strip() for item in text.split(",") if item.strip())
    except ValueError as error:
        raise SettingsError(f"{where}={text!r}: {error}; {documentation()[name]}") from error
    if name.endswith("_host"):
        return text.removeprefix("[").removesuffix("]")  # as an IPv6 address stands in a URL
    return next((choice for choice in _choices(name) if choice.lower() == text.lower()), text)


@cache
def _choices(name: str) -> tuple[str, ...]:
    """The texts that a setting accepts, if these are few: whether in capitals does not matter."""
    kind = get_type_hints(Settings)[name]
    return get_args(kind) if get_origin(kind) is Literal else ()


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
