"""The dashboard Influence: how uneven influence is, topic by topic, what moves, and the flags raised."""

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery, Dashboard, Row
from grafana_foundation_sdk.models import units

from deploy.grafana import parts
from deploy.grafana.parts import Query
from stream_app.core.messages import Role

CUT = 'job="$job", topic=~"$topic", population=~"$population", role=~"$role"'
FLAG = 'job="$job", role=~"$role"'
FUNNEL = 'job="$job", topic=~"$topic", population=~"$population"'
SCOPE = "{{topic}} ({{population}})"
OF_A_CUT = "max by (topic, population, role)"
DIFFUSE = ((1 / 3, parts.ORANGE),)
"""The default of STREAM_APP_DIFFUSE_FRACTION."""

SIDES = ("low", "high")
OF_EVERYBODY = tuple(f"{role.value} (all)" for role in (Role.CONNECTOR, Role.MAVEN, Role.RECRUITER))
"""The legends of the default population."""

ABOUT = """\
A few people do most of the influencing. **Mass connectors** are the fewest users who together make 80 % of all
influence *impressions* (one person reached once), **mass mavens** the fewest who make 80 % of all influence *posts*,
**mass recruiters** the fewest who bring in 80 % of those who are brought in by somebody.
Here is how many they are in each topic, and how that changes. Topic `*` is all topics together; which topics are shown
is set with `STREAM_APP_METRIC_TOPICS`. *Who* they are is not in metrics: ask `stream-app top`, or follow the flags with
`stream-app watch`.
"""

FLAG_COLOURS = {
    "emerging": parts.ORANGE,
    "entered": parts.GREEN,
    "fading": parts.YELLOW,
    "left": parts.GREY,
}

REASONS = {
    "emerging": "at_the_door: at 0.9 θ. accelerating: on course to θ. nearly_ranked: over θ of a topic nearly ranked.",
    "entered": "rose: did something lately. threshold_fell: did nothing, θ fell. newly_ranked: the topic has just "
    "become ranked. back_over_threshold: was fading.",
    "fading": "under_threshold: below 0.8 θ for the dwell time.",
    "left": "under_threshold: far below θ. too_little_evidence: what is left is less than a flag needs. "
    "no_longer_ranked: the topic has too few users, or became diffuse. slowed_down: was emerging, and rises no more.",
}
"""What the reasons mean, by type."""


def build() -> Dashboard:
    """The whole dashboard."""
    board = parts.dashboard(
        "stream-app-influence",
        "Influence",
        "Mass connectors, mavens and recruiters, topic by topic: how many they are, what moves, and the flags raised.",
    )
    for name, label, description in (
        ("topic", "Topic", "Product, service or hashtag; * is all of them together"),
        ("population", "Population", "Who is ranked together: consumers, employees …"),
        ("role", "Role", "Connectors are ranked by impressions, mavens by posts, recruiters by recruits"),
    ):
        board.with_variable(parts.choice(name, label, description, "influence_cut_size"))
    board.annotation(_flags_as_annotations())
    board.with_panel(parts.words("What you see", ABOUT, 4))
    _now(board.with_row(Row("Now")))
    _flags(board.with_row(Row("Flags")))
    _funnel(board.with_row(Row("Funnel")))
    _topic(board.with_row(Row("Topic $topic").repeat("topic")))
    return board


def _flags_as_annotations() -> AnnotationQuery:
    return (
        AnnotationQuery()
        .name("Flags")
        .datasource(parts.DATASOURCE)
        .enable(enable=True)
        .icon_color(parts.ORANGE)
        .expr(f'sum by (type, role) (increase(influence_flags_total{{{FLAG}, type=~"emerging|entered"}}[1m])) > 0')
        .step("60s")
        .title_format("{{type}}: {{role}}")
        .text_format("Users whose standing became this in the minute before. stream-app watch says who they are.")
        .tag_keys("type,role")
    )


