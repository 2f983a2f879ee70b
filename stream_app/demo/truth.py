"""Compares what a demo found with the truth: the cuts, and the users flagged in time. Pure."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from stream_app.core.messages import Cut, Flag, FlagType, Reason, Role
from stream_app.demo.generator.activity import TrueCut
from stream_app.demo.generator.company import Company
from stream_app.demo.generator.population import Truth
from stream_app.demo.generator.risers import Riser

TOLERANCE_POINTS = 0.5
Standing = tuple[str, str, Role]
"""User, topic and role."""


class Measured(NamedTuple):
    """A true cut and the one found."""

    true: TrueCut
    cut: Cut | None

    @property
    def error_points(self) -> float:
        """The larger error of the two percentages, of users and of the population, in percentage points."""
        if self.cut is None:
            return 100.0
        errors = [abs(self.cut.percent_of_users - self.true.percent_of_users)]
        if self.cut.percent_of_population is not None:
            errors.append(abs(self.cut.percent_of_population - self.true.percent_of_population))
        return max(errors)

    @property
    def is_right(self) -> bool:
        """Whether it is off by no more than TOLERANCE_POINTS."""
        return self.error_points <= TOLERANCE_POINTS


class Rise(NamedTuple):
    """A planted riser, and its first flags of the two types."""

    riser: Riser
    emerging: Flag | None
    entered: Flag | None

    @property
    def lead_ms(self) -> int | None:
        """Event time from the warning to the entry; None where there was no warning before it, or no entry."""
        if self.emerging is None or self.entered is None or self.emerging.event_time >= self.entered.event_time:
            return None
        return self.entered.event_time - self.emerging.event_time


class Foresight(NamedTuple):
    """The users flagged as emerging, rightly or not."""

    risers: list[Rise]
    leads_ms: list[int]
    """Of the risers that were flagged as emerging before they entered."""
    decoys: list[Flag]
    """Emerging flags of decoys: each is wrong."""
    others: int
    """Standings of unplanted users that were flagged as emerging: by chance some of them do rise."""
    false_alarms: int
    """Those of them that did not enter before the end of the stream."""
    undecided: int
    """Those of the false alarms whose standing had not ended by then: they may still enter."""

    @property
    def median_lead_ms(self) -> float:
        """The median time from warning to entry."""
        return median(self.leads_ms)


def measured(truth: Truth, cuts: Iterable[Cut]) -> list[Measured]:
    """Every true cut with the one found."""
    found = {(cut.topic, cut.role): cut for cut in cuts}
    return [Measured(true, found.get((true.topic, true.role))) for true in truth.cuts]


def foresight(truth: Truth | Company, flags: Sequence[Flag]) -> Foresight:
    """Compare the flags, in order for each user, with what was planted.

    A flag for who was over θ already when the topic was nearly ranked is about the topic: it warns of nobody.
    """
    emerging = _first(FlagType.EMERGING, [flag for flag in flags if flag.reason is not Reason.NEARLY_RANKED])
    entered = _first(FlagType.ENTERED, flags)
    rises = [
        Rise(riser, emerging.get(place), entered.get(place))
        for riser in truth.risers
        for place in [(riser.user_id, riser.topic, riser.role)]
    ]
    planted = {riser.user_id for riser in truth.risers}
    others = {place: flag for place, flag in emerging.items() if place[0] not in planted | set(truth.decoys)}
    false_alarms = others.keys() - _entered_after(others, flags)
    last = {_place(flag): flag.type for flag in flags}
    return Foresight(
        risers=rises,
        leads_ms=[rise.lead_ms for rise in rises if rise.lead_ms is not None],
        decoys=[flag for place, flag in emerging.items() if place[0] in truth.decoys],
        others=len(others),
        false_alarms=len(false_alarms),
        undecided=sum(last[place] is FlagType.EMERGING for place in false_alarms),
    )


def _place(flag: Flag) -> Standing:
    return flag.user_id, flag.topic, flag.role


def _first(flag_type: FlagType, flags: Iterable[Flag]) -> dict[Standing, Flag]:
    first: dict[Standing, Flag] = {}
    for flag in flags:
        if flag.type is flag_type:
            first.setdefault(_place(flag), flag)
    return first


def _entered_after(warned: dict[Standing, Flag], flags: Iterable[Flag]) -> set[Standing]:
    return {
        _place(flag)
        for flag in flags
        if flag.type is FlagType.ENTERED
        and _place(flag) in warned
        and flag.event_time >= warned[_place(flag)].event_time
    }
