"""All settings: one frozen, validated object. The only reader of the environment."""

import hashlib
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

import msgspec
from msgspec import Meta

ENV_PREFIX = "STREAM_APP_"

_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")

MOST_METRIC_TOPICS = 50
LEAST_KEY = 16


class Doc(NamedTuple):
    """What a setting means."""

    text: str


Rate = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(gt=0, lt=1)]
Port = Annotated[int, Meta(ge=0, le=65_535)]


class SettingsError(ValueError):
    """A setting is wrong; the message names it and says what it takes."""


def parse_duration_s(text: str) -> float:
    """Seconds in `text`: '90', '15m', '1h30m', '24h', '9000d', '250ms'."""
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration: write it like 90s, 15m, 1h30m or 24h")
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


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
    redis_url: Annotated[str, Doc("the board; empty: none")] = "redis://127.0.0.1:6379/0"
    redis_prefix: Annotated[str, Doc("prefix of every key")] = "influence"
    redis_top: Annotated[Count, Doc("users kept per topic and role")] = 100
    redis_refresh_s: Annotated[Positive, Doc("wall time between refreshes of the board")] = 2.0
    redis_expiry_s: Annotated[Positive, Doc("keys vanish this long after the last refresh")] = 3600.0
    http_host: Annotated[str, Doc("address of /metrics, /livez and /readyz")] = "127.0.0.1"
    http_port: Annotated[Port, Doc("port of /metrics, /livez and /readyz; 0: any free one")] = 6066
    metric_topics: Annotated[tuple[str, ...], Doc("topics whose cuts are metrics, at most 50")] = ("*",)
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Doc("least severe log record written")] = "INFO"
    stall_s: Annotated[Positive, Doc("no progress for so long makes /livez fail; twice that ends the worker")] = 20.0

    # Privacy
    person_key: Annotated[
        str, Doc("secret, 16 characters or more: makes the hashes of erased people and pseudonyms; empty: neither")
    ] = ""
    pseudonyms: Annotated[bool, Doc("true: user ids are replaced by a keyed hash before they are counted")] = False

    def __post_init__(self) -> None:
        """Check what concerns more than one setting."""
        if self.window_s % self.pane_s:
            raise ValueError(f"window_s ({self.window_s:g}) must be a multiple of pane_s ({self.pane_s:g})")
        if self.short_s >= self.window_s:
            raise ValueError(f"short_s ({self.short_s:g}) must be shorter than window_s ({self.window_s:g})")
        if self.person_key and len(self.person_key) < LEAST_KEY:
            raise ValueError(
                f"person_key has {len(self.person_key)} characters, fewer than {LEAST_KEY}: it is guessable"
            )
        if self.pseudonyms and not self.person_key:
            raise ValueError("pseudonyms are made with a secret: set person_key too")
        if len(self.metric_topics) > MOST_METRIC_TOPICS:
            raise ValueError(
                f"metric_topics names {len(self.metric_topics)} topics, at most {MOST_METRIC_TOPICS} are possible"
            )

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
    def version(self) -> str:
        """Short hash of the settings that change what is counted and who is flagged."""
        ruling = {name: value for name, value in msgspec.to_builtins(self).items() if name in RULING}
        return hashlib.sha256(msgspec.json.encode(ruling, order="sorted")).hexdigest()[:12]


NAMES = tuple(Settings.__struct_fields__)
RULING = frozenset(NAMES[NAMES.index("window_s") : NAMES.index("tick_s")])
"""Settings that are part of the version."""


def documentation() -> dict[str, str]:
    """What each setting means, by name."""
    hints = get_type_hints(Settings, include_extras=True)
    return {name: next(note for note in hints[name].__metadata__ if isinstance(note, Doc)).text for name in NAMES}


def environment_name(name: str) -> str:
    """The variable of a setting; durations are given there in seconds or with a unit."""
    return ENV_PREFIX + name.upper()


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


def _plain(error: Exception) -> str:
    return str(error).split(" - at `$")[0]


def _parsed(name: str, text: str, where: str) -> Any:
    """The value that the text of a setting stands for, in the form that msgspec converts."""
    default = getattr(Settings(), name)
    try:
        if name.endswith("_s"):
            return parse_duration_s(text)
        if isinstance(default, dict):
            return dict(_pair(item) for item in text.split(",") if item.strip())
        if isinstance(default, tuple):
            return tuple(item.strip() for item in text.split(",") if item.strip())
    except ValueError as error:
        raise SettingsError(f"{where}={text!r}: {error}; {documentation()[name]}") from error
    return text


def _pair(item: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals:
        raise ValueError(f"{item!r} is not name=value")
    return name.strip(), value.strip()
