"""Options of the commands: a flag for every setting, made from its documentation; times and speeds."""

import datetime as dt
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from stream_app.settings import (
    NAMES,
    SECRETS,
    Settings,
    SettingsError,
    documentation,
    environment_name,
    from_environment,
)
from stream_app.settings.kinds import parse_duration_s
from stream_app.settings.secret import SecretUrl
from stream_app.settings.text import setting_text

_FIRST_OF_SECTION = {
    "brokers": "Kafka",
    "production": "Security",
    "window_s": "Counting",
    "share": "Cuts and flags",
    "redis_url": "Serving",
    "alerts_file": "Alerts",
    "person_key": "Privacy",
}
_DEFAULTS = Settings()
_LEAST_DIGITS = 12
"""Of epoch ms, from 1973 on: fewer are a year, a date without its hyphens, or seconds."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _sections() -> dict[str, str]:
    sections, section = {}, ""
    for name in NAMES:
        section = _FIRST_OF_SECTION.get(name, section)
        sections[name] = section
    return sections


SECTION_OF = _sections()
"""The heading that each setting stands under."""
_URLS = ("redis_url", "otlp_url")
"""Secret only where they hold a password."""
WITHOUT_FLAG = SECRETS - {*_URLS}
"""Everybody on the machine can see a command line, and the shell keeps it in its history."""
ALL = [name for name in NAMES if name not in WITHOUT_FLAG]
KAFKA_NAMES = ("brokers", "app_id", *(name for name in NAMES if name.endswith("_topic")), "partitions", "replication")


def flag_of(name: str) -> str:
    """The flag of a setting, without _s because durations take any unit; empty for a secret."""
    return "" if name in WITHOUT_FLAG else "--" + name.removesuffix("_s").replace("_", "-")


class _SettingOption(click.Option):
    """A flag that gives a setting."""


class Command(click.Command):
    """A command whose help shows examples, its own options, then the flags of settings by section."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples and options."""
        write_examples(formatter, self._examples)
        params = [param for param in self.get_params(ctx) if param.get_help_record(ctx)]
        for section, group in groupby(sorted(params, key=_section_number), key=_section):
            records = [record for param in group if (record := param.get_help_record(ctx))]
            with formatter.section(section):
                formatter.write_dl(records)
        if any(isinstance(param, _SettingOption) for param in params):
            formatter.write_paragraph()
            formatter.write_text(
                "The flags of these sections are environment variables too: see `stream-app settings`."
            )


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """A section of examples, each in one line."""
    if not examples:
        return
    with formatter.section("Examples"):
        for example in examples:
            formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def _section(param: click.Parameter) -> str:
    return SECTION_OF[str(param.name)] if isinstance(param, _SettingOption) else "Options"


def _section_number(param: click.Parameter) -> int:
    return ["Options", *_FIRST_OF_SECTION.values()].index(_section(param))


def settings_options(
    *names: str, defaults: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command a flag for each of the settings `names`, and the Settings as its argument `settings`.

    The command line wins over the environment, and that over `defaults`, which depend on the command's other options.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:

        @wraps(command)
        def with_settings(**arguments: Any) -> Any:
            given = {name: text for name in names if (text := arguments.pop(name)) is not None}
            return command(settings=_loaded(given, defaults(arguments) if defaults else {}), **arguments)

        decorated: Callable[..., Any] = with_settings
        for name in sorted(names, key=NAMES.index, reverse=True):
            decorated = click.option(flag_of(name), name, cls=_SettingOption, metavar=_metavar(name), help=_help(name))(
                decorated
            )
        return decorated

    return decorate


def _loaded(given: dict[str, str], defaults: Mapping[str, Any]) -> Settings:
    for name in _URLS:
        if SecretUrl(given.get(name, "")).has_password:
            variable = environment_name(name)
            raise SettingsError(
                f"{flag_of(name)} holds a password, which everybody on this machine can see on a command line: "
                f"give it as {variable}, or in the file that {variable}_FILE names"
            )
    try:
        return from_environment(given, defaults)
    except SettingsError as error:
        text = str(error)
        for name in given:  # the message names the flag, because that is what was given
            text = text.replace(f"--{name}=", f"{flag_of(name)}=").replace(
                f"{environment_name(name)}=", f"{flag_of(name)}="
            )
        raise SettingsError(text) from error


def _metavar(name: str) -> str:
    default = getattr(_DEFAULTS, name)
    if name.endswith("_s"):
        return "DURATION"
    kinds = {bool: "true|false", int: "N", float: "NUMBER", dict: "NAME=VALUE,…", tuple: "NAME,…"}
    return kinds.get(type(default), "TEXT")


def _help(name: str) -> str:
    default = setting_text(name, getattr(_DEFAULTS, name)) or "none"
    return f"{documentation()[name]}  [{default}]"


class ReportFile(click.Path):
    """A file to be written at the end: a wrong path is an error at the start."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Its path."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            self.fail(f"there is no directory {path.parent}", param, ctx)
        return path


class EventFile(click.Path):
    """A file, a pipe, or - for the standard input."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


class TimeOption(click.ParamType):
    """A time, as epoch ms: RFC 3339 with a zone, a date (midnight UTC), or epoch ms."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Epoch ms."""
        text = str(value).strip()
        if (digits := text.removeprefix("-")).isdigit():
            if len(digits) < _LEAST_DIGITS:
                self.fail(
                    f"{text!r} is no time: write 2016-10-06T00:00Z, a date like 2016-10-06, or epoch ms, which have "
                    f"{_LEAST_DIGITS} digits or more",
                    param,
                    ctx,
                )
            return int(text)
        try:
            when = dt.datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is no time: write 2016-10-06T00:00Z, a date, or epoch ms", param, ctx)
        if len(text) <= len("2016-10-06"):
            when = when.replace(tzinfo=dt.UTC)
        if when.tzinfo is None:
            self.fail(f"{text!r} has no zone: add Z for UTC, or an offset like +02:00", param, ctx)
        return (when - _EPOCH) // dt.timedelta(milliseconds=1)


class Duration(click.ParamType):
    """A length of time, in seconds: 90s, 15m, 1h30m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        try:
            return parse_duration_s(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Speed(click.ParamType):
    """Event time per wall time; infinite for as fast as possible."""

    name = "speed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """A number above zero."""
        text = str(value).strip().lower()
        try:
            speed = math.inf if text == "max" else float(text.removesuffix("x"))
        except ValueError:
            speed = 0.0
        if not speed > 0:
            self.fail(f"{value!r} is no speed: write 60 for 60 times real time, or max", param, ctx)
        return speed
