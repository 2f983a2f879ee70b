"""Why a user stands where they do, as the API answers it: the flag, its numbers now, and the events behind them."""

from stream_app.core.messages import Cut
from stream_app.serving.api.responses import Answer, Place, TimeMs


class Contribution(Answer, frozen=True, kw_only=True):
    """A post or share that added to a user's value."""

    ts: TimeMs
    kind: str
    """post, comment, review, reply, quote, message or share."""
    impressions: int | None
    """null where the audience is unknown."""
    topics: list[str]
    post_id: str | None
    """Left out where ids are replaced by pseudonyms."""
    author_id: str | None
    """Whose post was shared."""
    channel: str | None


class Evidence(Answer, frozen=True, kw_only=True):
    """The user's events in the window with the most impressions, read back from Kafka when asked for."""

    posts: list[Contribution]
    shares: list[Contribution]
    found: int
    """Events of the user in the window that were found."""
    read_records: int
    is_complete: bool
    """False where not all of the window was read back: too many records, or Kafka no longer has them."""
    note: str
    """What is missing and why; empty where nothing is."""


class Why(Answer, frozen=True, kw_only=True):
    """Why a user stands there: the flag, what has become of its numbers, and the events behind them."""

    user_id: str
    pane_ms: int
    first_pane: TimeMs
    place: Place
    rule: str
    """What the rule of the flag says; empty where there is no flag."""
    cut: Cut | None
    """Now."""
    evidence: Evidence