def _now(board: Dashboard) -> None:
    for role, of, then in (
        ("connector", "influence impressions", "In 2010 Forrester found 6.2 % of US online adults. "),
        ("maven", "influence posts", "In 2010 Forrester found 13.4 % of US online adults. "),
        ("recruiter", "recruits", ""),
    ):
        board.with_panel(
            parts.shares(
                f"Share of users who are mass {role}s",
                f"The fewest users who make 80 % of all {of}, as a part of the users who have any in the window. "
                f"{then}Orange: over a third. The topic is diffuse then: 80/20 says nothing about it, and nobody is "
                "flagged.",
                Query(
                    "max by (topic, population) (influence_cut_users_ratio"
                    f'{{job="$job", topic=~"$topic", population=~"$population", role="{role}"}})',
                    "{{topic}} ({{population}})",
                ),
                DIFFUSE,
            ).span(parts.THIRD)
        )
    names = {"topic": "Topic", "population": "Population", "role": "Role"}
    board.with_panel(
        parts.listing(
            "The cuts",
            "Of each topic, population and role: k, the fewest users who make 80 %; θ, the value of the last of them, "
            "which is what it takes to belong (impressions of a connector, posts of a maven, recruits of a recruiter); "
            "how many users are on course to θ.",
            {
                "Share of users": (units.PercentUnit, f"{OF_A_CUT} (influence_cut_users_ratio{{{CUT}}})"),
                "k (users)": (units.LocaleFormat, f"{OF_A_CUT} (influence_cut_size{{{CUT}}})"),
                "θ": (units.LocaleFormat, f"{OF_A_CUT} (influence_cut_threshold{{{CUT}}})"),
                "Emerging (users)": (units.LocaleFormat, f"{OF_A_CUT} (influence_cut_emerging{{{CUT}}})"),
            },
            names,
        )
    )
    threshold, ratio = (f"cut:influence_cut_{name}:max{{{CUT}}}" for name in ("threshold", "users_ratio"))
    board.with_panel(
        parts.listing(
            "Top movers: the cuts that changed most in an hour",
            "Where θ rises, it takes more to belong than an hour ago: somebody reaches more people, or posts more. "
            "Sorted by it; click a column for another order. Needs the recording rules in deploy/prometheus.",
            {
                "θ, change in 1 h": (
                    units.PercentUnit,
                    f"{OF_A_CUT} (delta({threshold}[1h]) / {threshold})",
                ),
                "Share of users, change in 1 h": (units.PercentUnit, f"{OF_A_CUT} (delta({ratio}[1h]))"),
                "Emerging (users)": (units.LocaleFormat, f"{OF_A_CUT} (influence_cut_emerging{{{CUT}}})"),
            },
            names,
            sort_by="θ, change in 1 h",
        )
    )


def _flags(board: Dashboard) -> None:
    by_type = parts.curves(
        "Flags by type",
        "Standings that changed, all topics together. Emerging: on course to θ. Entered: belongs now. Fading: fell "
        "below 0.8 θ. Left: belongs no more.",
        units.LocaleFormat,
        Query(f"sum by (type) (increase(influence_flags_total{{{FLAG}}}[$__interval]))", "{{type}}"),
    )
    board.with_panel(parts.painted(parts.counted(by_type, "1m"), FLAG_COLOURS).span(parts.HALF))
    by_role = parts.curves(
        "Flags by role",
        "The same flags: standings as connectors (by impressions), as mavens (by posts), as recruiters (by recruits).",
        units.LocaleFormat,
        Query(f"sum by (role) (increase(influence_flags_total{{{FLAG}}}[$__interval]))", "{{role}}"),
    )
    board.with_panel(parts.counted(by_role, "1m").span(parts.HALF))
    for flag_type, meaning in REASONS.items():
        by_reason = parts.curves(
            f"Why {flag_type}",
            f"Flags {flag_type} by reason, all roles and topics together. {meaning}",
            units.LocaleFormat,
            Query(
                "max by (reason) (increase(influence_flags_seen_total"
                f'{{job="$job", type="{flag_type}"}}[$__interval]))',
                "{{reason}}",
            ),
        )
        board.with_panel(parts.counted(by_reason, "1m").span(parts.HALF))
    board.with_panel(
        parts.curves(
            "Warnings that came true, and entries foreseen",
            "Of the emerging flags of the last week of event time those whose user entered within 12 h, and of those "
            "who entered the ones who had such a flag.",
            units.PercentUnit,
            Query(f'max by (role) (influence_flag_precision{{{FLAG}, window="7d"}})', "came true: {{role}}"),
            Query(f'max by (role) (influence_flag_recall{{{FLAG}, window="7d"}})', "foreseen: {{role}}"),
        ).span(parts.HALF)
    )
    board.with_panel(
        parts.curves(
            "Lead: from the first warning to the entry",
            "Median of the last week of event time.",
            units.Seconds,
            Query(f'max by (role) (influence_flag_lead_seconds{{{FLAG}, window="7d"}})', "{{role}}"),
        ).span(parts.HALF)
    )
    board.with_panel(
        parts.curves(
            "Flags for each standing",
            "From the first to the one that ends it, median of those that ended in the last week of event time. Many "
            "mean that users come and go.",
            units.Short,
            Query(f'max by (role) (influence_flags_per_standing{{{FLAG}, window="7d"}})', "{{role}}"),
        )
    )


