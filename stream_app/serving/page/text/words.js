// What topics, roles, standings and flags are called.

import { number, wholePercent } from "./format.js";
import { named } from "./readable.js";

export const ALL_TOPICS = "*";

/** What users are ranked by, in the order of the page. The least a flag needs is `min_` and this, in /about. */
export const UNIT = { connector: "impressions", maven: "posts", recruiter: "recruits" };

export const ROLES = Object.keys(UNIT);

export const ROLE_NAME = { connector: "Connector", maven: "Maven", recruiter: "Recruiter" };

/** What users have done to have values. */
export const MADE = { connector: "made", maven: "made", recruiter: "brought in" };

/** Why there may be nobody, where that is not plain. */
export const WHY_NOBODY = {
  recruiter:
    "Somebody is brought in by the first share in a while that names whose post it is, or whom it came through.",
};

export const STANDING = { none: "None", emerging: "Emerging", entered: "Entered", fading: "Fading", left: "Left" };

export const topicName = (topic) => (topic === ALL_TOPICS ? "All topics" : named(topic));

const inTopic = (topic) => (topic === ALL_TOPICS ? "across all topics" : `in ${named(topic)}`);

/** " · employee"; nothing for the population of those who are in none. */
export const populationOf = ({ population }) => (population === "all" ? "" : ` · ${named(population)}`);

/** A quantity with its unit: "1 post", "3,470 impressions". */
export const amount = (value, role) => `${number(value)} ${value === 1 ? UNIT[role].slice(0, -1) : UNIT[role]}`;

/** What a flag says of its user, to follow the name. */
export function news(flag) {
  const place = inTopic(flag.topic);
  switch (flag.type) {
    case "emerging":
      return `is becoming a ${flag.role} ${place}`;
    case "entered":
      return `is now a ${flag.role} ${place}`;
    case "fading":
      return `is fading as a ${flag.role} ${place}`;
    default:
      return `is no longer a ${flag.role} ${place}`;
  }
}

/** Whether somebody who emerges has slowed down: does not come to θ at this pace, and is not at its door. */
export const isSlow = ({ eta_s, value }, threshold, about) => eta_s === null && value < about.emerging_door * threshold;

/** "6 of 10 enter", of those who emerge like this one; "emerging" where no chance was given. */
export function odds({ chance }) {
  return typeof chance === "number" ? `${Math.round(chance * 10)} of 10 enter` : "emerging";
}

/** What that rests on. */
export function evidenceOf({ chance, chance_flags, chance_from }) {
  if (typeof chance !== "number") return "";
  const own = `what became of ${number(chance_flags)} flags of this tracker`;
  const from = chance_from === "own" ? own : `other streams, and ${own}`;
  return `A chance of ${wholePercent(chance)} to enter within 12 h, from ${from}.`;
}

const REASON = {
  rose: "came over it",
  threshold_fell: "the cut fell, without any doing",
  newly_ranked: "the topic is newly ranked",
  back_over_threshold: "came back over it",
  accelerating: "accelerating towards it",
  at_the_door: "at its door",
  nearly_ranked: "over it, and the topic is nearly ranked",
  under_threshold: "fell under it",
  too_little_evidence: "too little evidence is left",
  no_longer_ranked: "the topic is no longer ranked",
  slowed_down: "slowed down",
};

/** Why a flag was raised, about the cut; empty for flags of releases that did not say it. */
export const because = (flag) => REASON[flag.reason] ?? "";

/** The numbers of a flag in one line, and why it was raised. */
export function numbersOf(flag) {
  const why = [because(flag), flag.type === "emerging" && flag.chance ? odds(flag) : ""].filter(Boolean).join(", ");
  const words = [numbers(flag), why].filter(Boolean).join(": ");
  return flag.warming_up ? `${words} (the window was still filling)` : words;
}

function numbers(flag) {
  const against = `${number(flag.value)} of ${number(flag.threshold)}`;
  if (flag.type === "emerging") return against;
  if (flag.type === "entered") return `${amount(flag.value, flag.role)}, the cut is at ${number(flag.threshold)}`;
  return `${against} ${UNIT[flag.role]}`;
}

/** What keeps somebody at the cut from being flagged, of the user's own; empty where it is not that. */
export function ownObstacle(value, role, threshold, about) {
  const least = leastOf(role, about);
  if (value < least) return `needs ${amount(least, role)}, has ${number(value)}`;
  return value === threshold ? "tied at the cut with others" : "";
}

/** The least evidence that a flag needs. */
export const leastOf = (role, about) => about[`min_${UNIT[role]}`];
