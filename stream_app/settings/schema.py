"""Every setting: its name, unit, default, meaning and limits."""

import datetime as dt
import hashlib
import math
from typing import Annotated, Literal

import msgspec

from stream_app.core.privacy.min_group import Disclosure, Individuals
from stream_app.core.state.window import Window
from stream_app.settings.checks import check_access, check_privacy, check_security, check_values
from stream_app.settings.kinds import Count, Doc, Fraction, GroupSize, IdBytes, MessageBytes, Port, Positive, Rate
from stream_app.settings.secret import Secret, SecretUrl

ENV_PREFIX = "STREAM_APP_"


class SettingsError(ValueError):
    """A setting is wrong; the message names it and says what it accepts."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting: its unit in its name, its meaning in its annotation. Durations take text such as 15m or 24h."""

    # Kafka
    brokers: Annotated[str, Doc("Kafka bootstrap servers, host:port, comma separated")] = "127.0.0.1:9092"
    app_id: Annotated[str, Doc("consumer group of the workers, and prefix of the changelog topic")] = "influence"
    posts_topic: Annotated[str, Doc("input: posts, comments, reviews")] = "influence.posts"
    shares_topic: Annotated[str, Doc("input: shares of posts")] = "influence.shares"
    retractions_topic: Annotated[str, Doc("input: posts and shares that are taken back")] = "influence.retractions"
    flags_topic: Annotated[str, Doc("output: one record for every change of a standing")] = "influence.flags"
    cuts_topic: Annotated[str, Doc("output, compacted: the cut of every topic and role")] = "influence.cuts"
    standings_topic: Annotated[str, Doc("output, compacted: last flag of each flagged user")] = "influence.standings"
    curves_topic: Annotated[str, Doc("internal, compacted: cuts and progress for all workers")] = "influence.curves"
    additions_topic: Annotated[str, Doc("internal: additions to curves, sent to the homes of their scopes")] = (
        "influence.additions"
    )
    dead_letters_topic: Annotated[str, Doc("output: records that cannot be counted, as they came")] = (
        "influence.dead-letters"
    )
    late_topic: Annotated[str, Doc("output: events older than the window, as they came")] = "influence.late"
    erasures_topic: Annotated[str, Doc("state, compacted: erased people, as keyed hashes")] = "influence.erasures"
    partitions: Annotated[Count, Doc("partitions of the input topics")] = 8
    replication: Annotated[Count, Doc("replication factor of the topics that `stream-app topics create` creates")] = 1
    partitioner: Annotated[
        Literal["murmur2", "any"], Doc("partitioner of the producers: murmur2 (Kafka's default) is checked, any is not")
    ] = "murmur2"
    session_timeout_s: Annotated[Positive, Doc("a worker without a heartbeat for this long loses its partitions")] = 6.0
    allow_mixed: Annotated[
        bool, Doc("true: a worker may join others with different settings; nobody raises flags meanwhile")
    ] = False
    batch_events: Annotated[Count, Doc("events in a full batch")] = 10_000
    max_event_bytes: Annotated[Count, Doc("larger records become dead letters")] = 65_536
    max_unpacked_bytes: Annotated[
        Count, Doc("a record batch that is larger without its compression is not read: one dead letter stands for it")
    ] = 33_554_432
    max_message_bytes: Annotated[
        MessageBytes, Doc("largest message that is written to Kafka; less where a topic or the brokers take less")
    ] = 1_000_000
    dead_letters_per_s: Annotated[
        Count, Doc("dead letters a worker writes one by one, and late events; what is beyond shares one letter a batch")
    ] = 1_000

    # Security
    production: Annotated[bool, Doc("true: a worker does not start if the startup audit finds a danger")] = False
    kafka_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Doc("security protocol of the brokers: TLS (SSL), login (SASL), or both"),
    ] = "PLAINTEXT"
    kafka_sasl: Annotated[
        Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER"],
        Doc("SASL mechanism, if the protocol has SASL"),
    ] = "SCRAM-SHA-512"
    kafka_user: Annotated[str, Doc("user for SCRAM and PLAIN")] = ""
    kafka_password: Annotated[Secret, Doc("secret: password for SCRAM and PLAIN")] = Secret()
    kafka_token_file: Annotated[str, Doc("file with the token for OAUTHBEARER, read for every connection")] = ""
    kafka_ca_file: Annotated[str, Doc("PEM file: CA of Kafka's certificate; empty: the CAs that the system trusts")] = (
        ""
    )
    kafka_cert_file: Annotated[str, Doc("PEM file: client certificate, if Kafka requires one (mTLS)")] = ""
    kafka_key_file: Annotated[
        str, Doc("PEM file: key of the client certificate; empty: it is in the certificate's file")
    ] = ""
    kafka_key_password: Annotated[Secret, Doc("secret: password of that key, if it has one")] = Secret()
    redis_ca_file: Annotated[str, Doc("PEM file: CA of Redis' certificate; empty: the CAs that the system trusts")] = ""
    redis_cert_file: Annotated[str, Doc("PEM file: client certificate, if Redis requires one")] = ""
    redis_key_file: Annotated[
        str, Doc("PEM file: key of the client certificate; empty: it is in the certificate's file")
    ] = ""
    redis_key_password: Annotated[Secret, Doc("secret: password of that key, if it has one")] = Secret()

    # Counting
    window_s: Annotated[Positive, Doc("length of the window, a multiple of the pane")] = 86_400.0
    pane_s: Annotated[Positive, Doc("length of a pane: the step by which the window moves")] = 900.0
    short_s: Annotated[Positive, Doc("length of the short window, in which acceleration is measured")] = 3600.0
    view_rate: Annotated[Rate, Doc("fraction of an audience that sees a post, if impressions are not measured")] = 1.0
    channel_view_rates: Annotated[dict[str, Rate], Doc("view rates by channel: email=0.4,twitter=0.1")] = {}
    min_ts: Annotated[
        dt.date, Doc("events before this day (UTC) become dead letters; earlier for history that is older")
    ] = dt.date(2005, 1, 1)
    max_ts: Annotated[dt.date, Doc("events from this day (UTC) on become dead letters, whatever the clock says")] = (
        dt.date(2100, 1, 1)
    )
    max_id_bytes: Annotated[IdBytes, Doc("ids, topics and populations of more bytes make an event a dead letter")] = 256
    max_topics_per_event: Annotated[Count, Doc("further topics of an event count as (other)")] = 32
    max_topics_per_user: Annotated[Count, Doc("further topics of a user in the window count as (other)")] = 10_000
    max_scopes: Annotated[
        Count, Doc("topics × populations in the window, in all; each partition has an equal share, the rest is (other)")
    ] = 200_000
    max_ahead_s: Annotated[Positive, Doc("events further ahead of the wall clock become dead letters")] = 300.0

    # Cuts and flags
    share: Annotated[Fraction, Doc("fraction of all posts, impressions or recruits that the users in a cut make")] = 0.8
    diffuse_fraction: Annotated[
        Fraction, Doc("a cut with a larger fraction of the users is diffuse and flags nobody")
    ] = 1 / 3
    population_sizes: Annotated[dict[str, Count], Doc("sizes of populations: consumer=1000000,employee=900")] = {}
    min_users: Annotated[Count, Doc("topics with fewer users flag nobody")] = 20
    min_posts: Annotated[Count, Doc("users with fewer posts are no mavens")] = 5
    min_impressions: Annotated[Count, Doc("users with fewer impressions are no connectors")] = 1000
    min_recruits: Annotated[Count, Doc("users who have brought in fewer others are no recruiters")] = 3
    leave_ratio: Annotated[Fraction, Doc("a standing is lost below this fraction of the threshold (ρ)")] = 0.8
    dwell_s: Annotated[Positive, Doc("event time below that fraction after which a standing fades or ends")] = 900.0
    emerging_door: Annotated[Fraction, Doc("from this fraction of the threshold on a user is emerging")] = 0.9
    emerging_near_floor: Annotated[
        Fraction, Doc("from this fraction of the threshold on users are emerging if they soon reach it at their pace")
    ] = 0.6
    emerging_near_horizon_s: Annotated[Positive, Doc("what soon means for them")] = 3_600.0
    emerging_floor: Annotated[Fraction, Doc("below this fraction of the threshold no user is emerging")] = 0.1
    emerging_horizon_s: Annotated[Positive, Doc("other emerging users reach the threshold within this time")] = 14_400.0
    emerging_z: Annotated[Positive, Doc("standard deviations by which their pace exceeds their own past")] = 3.0
    emerging_events: Annotated[
        Positive, Doc("least effective number of moments with events (slots of short_s / 12) behind their pace")
    ] = 5.0
    step_s: Annotated[
        Positive,
        Doc("event time between evaluations that do not wait for a clock, rounded up to slots of short_s / 12"),
    ] = 300.0
    tick_s: Annotated[Positive, Doc("wall time between evaluations")] = 0.5

    # Serving
    redis_url: Annotated[
        SecretUrl, Doc("Redis of the board, rediss:// for TLS; empty: no board; a secret if it holds a password")
    ] = SecretUrl("redis://127.0.0.1:6379/0")
    redis_prefix: Annotated[str, Doc("prefix of every key in Redis")] = "influence"
    redis_top: Annotated[Count, Doc("users kept per topic and role")] = 100
    redis_refresh_s: Annotated[Positive, Doc("wall time between refreshes of the board")] = 2.0
    redis_expiry_s: Annotated[Positive, Doc("keys expire this long after the last refresh")] = 3600.0
    http_host: Annotated[str, Doc("address of the page, the API and /metrics")] = "127.0.0.1"
    http_port: Annotated[Port, Doc("port of the page, the API and /metrics; 0: any free one")] = 6066
    http_token: Annotated[
        Secret, Doc("secret, 16 characters or more, that HTTP clients send; empty: only this machine may ask")
    ] = Secret()
    http_tokens_file: Annotated[
        str, Doc("file of further tokens, with name, role, populations and the day on which each ends; read again")
    ] = ""
    http_user_header: Annotated[str, Doc("header in which a proxy says who is signed in; empty: none")] = ""
    http_user_proxies: Annotated[tuple[str, ...], Doc("addresses or networks of the proxies that are believed")] = ()
    http_probe_port: Annotated[
        Port, Doc("port that serves /livez and /readyz only, whatever the other one is busy with; 0: none")
    ] = 0
    http_max_connections: Annotated[
        Count, Doc("connections to the HTTP port; at most as many as half the files that the process may open")
    ] = 512
    http_max_connections_per_address: Annotated[
        Count, Doc("connections of one address: more where all come through a proxy")
    ] = 128
    http_max_streams_per_client: Annotated[Count, Doc("open streams of a session, or of an address without one")] = 64
    peer_secret: Annotated[
        Secret, Doc("secret, 16 characters or more: workers sign what they ask each other; empty: http_token")
    ] = Secret()
    peer_answer_bytes: Annotated[Count, Doc("largest answer of another worker that is read")] = 16_777_216
    http_advertised: Annotated[str, Doc("host:port at which other workers reach this one; empty: its own")] = ""
    metric_topics: Annotated[tuple[str, ...], Doc("topics with metrics of their cuts, at most 50")] = ("*",)
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Doc("lowest level that is logged")] = "INFO"
    log_format: Annotated[Literal["text", "json"], Doc("form of a log line: text for people, or json")] = "text"
    otlp_url: Annotated[SecretUrl, Doc("URL that metrics are sent to by OTLP/HTTP, as well; empty: none")] = SecretUrl()
    otlp_token: Annotated[Secret, Doc("secret: bearer token for it")] = Secret()
    otlp_every_s: Annotated[Positive, Doc("wall time between two messages to it")] = 30.0
    stall_s: Annotated[
        Positive, Doc("without progress for this long /livez fails; after twice as long the worker exits")
    ] = 20.0

    # Alerts
    alerts_file: Annotated[str, Doc("YAML file with sinks and rules for `stream-app alerts`")] = ""
    alerts_topic: Annotated[str, Doc("state, compacted: the alerts that were sent and those that wait")] = (
        "influence.alerts"
    )
    undelivered_topic: Annotated[str, Doc("output: messages that no sink accepted, with the reason")] = (
        "influence.undelivered"
    )
    alerts_http_host: Annotated[str, Doc("address of the metrics and probes of `stream-app alerts run`")] = "127.0.0.1"
    alerts_http_port: Annotated[Port, Doc("port of the metrics of `stream-app alerts run`; 0: any free one")] = 6067

    # Privacy
    person_key: Annotated[
        Secret, Doc("secret, 16 characters or more: makes the hashes of erased people and pseudonyms; empty: neither")
    ] = Secret()
    erase_by_event: Annotated[bool, Doc("true: who may write retractions may erase people, too")] = False
    pseudonyms: Annotated[bool, Doc("true: user ids are replaced by a keyed hash before they are counted")] = False
    min_group: Annotated[
        GroupSize, Doc("fewer people are never named or counted apart, and numbers are coarse; 0: off")
    ] = 0
    individuals: Annotated[
        Individuals, Doc("who is named: all, flagged (who has a standing), or off (nobody; nobody is flagged)")
    ] = "all"
    audit: Annotated[bool, Doc("true: each look at a person is a record, without which there is no answer")] = False
    audit_topic: Annotated[str, Doc("output: looks at people, where they are audited")] = "influence.audit"

    def __post_init__(self) -> None:
        """Check constraints between settings."""
        check_values(self)
        check_security(self)
        check_privacy(self)
        check_access(self)

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
    def window(self) -> Window:
        """The window, in panes."""
        return Window(self.pane_ms, self.panes, self.short_panes)

    @property
    def step_slots(self) -> int:
        """Slots of the short window between two evaluations in event time."""
        slot_ms = self.pane_ms / self.window.slots_per_pane
        return max(1, math.ceil(self.step_s * 1000 / slot_ms))

    @property
    def input_topics(self) -> tuple[str, str]:
        """Posts and shares."""
        return self.posts_topic, self.shares_topic

    @property
    def source_topics(self) -> tuple[str, str, str]:
        """All that is read of a partition: posts, shares and retractions."""
        return *self.input_topics, self.retractions_topic

    @property
    def alerts_group(self) -> str:
        """The consumer group of the instances of `stream-app alerts run`."""
        return f"{self.app_id}-alerts"

    @property
    def disclosure(self) -> Disclosure:
        """What may be said of people."""
        return Disclosure(self.min_group, self.individuals)

    @property
    def secrets(self) -> list[Secret]:
        """Every secret, for Redaction."""
        return [value for name in NAMES if isinstance(value := getattr(self, name), Secret)]

    @property
    def version(self) -> str:
        """Short hash of the settings that decide what is counted and who is flagged."""
        ruling = {name: getattr(self, name) for name in sorted(RULING)}
        return hashlib.sha256(msgspec.json.encode(ruling, order="sorted")).hexdigest()[:12]


NAMES = tuple(Settings.__struct_fields__)
COUNTING = NAMES[NAMES.index("window_s") : NAMES.index("tick_s")]
"""Settings that decide what is counted, and who is flagged for it."""
RULING = frozenset(COUNTING).union(
    NAMES[NAMES.index("app_id") : NAMES.index("partitions")],  # the group, and every topic that it shares
    {"partitions", "partitioner", "max_event_bytes", "max_unpacked_bytes"},
    {"pseudonyms", "erase_by_event", "min_group", "individuals"},
)
"""Settings that are part of the version: workers that differ in one of them do not work together. No secrets."""
SECRETS = frozenset(name for name in NAMES if isinstance(getattr(Settings(), name), Secret))
"""Settings that are never shown: they come from the environment, or from a file that it names."""
SECURITY = NAMES[NAMES.index("production") : NAMES.index("redis_key_password") + 1]
"""Settings of credentials and certificates."""