def _funnel(board: Dashboard) -> None:
    by_how = parts.curves(
        "Entries by how people came",
        "In the window. Recruited: by a share that names somebody else. Self-started: all others, but for unknown, "
        "shares that name nobody. Credit goes to the person named, not to the cause.",
        units.LocaleFormat,
        Query(f"sum by (topic, population, how) (influence_funnel_entries{{{FUNNEL}}})", f"{{{{how}}}}: {SCOPE}"),
    )
    board.with_panel(parts.stacked(by_how).span(parts.HALF))
    entries = f"sum by (topic, population) (influence_funnel_entries{{{FUNNEL}}})"
    new = f"sum by (topic, population) (influence_funnel_new_entries{{{FUNNEL}}})"
    again = parts.curves(
        "New and re-entered",
        "The same entries by whether their person was known before. New means new to this data.",
        units.LocaleFormat,
        Query(new, f"new: {SCOPE}"),
        Query(f"{entries} - {new}", f"re-entered: {SCOPE}"),
    )
    board.with_panel(parts.stacked(again).span(parts.HALF))
    people = f'sum by (topic, population) (influence_funnel_people{{{FUNNEL}, stage="participants"}})'
    recruited = f'sum by (topic, population) (influence_funnel_entries{{{FUNNEL}, how="recruited"}})'
    cohort = f"sum by (topic, population) (influence_funnel_cohort_people{{{FUNNEL}}})"
    recruits = f"sum by (topic, population) (influence_funnel_cohort_recruits{{{FUNNEL}}})"
    board.with_panel(
        parts.curves(
            "K and R",
            "K: recruited entries for each participant of the window. R: recruits within the horizon after they came, "
            "for each of the people who first came on the last day for which all are known.",
            units.Short,
            Query(f"{recruited} / ({people} > 0)", f"K: {SCOPE}"),
            Query(f"{recruits} / ({cohort} > 0)", f"R: {SCOPE}"),
        ).span(parts.HALF)
    )
    board.with_panel(
        parts.curves(
            "People by stage",
            "Participants: with any event in the window. Advocates: others shared theirs. Recruiters: somebody else's "
            "entry names them.",
            units.LocaleFormat,
            Query(
                f"sum by (topic, population, stage) (influence_funnel_people{{{FUNNEL}}})", f"{{{{stage}}}}: {SCOPE}"
            ),
        ).span(parts.HALF)
    )


def _topic(board: Dashboard) -> None:
    legend = "{{role}} ({{population}})"
    share = parts.curves(
        "Share of users in the cut",
        "Users who make 80 % as a part of the active users, within its 95 % interval: where it is with other people "
        "like these. The lower, the more uneven. Above the orange line the topic is diffuse, and nobody is flagged.",
        units.PercentUnit,
        Query(f"{OF_A_CUT} (influence_cut_users_ratio{{{CUT}}})", legend),
        *(Query(f"{OF_A_CUT} (influence_cut_users_ratio_{side}{{{CUT}}})", f"{side}: {legend}") for side in SIDES),
        steps=DIFFUSE,
    )
    board.with_panel(parts.banded(share, SIDES, OF_EVERYBODY))
    board.with_panel(
        parts.curves(
            "k: users in the cut",
            "How many users make 80 %, and how many more are on course to belong to them.",
            units.LocaleFormat,
            Query(f"{OF_A_CUT} (influence_cut_size{{{CUT}}})", legend),
            Query(f"{OF_A_CUT} (influence_cut_emerging{{{CUT}}})", f"emerging: {legend}"),
        )
    )
    threshold = parts.curves(
        "θ: what it takes to belong",
        "The value of the last user in the cut: impressions of a connector (left), posts of a maven and recruits of a "
        "recruiter (right). Users above it have entered, those on course to it are emerging; within its 95 % interval "
        "they are borderline.",
        "suffix:impressions",
        Query(f"{OF_A_CUT} (influence_cut_threshold{{{CUT}}})", legend),
        *(Query(f"{OF_A_CUT} (influence_cut_threshold_{side}{{{CUT}}})", f"{side}: {legend}") for side in SIDES),
    )
    parts.banded(threshold, SIDES, OF_EVERYBODY)
    board.with_panel(parts.on_the_right(threshold, "/maven|recruiter/", "short"))
