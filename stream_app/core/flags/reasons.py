"""Reasons in words, for people: what stands beside a flag in a terminal, an alert and the API."""

from collections.abc import Mapping

from stream_app.core.messages import Reason

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
