"""What the HTTP API answers about the people whom somebody brought in."""

from typing import Annotated

from msgspec import Meta

from stream_app.serving.api.responses import Answer, TimeMs


class Recruit(Answer, frozen=True, kw_only=True):
    """An entry that names its recruiter; who came again may be there again."""

    user_id: str
    entered: TimeMs
    is_new: bool
    """False: re-entered, after an absence of the gap or longer."""
    impressions: int
    """Of this user, in the topic and window."""
    brought_in: int
    """Entries that name this user in turn."""


class Recruits(Answer, frozen=True, kw_only=True):
    """Whom a user brought into a topic: one level of the tree, ask again about each of them for the next."""

    user_id: str
    topic: str
    population: str
    total: Annotated[int | None, Meta(description="Entries, however many are listed; null: it is not said here.")]
    recruits: Annotated[list[Recruit] | None, Meta(description="The newest first; null: they are not named here.")]
    missing_partitions: list[int]
    """Partitions whose worker did not answer: their people are not here."""
