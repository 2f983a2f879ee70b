"""What a caller may see of the API: their populations, and people only as an analyst."""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import msgspec
from aiohttp import web
from msgspec.structs import replace

from stream_app.serving.api import params
from stream_app.serving.api.flags.flag_log import LoggedFlag
from stream_app.serving.api.responses import Answer, Topics, User
from stream_app.serving.http.auth import CALLER
from stream_app.serving.http.problems import RefusedError
from stream_app.serving.http.tokens import EVERYTHING, AccessRole, Caller

P = TypeVar("P", bound=params.Params)

PARTS_OF_PEOPLE = frozenset({"influencers", "emerging"})
"""Parts of the page that name people."""
_PARTS_OF_ALL = frozenset({"quality"})
"""Parts of the page that are about all populations together."""
_TOPICS = msgspec.json.Decoder(Topics)


class View(NamedTuple):
    """What one caller sees."""

    caller: Caller = Caller("", EVERYTHING)

    @classmethod
    def of(cls, request: web.Request) -> "View":
        """Return that of who asks. A request that was not let in has none, and fails."""
        return cls(request[CALLER])

    def within(self, asked: P) -> P:
        """The same question about populations of the caller. Raises RefusedError."""
        mine, fields = self.caller.populations, asked.__struct_fields__
        if mine is None or "population" not in fields:
            return asked
        population = getattr(asked, "population", None)
        if population in mine:
            return asked
        if not population and len(mine) == 1:
            return replace(asked, population=next(iter(mine)))
        raise RefusedError(
            403, f"your token is for the populations {', '.join(sorted(mine))}: ask with population=NAME"
        )

    def answer(self, answer: Answer) -> Answer | None:
        """What of an answer is about populations of the caller; None where nothing is."""
        mine = self.caller.populations
        if mine is None:
            return answer
        if isinstance(answer, Topics):
            return replace(answer, populations=[name for name in answer.populations if name in mine])
        if isinstance(answer, User):
            places = [place for place in answer.places if place.population in mine]
            return replace(answer, places=places) if places else None
        return answer

    def part(self, name: str, json: bytes) -> bytes | None:
        """A part of the page; None where the caller does not see it."""
        if name in PARTS_OF_PEOPLE and not self._sees_people:
            return None
        if self.caller.populations is None:
            return json
        if name in _PARTS_OF_ALL:
            return None
        return msgspec.json.encode(self.answer(_TOPICS.decode(json))) if name == "topics" else json

    def flags(self, flags: Iterable[LoggedFlag]) -> list[LoggedFlag]:
        """The flags that the caller sees."""
        mine = self.caller.populations
        if not self._sees_people:
            return []
        return [entry for entry in flags if mine is None or entry.flag.population in mine]

    @property
    def _sees_people(self) -> bool:
        return self.caller.may(AccessRole.ANALYST)


EVERYTHING_SEEN = View()
