"""All settings: one frozen, validated object. The only reader of the environment."""

import hashlib
import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from stream_app.settings.checks import check_security
from stream_app.settings.kinds import Count, Doc, Fraction, Port, Positive, Rate, parse_duration_s, parse_pair
from stream_app.settings.secret import Secret, SecretUrl

ENV_PREFIX = "STREAM_APP_"
FILE_SUFFIX = "_FILE"
"""STREAM_APP_X_FILE names the file that holds the secret STREAM_APP_X."""

MOST_METRIC_TOPICS = 50
LEAST_KEY = 16


class SettingsError(ValueError):
    """A setting is wrong; the message names it and says what it takes."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting: its unit in its name, its meaning in its annotation. Durations take text such as 15m or 24h."""

    # Kafka
    brokers: Annotated[str, Doc("Kafka bootstrap servers, host:port, comma separated")] = "127.0.0.1:9092"
    app_id: Annotated[str, Doc("consumer group and prefix of the changelog topics")] = "influence"
    posts_topic: Annotated[str, Doc("input: posts, comments, reviews")] = "influence.posts"
    shares_topic: Annotated[str, Doc("input: shares of posts")] = "influence.shares"
    flags_topic: Annotated[str, Doc("output: one record for every standing that changes")] = "influence.flags"
    cuts_topic: Annotated[str, Doc("output, compacted: the cut of every topic and role")] = "influence.cuts"
    standings_topic: Annotated[str, Doc("output, compacted: the last flag of every flagged user")] = (
        "influence.standings"
    )
    curves_topic: Annotated[str, Doc("internal, compacted: curves exchanged by the workers")] = "influence.curves"
    dead_letters_topic: Annotated[str, Doc("output: records that cannot be counted, as they came")] = (
        "influence.dead-letters"
    )
    late_topic: Annotated[str, Doc("output: events older than the window, as they came")] = "influence.late"
    erasures_topic: Annotated[str, Doc("state, compacted: who was erased, as keyed hashes")] = "influence.erasures"
    partitions: Annotated[Count, Doc("partitions of the input topics")] = 8
    replication: Annotated[Count, Doc("replication factor of topics that are created")] = 1
    partitioner: Annotated[
        Literal["murmur2", "any"], Doc("how producers place keys: checked if murmur2, Kafka's default; not if any")
    ] = "murmur2"
    session_timeout_s: Annotated[Positive, Doc("after this long without a heartbeat a worker's partitions move")] = 6.0
    batch_events: Annotated[Count, Doc("events after which a batch is large enough")] = 10_000
    max_event_bytes: Annotated[Count, Doc("larger records go to the dead letters")] = 65_536

    # Security
    production: Annotated[bool, Doc("true: the worker refuses to start where the startup audit finds a danger")] = False
    kafka_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], Doc("how Kafka is spoken to: with TLS, with SASL")
    ] = "PLAINTEXT"
    kafka_sasl: Annotated[
        Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER"], Doc("mechanism, where the protocol has SASL")
    ] = "SCRAM-SHA-512"
    kafka_user: Annotated[str, Doc("user for SCRAM and PLAIN")] = ""
    kafka_password: Annotated[Secret, Doc("secret: password for SCRAM and PLAIN")] = Secret()
    kafka_token_file: Annotated[str, Doc("file with the token for OAUTHBEARER, read anew for every connection")] = ""
    kafka_ca_file: Annotated[str, Doc("PEM file: who may sign Kafka's certificate; empty: whom the system trusts")] = ""
    kafka_cert_file: Annotated[str, Doc("PEM file: our certificate, where Kafka asks for one (mTLS)")] = ""
    kafka_key_file: Annotated[str, Doc("PEM file: the key of our certificate; empty: it is in the file with it")] = ""
    kafka_key_password: Annotated[Secret, Doc("secret: password of that key, where it has one")] = Secret()
    redis_ca_file: Annotated[str, Doc("PEM file: who may sign Redis' certificate; empty: whom the system trusts")] = ""
    redis_cert_file: Annotated[str, Doc("PEM file: our certificate, where Redis asks for one")] = ""
    redis_key_file: Annotated[str, Doc("PEM file: the key of our certificate; empty: it is in the file with it")] = ""
    redis_key_password: Annotated[Secret, Doc("secret: password of that key, where it has one")] = Secret()

    # Counting
    window_s: Annotated[Positive, Doc("length of the window, a multiple of the pane")] = 86_400.0
    pane_s: Annotated[Positive, Doc("length of a pane: the step in which the window moves")] = 900.0
    short_s: Annotated[Positive, Doc("length of the short window that shows who accelerates")] = 3600.0
    view_rate: Annotated[Rate, Doc("part of an audience that sees a post, where impressions are not measured")] = 1.0
    channel_view_rates: Annotated[dict[str, Rate], Doc("view rates by channel: email=0.4,twitter=0.1")] = {}
    max_ahead_s: Annotated[Positive, Doc("events further ahead of the wall clock go to the dead letters")] = 300.0

    # Cuts and flags
    share: Annotated[Fraction, Doc("the part of all posts or impressions that the cut makes")] = 0.8
    diffuse_fraction: Annotated[Fraction, Doc("a cut that needs more of the users than this flags nobody")] = 1 / 3
    population_sizes: Annotated[
        dict[str, Count], Doc("stated sizes of populations: consumer=1000000,employee=900")
    ] = {}
    min_users: Annotated[Count, Doc("topics with fewer users flag nobody")] = 20
    min_posts: Annotated[Count, Doc("fewer posts make no maven")] = 5
    min_impressions: Annotated[Count, Doc("fewer impressions make no connector")] = 1000
    leave_ratio: Annotated[Fraction, Doc("a standing is lost below this part of the threshold (ρ)")] = 0.8
    dwell_s: Annotated[Positive, Doc("event time below that line until a standing ends")] = 900.0
    emerging_z: Annotated[Positive, Doc("standard deviations above the own past that make somebody emerging")] = 4.0
    emerging_floor: Annotated[Fraction, Doc("below this part of the threshold nobody is emerging")] = 0.1
    emerging_horizon_s: Annotated[Positive, Doc("emerging users reach the threshold within this time")] = 43_200.0
    emerging_events: Annotated[Positive, Doc("effective number of events that carry somebody emerging")] = 5.0
    tick_s: Annotated[Positive, Doc("wall time between evaluations")] = 0.5

    # Serving
    redis_url: Annotated[
        SecretUrl, Doc("the board, rediss:// for TLS; empty: none; a secret where it holds a password")
    ] = SecretUrl("redis://127.0.0.1:6379/0")
    redis_prefix: Annotated[str, Doc("prefix of every key")] = "influence"
    redis_top: Annotated[Count, Doc("users kept per topic and role")] = 100
    redis_refresh_s: Annotated[Positive, Doc("wall time between refreshes of the board")] = 2.0
    redis_expiry_s: Annotated[Positive, Doc("keys vanish this long after the last refresh")] = 3600.0
    http_host: Annotated[str, Doc("address of the page, the API and /metrics")] = "127.0.0.1"
    http_port: Annotated[Port, Doc("port of the page, the API and /metrics; 0: any free one")] = 6066
    http_token: Annotated[
        Secret, Doc("secret, 16 characters or more: whoever asks over HTTP must have it; empty: asked from here only")
    ] = Secret()
    http_advertised: Annotated[str, Doc("host:port at which other workers ask this one; empty: its own")] = ""
    metric_topics: Annotated[tuple[str, ...], Doc("topics whose cuts are metrics, at most 50")] = ("*",)
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Doc("least severe log record written")] = "INFO"
    stall_s: Annotated[Positive, Doc("no progress for so long makes /livez fail; twice that ends the worker")] = 20.0

    # Alerts
    alerts_file: Annotated[str, Doc("YAML file with sinks and rules, for the commands `stream-app alerts`")] = ""
    alerts_topic: Annotated[str, Doc("state, compacted: which flags people were told of, and what waits")] = (
        "influence.alerts"
    )
    undelivered_topic: Annotated[str, Doc("output: messages about flags that no sink took, with the reason")] = (
        "influence.undelivered"
    )
    alerts_http_host: Annotated[str, Doc("address of the metrics and probes of `stream-app alerts run`")] = "127.0.0.1"
    alerts_http_port: Annotated[Port, Doc("port of the metrics of `stream-app alerts run`; 0: any free one")] = 6067

    # Privacy
    person_key: Annotated[
        Secret, Doc("secret, 16 characters or more: makes the hashes of erased people and pseudonyms; empty: neither")
    ] = Secret()
    pseudonyms: Annotated[bool, Doc("true: user ids are replaced by a keyed hash before they are counted")] = False

    def __post_init__(self) -> None:
        """Check what concerns more than one setting."""
        if self.window_s % self.pane_s:
            raise ValueError(f"window_s ({self.window_s:g}) must be a multiple of pane_s ({self.pane_s:g})")
        if self.short_s >= self.window_s:
            raise ValueError(f"short_s ({self.short_s:g}) must be shorter than window_s ({self.window_s:g})")
        for name, secret in (("person_key", self.person_key), ("http_token", self.http_token)):
            if secret and (length := len(secret.reveal())) < LEAST_KEY:
                raise ValueError(f"{name} has {length} characters, fewer than {LEAST_KEY}: it is guessable")
        if self.pseudonyms and not self.person_key:
            raise ValueError("pseudonyms are made with a secret: set person_key too")
        if len(self.metric_topics) > MOST_METRIC_TOPICS:
            raise ValueError(
                f"metric_topics names {len(self.metric_topics)} topics, at most {MOST_METRIC_TOPICS} are possible"
            )
        check_security(self)

    @property
    def pane_ms(self) -> int:
        """Length of a pane, ms."""
        return round(self.pane_s * 1000)

    @property
    def panes(self) -> int:
        """Panes in the window."""
        return round(self.window_s / self.pane_s)

    @property
    def short_panes(self) -> int:
        """Panes in the short window."""
        return max(1, round(self.short_s / self.pane_s))

    @property
    def input_topics(self) -> tuple[str, str]:
        """Posts and shares."""
        return self.posts_topic, self.shares_topic

    @property
    def alerts_group(self) -> str:
        """The consumer group of the instances of `stream-app alerts run`."""
        return f"{self.app_id}-alerts"

    @property
    def secrets(self) -> list[Secret]:
        """What must never be seen: for Redaction."""
        return [value for name in NAMES if isinstance(value := getattr(self, name), Secret)]

    @property
    def version(self) -> str:
        """Short hash of the settings that change what is counted and who is flagged."""
        ruling = {name: getattr(self, name) for name in sorted(RULING)}
        return hashlib.sha256(msgspec.json.encode(ruling, order="sorted")).hexdigest()[:12]


