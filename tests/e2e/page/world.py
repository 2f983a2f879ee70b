"""What a tracker would know at one moment of the demo, and how it answers; a test may change all of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from stream_app.core.messages import ChanceFrom, Cut, Flag, FlagType, Reason, Role
from stream_app.core.queries import FunnelFigures
from stream_app.serving.api.flags.flag_log import FlagAbout, fits
from stream_app.serving.api.flags.quality_response import FlagQualities
from stream_app.serving.api.funnel.funnel_response import TopicFunnel
from stream_app.serving.api.params import FlagFilter
from stream_app.serving.api.responses import About, Curve, Flags, Health, History, Influencers, Place, Topic, Topics
from stream_app.serving.api.users.why_response import Contribution, Evidence, Why
from tests.e2e.page.about_itself import about, health, quality
from tests.e2e.page.funnels import funnel, stages
from tests.e2e.page.scopes import FIRST_PANE, NOW, PANE_MS, VERSION, WINDOW_END, Scope, demo_scopes

DETECTED = 1_795_716_388_000
"""Wall clock of the flags: months after their event time, as in the demo."""
EVERYBODY = 400


@dataclass(frozen=True)
class Selection:
    """A topic, population and role."""

    topic: str = "*"
    population: str = "all"
    role: Role = Role.CONNECTOR


@dataclass
class World:
    """Everything the API answers from."""

    scopes: list[Scope] = field(default_factory=demo_scopes)
    flags: list[Flag] = field(default_factory=list)
    about: About = field(default_factory=about)
    health: Health = field(default_factory=health)
    quality: FlagQualities = field(default_factory=quality)
    stages: FunnelFigures | None = field(default_factory=stages)
    missing: list[int] = field(default_factory=list)
    """Partitions whose worker does not answer about funnels."""
    brought: dict[str, list[str]] = field(default_factory=dict)
    """Whom each user brought in, the newest first."""
    evidence: Evidence | None = None
    flags_since: int | None = None

    def scope(self, chosen: Selection) -> Scope | None:
        """What is known of this topic, population and role."""
        return next((s for s in self.scopes if Selection(s.topic, s.population, s.role) == chosen), None)

    def _cut(self, topic: str, population: str, role: Role) -> Cut | None:
        scope = self.scope(Selection(topic, population, role))
        return scope.cut() if scope else None

    def topics(self, population: str, search: str = "", limit: int = 24) -> Topics:
        """Topics of a population whose names contain `search`."""
        names = {scope.topic for scope in self.scopes if scope.population == population and search in scope.topic}
        found = []
        for name in names:
            by_role = {role.value: self._cut(name, population, role) for role in Role}
            users = max(cut.users for cut in by_role.values() if cut)
            found.append(Topic(topic=name, population=population, users=users, **by_role))
        found.sort(key=lambda topic: (topic.topic != "*", -topic.users, topic.topic))
        populations = list(dict.fromkeys(scope.population for scope in self.scopes))
        following = limit if len(found) > limit else None
        return Topics(topics=found[:limit], populations=populations, total=len(found), next=following)

    def curve(self, chosen: Selection) -> Curve:
        """The Lorenz curve."""
        scope = self.scope(chosen)
        points = scope.points() if scope else []
        return Curve(
            **vars(chosen),
            cut=scope.cut() if scope else None,
            points=points,
            with_evidence=scope.with_evidence if scope else 0,
        )

    def funnel(self, chosen: Selection) -> TopicFunnel:
        """Who comes, who brings them and who comes back."""
        stages = self.stages if self.scope(chosen) else None
        return funnel(chosen.topic, chosen.population, stages, self.missing)

    def history(self, chosen: Selection) -> History:
        """A moment per pane."""
        scope = self.scope(chosen)
        return History(**vars(chosen), pane_ms=PANE_MS, moments=scope.moments() if scope else [])

    def influencers(
        self,
        chosen: Selection,
        *,
        standing: Sequence[str] = (),
        search: str = "",
        marked: str = "any",
        order: str = "rank",
        limit: int = 50,
        offset: int = 0,
    ) -> Influencers:
        """Users of a topic and role; in the order `emerging` these come first."""
        scope = self.scope(chosen)
        members = scope.members(EVERYBODY) if scope else []
        if order == "rank":
            members = sorted(members, key=lambda each: -each.value)
        if standing:
            members = [each for each in members if each.standing in standing]
        members = [each for each in members if search in each.user_id and not (marked == "without" and each.signals)]
        return Influencers(
            **vars(chosen),
            threshold=scope.threshold if scope else 0,
            pane_ms=PANE_MS,
            first_pane=FIRST_PANE,
            influencers=members[offset : offset + limit],
            missing_partitions=[],
            total=len(members),
            next=offset + limit if len(members) > offset + limit else None,
        )

    def last_flags(self, wanted: FlagFilter, limit: int) -> Flags:
        """The last flags that fit, the newest first."""
        fitting = [flag for flag in reversed(self.flags) if fits(FlagAbout.of(flag), wanted)]
        return Flags(flags=fitting[:limit], position="0", since=self.flags_since)

    def why(self, user_id: str, chosen: Selection) -> Why | None:
        """Why a user stands there; nothing where nobody knows the user."""
        scope = self.scope(chosen)
        members = scope.members(EVERYBODY) if scope else []
        now = next((each for each in members if each.user_id == user_id), None)
        if scope is None or now is None:
            return None
        flag = next(
            (
                each
                for each in self.flags
                if each.user_id == user_id and each.type == now.standing and _is_at(each, chosen)
            ),
            None,
        )
        return Why(
            user_id=user_id,
            pane_ms=round(self.about.pane_s * 1000),
            first_pane=FIRST_PANE,
            place=Place(**vars(chosen), threshold=scope.threshold, now=now, flag=flag),
            rule=self.about.rules[str(flag.rule)] if flag else "",
            cut=scope.cut(),
            evidence=self.evidence or evidence(),
        )


def _is_at(flag: Flag, chosen: Selection) -> bool:
    return Selection(flag.topic, flag.population, flag.role) == chosen


def evidence() -> Evidence:
    """Posts and shares as riser-01 has them in the demo."""
    posts = [_contribution(i, "post", impressions) for i, impressions in enumerate((486, 412, 377, 365, None))]
    shares = [_contribution(i, "share", impressions) for i, impressions in enumerate((702, 311, 154))]
    return Evidence(posts=posts, shares=shares, found=14, read_records=20_412, is_complete=True, note="")


def _contribution(i: int, kind: str, impressions: int | None) -> Contribution:
    return Contribution(
        ts=NOW - 120_000 - i * 347_000,
        kind=kind,
        impressions=impressions,
        topics=["phone"] if i % 2 else ["phone", "coffee"],
        post_id=f"p{104_233 + 817 * i}",
        author_id=f"u{7931 + 411 * i:05d}" if kind == "share" else None,
        channel=None,
    )


def flag(
    user_id: str,
    type_: FlagType,
    *,
    role: Role = Role.CONNECTOR,
    topic: str = "phone",
    population: str = "all",
    value: int = 3_470,
    threshold: int = 10_240,
    eta_s: float | None = None,
    event_time: int = NOW,
    warming_up: bool = False,
) -> Flag:
    """A flag with numbers that could be."""
    rule = {FlagType.ENTERED: 1, FlagType.EMERGING: 3, FlagType.FADING: 4, FlagType.LEFT: 5}[type_]
    return Flag(
        flag_id=f"{user_id}-{topic}-{role}-{type_}-{event_time}",
        type=type_,
        role=role,
        topic=topic,
        population=population,
        user_id=user_id,
        value=value,
        threshold=threshold,
        share=value / 89_000_000,
        rank=3_112,
        short_rate=3_355.1,
        long_rate=5.0,
        rate_error=1_204.7,
        z=4.58,
        events=7.7,
        reason=Reason.ACCELERATING if type_ is FlagType.EMERGING else None,
        chance=0.64 if type_ is FlagType.EMERGING else None,
        chance_flags=431 if type_ is FlagType.EMERGING else None,
        chance_from=ChanceFrom.OWN if type_ is FlagType.EMERGING else None,
        eta_s=eta_s,
        rule=rule,
        window_start=FIRST_PANE,
        window_end=WINDOW_END,
        event_time=event_time,
        detected_at=DETECTED + (event_time - NOW) // 600,
        settings_version=VERSION,
        warming_up=warming_up,
    )


def demo_flags() -> list[Flag]:
    """The last flags before 17:10 of the demo's day, the oldest first."""
    minute = 60_000
    entered, fading, left, emerging = FlagType.ENTERED, FlagType.FADING, FlagType.LEFT, FlagType.EMERGING
    return [
        flag("u13204", entered, value=10_702, threshold=10_498, event_time=NOW - 41 * minute),
        flag("u02377", entered, role=Role.MAVEN, topic="*", value=10, threshold=9, event_time=NOW - 38 * minute),
        flag("u17691", left, topic="coffee", value=5_014, threshold=6_765, event_time=NOW - 33 * minute),
        flag("u08120", entered, topic="running-shoes", value=11_902, threshold=11_271, event_time=NOW - 29 * minute),
        flag("u15543", fading, value=8_411, threshold=10_560, event_time=NOW - 24 * minute),
        flag("u04418", entered, role=Role.MAVEN, topic="coffee", value=18, threshold=17, event_time=NOW - 21 * minute),
        flag(
            "riser-07",
            emerging,
            role=Role.MAVEN,
            topic="console",
            value=11,
            threshold=41,
            eta_s=15_240.0,
            event_time=NOW - 18 * minute,
        ),
        flag("u12790", entered, topic="*", value=10_822, threshold=10_360, event_time=NOW - 13 * minute),
        flag("riser-01", emerging, topic="*", threshold=10_360, eta_s=6_180.0, event_time=NOW - 10 * minute),
        flag("riser-01", emerging, eta_s=7_440.0, event_time=NOW - 10 * minute),
        flag("u19478", emerging, value=8_181, threshold=10_545, eta_s=14_976.0, event_time=NOW - 6 * minute),
        flag("u07931", entered, value=10_911, threshold=10_581, event_time=NOW - 4 * minute),
        flag("riser-02", emerging, value=3_156, threshold=10_581, eta_s=9_252.0, event_time=NOW - 1 * minute),
    ]
