"""All settings: one frozen, validated object. The only reader of the environment."""

import hashlib
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

ENV_PREFIX = "STREAM_APP_"

_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")

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
    """Every setting, its unit in its name. `field_docs()` tells what each one means."""

    # Kafka
    brokers: str = "127.0.0.1:9092"
    app_id: str = "influence"
    posts_topic: str = "influence.posts"
    shares_topic: str = "influence.shares"
    flags_topic: str = "influence.flags"
    cuts_topic: str = "influence.cuts"
    standings_topic: str = "influence.standings"
    curves_topic: str = "influence.curves"
    dead_letters_topic: str = "influence.dead-letters"
    late_topic: str = "influence.late"
    partitions: Count = 8
    replication: Count = 1
    partitioner: Literal["murmur2", "any"] = "murmur2"
    session_timeout_s: Positive = 6.0
    batch_events: Count = 5000
    max_event_bytes: Count = 65_536

    # Counting
    window_s: Positive = 86_400.0
    pane_s: Positive = 900.0
    short_s: Positive = 3600.0
    view_rate: Annotated[float, Meta(ge=0, le=1)] = 1.0
    channel_view_rates: dict[str, Annotated[float, Meta(ge=0, le=1)]] = {}
    max_ahead_s: Positive = 300.0

    # Cuts and flags
    share: Fraction = 0.8
    diffuse_fraction: Fraction = 1 / 3
    population_sizes: dict[str, Count] = {}
    min_users: Count = 20
    min_posts: Count = 5
    min_impressions: Count = 1000
    leave_ratio: Fraction = 0.8
    dwell_s: Positive = 900.0
    emerging_z: Positive = 4.0
    emerging_floor: Fraction = 0.1
    emerging_horizon_s: Positive = 43_200.0
    emerging_events: Positive = 5.0
    tick_s: Positive = 0.5

    # Serving
    redis_url: str = "redis://127.0.0.1:6379/0"
    redis_prefix: str = "influence"
    redis_top: Count = 100
    redis_refresh_s: Positive = 1.0
    redis_expiry_s: Positive = 3600.0
    http_host: str = "127.0.0.1"
    http_port: Port = 6066
    metric_topics: tuple[str, ...] = ("*",)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    stall_s: Positive = 30.0

    def __post_init__(self) -> None:
        if self.window_s % self.pane_s:
            raise ValueError(f"window_s ({self.window_s:g}) must be a multiple of pane_s ({self.pane_s:g})")
        if self.short_s >= self.window_s:
            raise ValueError(f"short_s ({self.short_s:g}) must be shorter than window_s ({self.window_s:g})")
        if len(self.metric_topics) > 50:
            raise ValueError(f"metric_topics names {len(self.metric_topics)} topics; at most 50 keep Prometheus healthy")

    @property
    def pane_ms(self) -> int:
        """Length of a pane in ms."""
        return round(self.pane_s * 1000)

    @property
    def panes(self) -> int:
        """Panes in the window."""
        return round(self.window_s / self.pane_s)

    @property
    def version(self) -> str:
        """Short hash of every setting that changes what is counted or flagged."""
        ruling = {name: value for name, value in msgspec.to_builtins(self).items() if name in _RULING}
        return hashlib.sha256(msgspec.json.encode(ruling, order="sorted")).hexdigest()[:12]