NAMES = tuple(Settings.__struct_fields__)
RULING = frozenset(NAMES[NAMES.index("window_s") : NAMES.index("tick_s")])
"""Settings that are part of the version."""
SECRETS = frozenset(name for name in NAMES if isinstance(getattr(Settings(), name), Secret))
"""Settings that are not to be seen: they come from the environment, or from a file that it names."""


SECURITY = NAMES[NAMES.index("production") : NAMES.index("redis_key_password") + 1]
"""Settings of credentials and certificates."""


def with_servers(settings: Settings, brokers: str, redis_url: str) -> Settings:
    """The same settings for servers of our own, which know neither TLS nor users."""
    plain = {name: getattr(Settings(), name) for name in SECURITY}
    return msgspec.structs.replace(settings, brokers=brokers, redis_url=SecretUrl(redis_url), **plain)


def documentation() -> dict[str, str]:
    """What each setting means, by name."""
    hints = get_type_hints(Settings, include_extras=True)
    return {name: next(note for note in hints[name].__metadata__ if isinstance(note, Doc)).text for name in NAMES}


def environment_name(name: str) -> str:
    """The variable of a setting; durations are given there in seconds or with a unit."""
    return ENV_PREFIX + name.upper()


def environment_of_child(variables: Mapping[str, str]) -> dict[str, str]:
    """What a child process gets: this environment with `variables`, which are all the settings it has.

    A process hands settings on in its environment: what is on a command line is seen by everybody on the machine.
    """
    return {**{name: text for name, text in os.environ.items() if not name.startswith(ENV_PREFIX)}, **variables}


