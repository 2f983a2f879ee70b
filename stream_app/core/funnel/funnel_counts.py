"""Counts of the funnel: what a decision about entries adds to each pane and scope."""

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.funnel.episodes.deciding import Decision, are_new
from stream_app.core.funnel.episodes.episode_records import SELF_STARTED, UNKNOWN
from stream_app.core.funnel.scope_cells import CellCounts
from stream_app.core.state.renumbering import distinct

MEASURES = ("new", "re_entered", "recruited", "self_started", "unknown", "participants")
"""Entries count in the pane of the entry, participants in that of their last event: so the participants of a window
that ends now are the sum over its panes."""
DAY_MS = 86_400_000
_NEW, _RE_ENTERED, _RECRUITED, _SELF_STARTED, _UNKNOWN, _PARTICIPANTS = range(len(MEASURES))


def counts_of(decision: Decision, pane_ms: int) -> CellCounts:
    """Return what a decision about entries adds to the measures, and takes back."""
    signed = ((decision.before, -1), (decision.after, 1))
    panes, scopes, measures, signs = [], [], [], []

    def note(ts_ms: Ints, groups: Ints, measure: Ints, sign: int) -> None:
        panes.append(ts_ms // pane_ms)
        scopes.append(decision.scopes[groups])
        measures.append(measure)
        signs.append(np.full(len(groups), sign))

    for held, sign in signed:
        groups, records = held.episodes
        credited = records["credited"]
        how = np.select([credited == SELF_STARTED, credited == UNKNOWN], [_SELF_STARTED, _UNKNOWN], _RECRUITED)
        note(records["first_ms"], groups, np.where(are_new(held), _NEW, _RE_ENTERED), sign)
        note(records["first_ms"], groups, how, sign)
        last = held.episodes.are_last()
        note(records["last_ms"][last], groups[last], np.full(np.count_nonzero(last), _PARTICIPANTS), sign)
    return _summed(np.concatenate(panes), np.concatenate(scopes), np.concatenate(measures), np.concatenate(signs))


def newcomers_of(decision: Decision) -> CellCounts:
    """Return how many new people a decision adds to each day and scope, and takes back."""
    new = [held.episodes.at(are_new(held)) for held in (decision.before, decision.after)]
    days = np.concatenate([episodes.records["first_ms"] for episodes in new]) // DAY_MS
    scopes = decision.scopes[np.concatenate([episodes.groups for episodes in new])]
    signs = np.repeat([-1, 1], [len(episodes.groups) for episodes in new])
    return _summed(days, scopes, np.zeros(len(days), np.int64), signs, 1)


def _summed(panes: Ints, scopes: Ints, measures: Ints, signs: Ints, size: int = len(MEASURES)) -> CellCounts:
    numbers, ranks = distinct(panes)
    width = int(scopes.max(initial=0)) + 1
    codes, places = distinct(ranks * width + scopes)
    counts = np.zeros((size, len(codes)), np.int64)
    np.add.at(counts, (measures, places), signs)
    kept = np.any(counts != 0, axis=0)
    return CellCounts(numbers[codes[kept] // width], codes[kept] % width, counts[:, kept])
