"""Answers about recruits: whom somebody brought in, wherever they are, and how many these brought in turn."""

from collections.abc import Sequence

from stream_app.core.queries import QueryableState
from stream_app.serving.api import params
from stream_app.serving.api.funnel.local_recruits import LocalRecruits
from stream_app.serving.api.funnel.recruits_response import Recruit, Recruits
from stream_app.serving.api.users.peer_answers import DECODE_RECRUITS, check_recruits
from stream_app.serving.api.users.peer_protocol import RECRUITS, RecruitQuery, RecruitsFound, joined
from stream_app.serving.api.users.peers import Peers


class RecruitAnswers:
    """Answers queries about recruits. Whether the user may be named is decided before."""

    def __init__(self, state: QueryableState, local: LocalRecruits, peers: Peers) -> None:
        self._state = state
        self._local = local
        self._peers = peers

    async def of(self, user: str, asked: params.RecruitsOfParams) -> Recruits:
        """Whom a user brought in; nobody where less may be said than everything: who came is not who is named."""
        if self._state.scopes.disclosure.is_limited:
            return _answer(user, asked, None, None, [])
        found = await self._everywhere([user], asked, asked.limit)
        (theirs,) = found.by_user
        erased = self._state.erasures.among(entry.user for entry in theirs.newest)  # another worker may not know yet
        entries = [entry for entry in theirs.newest if entry.user not in erased]
        names = list(dict.fromkeys(entry.user for entry in entries))
        in_turn = await self._everywhere(names, asked, 0) if names else found
        brought = dict(zip(names, (one.total for one in in_turn.by_user), strict=False))
        recruits = [
            Recruit(
                user_id=entry.user,
                entered=entry.entered_ms,
                is_new=entry.is_new,
                impressions=entry.impressions,
                brought_in=brought[entry.user],
            )
            for entry in entries
        ]
        missing = {*self._peers.missing(found.partitions), *self._peers.missing(in_turn.partitions)}
        return _answer(user, asked, theirs.total, recruits, sorted(missing))

    async def _everywhere(self, users: list[str], asked: params.RecruitsOfParams, most: int) -> RecruitsFound:
        query = RecruitQuery(users=users, topic=asked.topic, population=asked.population, most=most)
        answers = await self._peers.everywhere(RECRUITS, [query], self._local.recruits, _checked)
        return joined(query, [found for (found,) in answers])


def _answer(
    user: str, asked: params.RecruitsOfParams, total: int | None, recruits: list[Recruit] | None, missing: list[int]
) -> Recruits:
    return Recruits(
        user_id=user,
        topic=asked.topic,
        population=asked.population,
        total=total,
        recruits=recruits,
        missing_partitions=missing,
    )


def _checked(queries: Sequence[RecruitQuery], body: bytes) -> list[RecruitsFound]:
    found = DECODE_RECRUITS(body)
    check_recruits(queries, found)
    return found