def from_environment(given: Mapping[str, Any] | None = None) -> Settings:
    """The settings of this process; what is `given` by name wins over its environment. Raises SettingsError."""
    return load(os.environ, given)


def load(environ: Mapping[str, str], given: Mapping[str, Any] | None = None) -> Settings:
    """Settings from defaults, then `environ` (STREAM_APP_*), then `given` by name.

    Raises SettingsError that names the setting.
    """
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(ENV_PREFIX):
            continue
        name = variable.removeprefix(ENV_PREFIX).lower()
        if (secret := _secret_in_file(variable)) is not None:
            name, text = secret, _content(variable, text, environ)  # noqa: PLW2901 - as if it stood there itself
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
    """The setting whose file is named by STREAM_APP_X_FILE."""
    name = variable.removeprefix(ENV_PREFIX).removesuffix(FILE_SUFFIX).lower()
    return name if variable.endswith(FILE_SUFFIX) and name in SECRETS else None


def _content(variable: str, path: str, environ: Mapping[str, str]) -> str:
    """The secret in a file, without the space around it. Raises SettingsError."""
    if (other := variable.removesuffix(FILE_SUFFIX)) in environ:
        raise SettingsError(f"{other} and {variable} are both set: set one of them")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{variable}={path!r}: the file cannot be read ({why})") from None


def _plain(error: Exception) -> str:
    return str(error).split(" - at `$")[0]


def _parsed(name: str, text: str, where: str) -> Any:
    """The value that the text of a setting stands for, in the form that msgspec converts."""
    default = getattr(Settings(), name)
    if isinstance(default, Secret):
        return type(default)(text)
    try:
        if name.endswith("_s"):
            return parse_duration_s(text)
        if isinstance(default, dict):
            return dict(parse_pair(item) for item in text.split(",") if item.strip())
        if isinstance(default, tuple):
            return tuple(item.strip() for item in text.split(",") if item.strip())
    except ValueError as error:
        raise SettingsError(f"{where}={text!r}: {error}; {documentation()[name]}") from error
    return text
