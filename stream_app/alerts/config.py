"""The alerts file: sinks and rules in YAML, read and checked. Errors name the sink or rule, and the field."""

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
from stream_app.extras import require_extra
from stream_app.settings.kinds import parse_duration_s
from stream_app.settings.references import MissingReferenceError, content, filled
from stream_app.settings.secret import Secret

T = TypeVar("T")
_KEY_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_NAME = r"^[a-z0-9][a-z0-9-]{0,39}$"


class AlertsFileError(ValueError):
    """The alerts file cannot be read, or is invalid; the message says where, and what to write."""


class _Sink(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """Where messages go. The URL is a secret; ${NAME} in it is taken from the environment."""

    url: SinkUrl = SinkUrl()
    url_file: str = ""
    give_up_after: str = "1d"
    """After so long, a message that the sink has not accepted goes to the undelivered topic."""

    def secrets(self) -> Iterator[Secret]:
        """The values that must never be shown."""
        yield self.url

    @property
    def give_up_ms(self) -> int:
        """How long a message is retried."""
        return round(parse_duration_s(self.give_up_after) * 1000)


class AppriseSink(_Sink, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="apprise"):
    """Any service that Apprise supports, by its URL: Slack, Teams, e-mail, PagerDuty."""


class WebhookSink(_Sink, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="webhook"):
    """An HTTP endpoint; requests are signed as Standard Webhooks specify."""

    secret: Secret = Secret()
    """whsec_…: 24 to 64 bytes in base64."""
    secret_file: str = ""
    private: bool = False
    """The endpoint is in a private network: http:// is allowed."""

    def secrets(self) -> Iterator[Secret]:
        """The values that must never be shown."""
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
    """The whole file. The first rule that matches a flag and names a sink decides what that sink gets, and when."""

    sinks: dict[str, Sink]
    rules: tuple[AlertRule, ...]
    max_age_ms: int = 24 * HOUR_MS
    """Older flags are not sent."""

    @property
    def secrets(self) -> list[Secret]:
        """The values that must never be shown, for Redaction."""
        return [secret for sink in self.sinks.values() for secret in sink.secrets()]

    def rule(self, name: str) -> AlertRule | None:
        """The rule of that name."""
        return next((rule for rule in self.rules if rule.name == name), None)


def signing_key(secret: Secret) -> bytes:
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


class _RawFile(Struct, forbid_unknown_fields=True):
    sinks: Annotated[dict[Annotated[str, Meta(pattern=_NAME)], Any], Meta(min_length=1)]
    rules: Annotated[list[Any], Meta(min_length=1)]
    max_age: str = "24h"


def load(path: str) -> AlertsFile:
    """Read and check the file. Raises AlertsFileError, and MissingExtraError if a package that it needs is missing."""
    if not path:
        raise AlertsFileError("there is no alerts file: set STREAM_APP_ALERTS_FILE, or give --alerts-file")
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise AlertsFileError(f"{path}: the file cannot be read ({error.strerror})") from None
    return parse(text, path)


def parse(text: bytes, path: str) -> AlertsFile:
    """Parse and check `text`; errors name `path`. Raises AlertsFileError and MissingExtraError."""
    require_extra("alerts", "PyYAML", "yaml")
    try:
        raw = msgspec.yaml.decode(text, type=_RawFile)
    except msgspec.DecodeError as error:
        raise AlertsFileError(f"{path}: {_plain_message(error)}") from None
    sinks = {name: _sink(name, value, path) for name, value in raw.sinks.items()}
    rules = tuple(_rule(number, value, path, sinks) for number, value in enumerate(raw.rules, 1))
    if duplicates := [name for name, count in Counter(rule.name for rule in rules).items() if count > 1]:
        raise AlertsFileError(f"{path}: two rules are called {duplicates[0]!r}: the state of a rule is stored by name")
    try:
        max_age_ms = round(parse_duration_s(raw.max_age) * 1000)
    except ValueError as error:
        raise AlertsFileError(f"{path}: max_age: {error}") from None
    return AlertsFile(sinks=sinks, rules=rules, max_age_ms=max_age_ms)


def _sink(name: str, raw: Any, path: str) -> Sink:
    where = f"{path}: sink {name}"
    sink: Sink = _convert(raw, Sink, where)
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
    """The sink with the contents of `url_file` and `secret_file`."""
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
        require_extra("alerts", "Apprise", "apprise")
        if not sink.url.scheme or "://" not in sink.url.reveal():
            raise ValueError("Apprise does not support this url: see https://github.com/caronc/apprise/wiki")
        return
    if sink.url.scheme not in {"http", "https"} or not sink.url.host:
        raise ValueError("url must begin with https:// (or http://) and a host")
    if not isinstance(sink, WebhookSink):
        return
    if sink.url.scheme == "http" and not sink.private:
        raise ValueError("url is http://: use https://, or set `private: true` for an endpoint in a private network")
    signing_key(sink.secret)


def _rule(number: int, raw: Any, path: str, sinks: Mapping[str, Sink]) -> AlertRule:
    name = raw.get("name") if isinstance(raw, dict) else None
    where = f"{path}: rule {name}" if isinstance(name, str) else f"{path}: rule number {number}"
    rule: AlertRule = _convert(raw, AlertRule, where)
    for sink in rule.sinks:
        if sink not in sinks:
            similar = get_close_matches(sink, sinks, 1)
            advice = f"did you mean {similar[0]}?" if similar else "define it under sinks"
            raise AlertsFileError(f"{where}: there is no sink {sink!r}; {advice}")
    return rule


def _convert(raw: Any, kind: Any, where: str) -> Any:
    try:
        return msgspec.convert(raw, kind, dec_hook=_secret)
    except (msgspec.ValidationError, MissingReferenceError) as error:
        raise AlertsFileError(f"{where}: {_plain_message(error)}") from None


def _secret(kind: type, text: Any) -> Any:
    if not isinstance(text, str):
        raise TypeError("Expected `str`")
    return kind(filled(text))


def _plain_message(error: Exception) -> str:
    """msgspec's message, with the field in front instead of its path behind."""
    what, at, field = str(error).partition(" - at `$")
    field = field.rstrip("`").lstrip(".")
    if field == "kind":
        return "kind is apprise, webhook or alertmanager"
    return f"{field}: {what}" if at and field else what
