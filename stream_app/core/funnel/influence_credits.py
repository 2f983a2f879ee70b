"""Influence credits: what decisions about the events of some people add to others, and take back, as columns."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask
from stream_app.core.funnel.episodes.deciding import Decision
from stream_app.core.funnel.episodes.episode_records import Records
from stream_app.core.funnel.funnel_keys import mixed
from stream_app.core.state.scopes import ScopeName

_ENTRY, _SHARE = np.uint64(1), np.uint64(2)
_APPEARED, _VANISHED = np.uint64(1), np.uint64(2)


class InfluenceCredits(NamedTuple):
    """Credits of entries and shares: columns of equal length, but for the names of scopes."""

    credited: Sequence[str]
    """Who gets it."""
    scopes: Ints
    """Numbers in `scope_names`."""
    scope_names: Sequence[ScopeName]
    ts_ms: Ints
    """Event time of the entry or share."""
    recruits: Ints
    """1 for a recruited entry, −1 where it is taken back, 0 for a share."""
    shares: Ints
    """1 for the share of a post, −1 where it is taken back, 0 for an entry."""
    impressions: Ints
    """What the share amplified the credited person by; negative where it is taken back."""
    persons: Hashes
    """Whose entry or share it is: a hash under the secret of the partition that decided."""
    ids: Hashes
    """The same for a repeat of the same credit, and for no other."""
    posts: Hashes
    """Of a share: hash of the author and the post, the same in all partitions. 0 of an entry."""

    def at(self, places: Ints | Mask) -> "InfluenceCredits":
        """Return some of them."""
        chosen = np.arange(len(self.ts_ms))[places].tolist()
        columns: list[Any] = [column[places] for column in self[3:]]
        return InfluenceCredits([self.credited[place] for place in chosen], self.scopes[places], self[2], *columns)


def joined(parts: Sequence[InfluenceCredits]) -> InfluenceCredits:
    """Return several as one; they have the same names of scopes."""
    names = [name for part in parts for name in part.credited]
    scopes, *columns = (np.concatenate([part[place] for part in parts]) for place in (1, *range(3, 10)))
    return InfluenceCredits(names, scopes, parts[0].scope_names, *columns)


def credits_of(
    decision: Decision, scope_names: Sequence[ScopeName], scope_hashes: Hashes, people: Sequence[str]
) -> InfluenceCredits:
    """Return the credits that a decision about entries or shares leads to, those that are taken back first."""
    before, after = decision.before.episodes, decision.after.episodes
    gone, come = before.at(decision.vanished), after.at(decision.appeared)
    groups = np.concatenate([gone.groups, come.groups])
    records = np.concatenate([gone.records, come.records])
    signs = np.repeat([-1, 1], [len(gone.groups), len(come.groups)])
    credits_somebody = records["credited"] >= 0
    groups, records, signs = groups[credits_somebody], records[credits_somebody], signs[credits_somebody]
    is_share = "impressions" in (records.dtype.names or ())
    persons, scopes = decision.persons[groups], decision.scopes[groups]
    none = np.zeros(len(groups), np.int64)
    return InfluenceCredits(
        credited=[people[number] for number in records["credited"].tolist()],
        scopes=scopes,
        scope_names=scope_names,
        ts_ms=records["first_ms"],
        recruits=none if is_share else signs,
        shares=signs if is_share else none,
        impressions=signs * records["impressions"] if is_share else none,
        persons=persons,
        ids=_ids(decision, groups, records, signs, scope_hashes[scopes]),
        posts=decision.posts[groups],
    )


def _ids(decision: Decision, groups: Ints, records: Records, signs: Ints, scope_hashes: Hashes) -> Hashes:
    """Return ids: an entry appears once and vanishes once until the events of its key are replaced again.

    The hash of the person is secret, so nobody can make an id that is that of somebody else's credit.
    """
    ids = mixed(decision.persons[groups], scope_hashes)
    ids = mixed(ids, decision.after.keys[groups].view(np.uint64))  # of a share: the post and the author too
    ids = mixed(ids, records["first_ms"].astype(np.uint64))
    ids = mixed(ids, records["order"])
    ids = mixed(ids, decision.after.revisions[groups].astype(np.uint64))
    kind = _SHARE if "impressions" in (records.dtype.names or ()) else _ENTRY
    return mixed(mixed(ids, kind), np.where(signs > 0, _APPEARED, _VANISHED))
