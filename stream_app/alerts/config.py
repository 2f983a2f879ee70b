"""The alerts file: sinks and rules in YAML, read and checked; what is wrong is told with its place."""

import base64
import binascii
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from stream_app.alerts.rules import HOUR_MS, AlertRule
from stream_app.alerts.sinks.urls import SinkUrl
from stream_app.settings.kinds import parse_duration_s
from stream_app.settings.references import MissingReferenceError, content, filled
from stream_app.settings.secret import Secret

T = TypeVar("T")
_KEY_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_NAME = r"^[a-z0-9][a-z0-9-]{0,39}$"


class AlertsFileError(ValueError):
    """The alerts file cannot be read or says something wrong; the message says where, and what to write."""


class _Sink(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """A place that messages go to. Its URL is a secret: ${NAME} in it is taken from the environment."""

    url: SinkUrl = SinkUrl()
    url_file: str = ""
    give_up_after: str = "1d"
    """A message that the sink has not taken for so long goes to the undelivered ones."""

    def secrets(self) -> Iterator[Secret]:
        """What must never be seen."""
        yield self.url

    @property
    def give_up_ms(self) -> int:
        """How long a message is tried."""
        return round(parse_duration_s(self.give_up_after) * 1000)


class AppriseSink(_Sink, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="apprise"):
    """Anything that Apprise knows, by its URL: Slack, Teams, e-mail, PagerDuty."""


class WebhookSink(_Sink, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="webhook"):
    """An HTTP receiver; what it gets is signed as Standard Webhooks say."""

    secret: Secret = Secret()
    """whsec_…: 24 to 64 bytes in base64."""
    secret_file: str = ""
    private: bool = False
    """It may be at a private address, and be spoken to without TLS."""

    def secrets(self) -> Iterator[Secret]:
        """What must never be seen."""
        yield from (self.url, self.secret)


class AlertmanagerSink(_Sink, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="alertmanager"):
    """An Alertmanager, by its address: http://alertmanager:9093."""

    lasts: str = "1h"
    """How long an alert fires."""

    @property
    def lasts_ms(self) -> int:
        """How long an alert fires."""
        return round(parse_duration_s(self.lasts) * 1000)


Sink = AppriseSink | WebhookSink | AlertmanagerSink


class AlertsFile(Struct, frozen=True, kw_only=True):
    """All of it. The first rule that fits a flag and names a sink decides what that sink gets of it, and when."""

    sinks: dict[str, Sink]
    rules: tuple[AlertRule, ...]
    max_age_ms: int = 24 * HOUR_MS
    """Flags found longer ago are not sent."""

    @property
    def secrets(self) -> list[Secret]:
        """What must never be seen: for Redaction."""
        return [secret for sink in self.sinks.values() for secret in sink.secrets()]

    def rule(self, name: str) -> AlertRule | None:
        """The rule of that name."""
        return next((rule for rule in self.rules if rule.name == name), None)


def key_of(secret: Secret) -> bytes:
    """The key in a secret of Standard Webhooks. Raises ValueError."""
    try:
        key = base64.b64decode(secret.reveal().removeprefix(_KEY_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if len(key) not in _KEY_BYTES:
        raise ValueError(
            f"secret is not {_KEY_PREFIX} and 24 to 64 bytes in base64: make one with "
            f"`echo {_KEY_PREFIX}$(openssl rand -base64 32)`"
        )
    return key


class _Written(Struct, forbid_unknown_fields=True):
    sinks: Annotated[dict[Annotated[str, Meta(pattern=_NAME)], Any], Meta(min_length=1)]
    rules: Annotated[list[Any], Meta(min_length=1)]
    max_age: str = "24h"


def load(path: str) -> AlertsFile:
    """What the file at `path` says. Raises AlertsFileError."""
    if not path:
        raise AlertsFileError("no alerts file is named: set STREAM_APP_ALERTS_FILE, or give --alerts-file")
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise AlertsFileError(f"{path}: the file cannot be read ({error.strerror})") from None
    return parsed(text, path)


def parsed(text: bytes, path: str) -> AlertsFile:
    """What `text` says; `path` is told in errors. Raises AlertsFileError."""
    try:
        written = msgspec.yaml.decode(text, type=_Written)
    except msgspec.DecodeError as error:
        raise AlertsFileError(f"{path}: {_plain(error)}") from None
    sinks = {name: _sink(name, given, path) for name, given in written.sinks.items()}
    rules = tuple(_rule(number, given, path, sinks) for number, given in enumerate(written.rules, 1))
    if twice := [name for name, count in Counter(rule.name for rule in rules).items() if count > 1]:
        raise AlertsFileError(f"{path}: two rules are called {twice[0]!r}: what they have sent is kept by name")
    try:
        max_age_ms = round(parse_duration_s(written.max_age) * 1000)
    except ValueError as error:
        raise AlertsFileError(f"{path}: max_age: {error}") from None
    return AlertsFile(sinks=sinks, rules=rules, max_age_ms=max_age_ms)


def _sink(name: str, given: Any, path: str) -> Sink:
    where = f"{path}: sink {name}"
    sink: Sink = _converted(given, Sink, where)
    try:
        sink = _with_files(sink)
        parse_duration_s(sink.give_up_after)
        if isinstance(sink, AlertmanagerSink):
            parse_duration_s(sink.lasts)
        _check(sink)
    except (ValueError, MissingReferenceError) as error:
        raise AlertsFileError(f"{where}: {error}") from None
    return sink


def _with_files(sink: Sink) -> Sink:
    """The same with the secrets that it names files of."""
    names = ("url", "secret") if isinstance(sink, WebhookSink) else ("url",)
    for name in names:
        file, kind = getattr(sink, f"{name}_file"), type(getattr(sink, name))
        if bool(file) == bool(getattr(sink, name)):
            raise ValueError(f"give either {name} or {name}_file")
        if file:
            sink = msgspec.structs.replace(sink, **{name: kind(content(file))})
    return sink


def _check(sink: Sink) -> None:
    if isinstance(sink, AppriseSink):
        if not sink.url.scheme or "://" not in sink.url.reveal():
            raise ValueError("url is none that Apprise knows: see https://github.com/caronc/apprise/wiki")
        return
    if sink.url.scheme not in {"http", "https"} or not sink.url.host:
        raise ValueError("url does not begin with https:// (or http://) and a host")
    if not isinstance(sink, WebhookSink):
        return
    if sink.url.scheme == "http" and not sink.private:
        raise ValueError("url is http://: use https://, or say `private: true` for a receiver of your own network")
    key_of(sink.secret)


def _rule(number: int, given: Any, path: str, sinks: Mapping[str, Sink]) -> AlertRule:
    name = given.get("name") if isinstance(given, dict) else None
    where = f"{path}: rule {name}" if isinstance(name, str) else f"{path}: rule number {number}"
    rule: AlertRule = _converted(given, AlertRule, where)
    for sink in rule.sinks:
        if sink not in sinks:
            like = get_close_matches(sink, sinks, 1)
            raise AlertsFileError(
                f"{where}: there is no sink {sink!r}; {f'did you mean {like[0]}?' if like else 'define it under sinks'}"
            )
    return rule


def _converted(given: Any, kind: Any, where: str) -> Any:
    try:
        return msgspec.convert(given, kind, dec_hook=_secret)
    except (msgspec.ValidationError, MissingReferenceError) as error:
        raise AlertsFileError(f"{where}: {_plain(error)}") from None


def _secret(kind: type, text: Any) -> Any:
    if not isinstance(text, str):
        raise TypeError("Expected `str`")
    return kind(filled(text))


def _plain(error: Exception) -> str:
    """msgspec's words, with the field in the place of its path."""
    what, at, field = str(error).partition(" - at `$")
    field = field.rstrip("`").lstrip(".")
    if field == "kind":
        return "kind is apprise, webhook or alertmanager"
    return f"{field}: {what}" if at and field else what
