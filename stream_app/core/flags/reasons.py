"""Reasons and chances in words, for people: what stands beside a flag in a terminal and an alert."""

from collections.abc import Mapping

from stream_app.core.messages import ChanceFrom, Flag, Reason

SAYS: Mapping[Reason | None, str] = {
    Reason.ROSE: "came over θ",
    Reason.THRESHOLD_FELL: "θ fell, without any doing",
    Reason.NEWLY_RANKED: "the topic is newly ranked",
    Reason.BACK_OVER_THRESHOLD: "back over θ",
    Reason.ACCELERATING: "accelerating towards θ",
    Reason.AT_THE_DOOR: "at the door of θ",
    Reason.NEARLY_RANKED: "over θ, and the topic is nearly ranked",
    Reason.UNDER_THRESHOLD: "under ρ·θ",
    Reason.TOO_LITTLE_EVIDENCE: "too little evidence is left",
    Reason.NO_LONGER_RANKED: "the topic is no longer ranked",
    Reason.SLOWED_DOWN: "slowed down",
    None: "",
}

_TENTHS = 10


def odds(flag: Flag) -> str:
    """Say how many of ten flags like this one come true, and what that rests on; empty where there is no chance."""
    if flag.chance is None:
        return ""
    entered = f"{round(flag.chance * _TENTHS)} of {_TENTHS} such flags entered within 12 h"
    rests_on = f"of {flag.chance_flags:,}" if flag.chance_from is ChanceFrom.OWN else "mostly on other streams"
    return f"{entered} ({rests_on})"
