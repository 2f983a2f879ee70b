// Why a user stands where it stands: the numbers then and now, the panes, the posts and shares, the rule.

import { drawPanes, recentPanes } from "../charts/bars.js";
import { el, icon } from "../dom.js";
import { chart } from "../charts/drawing.js";
import { contributions } from "./evidence.js";
import { ago, duration, exactly, moment, number, percent, rate } from "../text/format.js";
import { interval } from "../text/interval.js";
import { placeHref } from "../selection.js";
import { allSaid } from "../text/signals.js";
import { term } from "../text/terms.js";
import { amount, because, evidenceOf, news, odds, ownObstacle, STANDING, topicName, UNIT } from "../text/words.js";

/** @param {HTMLElement} recruits whom the user brought in @returns {HTMLElement[]} */
export function reasons(why, about, recruits) {
  const { flag, now, role } = why.place;
  return [
    el(
      "p",
      { class: "verdict" },
      icon(flag?.type ?? now.standing),
      el("span", { class: "clamp" }, verdict(why, about)),
    ),
    ...rule(why),
    ...borderline(why),
    ...noticed(why.place),
    ...chance(why.place),
    ...(now.panes.length ? [heading("Pane by pane"), panes(why, about)] : []),
    heading("The numbers"),
    numbers(why.place, about),
    heading("The posts behind it"),
    ...contributions(why.evidence.posts, role, "post"),
    heading("The shares behind it"),
    ...contributions(why.evidence.shares, role, "share"),
    el("p", { class: "note" }, foundNote(why.evidence)),
    recruits,
    ...origin(why.place, about),
  ];
}

const heading = (words) => el("h3", {}, words);

function verdict({ place: { flag, now, role, threshold }, cut }, about) {
  if (flag) {
    const words = news(flag)[0].toUpperCase() + news(flag).slice(1);
    return [words, because(flag)].filter(Boolean).join(": ") + ".";
  }
  const short = threshold - now.value;
  if (short > 0) return `${amount(short, role)} short of the cut, and not flagged.`;
  return `At or above the cut, but not flagged: ${obstacle(now.value, role, cut, about)}.`;
}

/** What keeps somebody at the cut from being flagged. */
function obstacle(value, role, cut, about) {
  const own = ownObstacle(value, role, cut?.ties > 1 ? cut.threshold : null, about);
  if (own) return own;
  if (cut && cut.users < about.min_users && !cut.ranked) {
    return `the topic has ${number(cut.users)} users, and needs ${number(about.min_users)} to be ranked`;
  }
  if (cut && !cut.ranked) return "the cut takes too many of the users to mean anything";
  return "evaluated in a moment";
}

function rule({ place, rule: words }) {
  if (!place.flag || !words) return [];
  return [el("p", { class: "rule" }, el("span", { class: "number" }, `Rule ${place.flag.rule}`), ` ${words}`)];
}

/** Nothing is said of somebody who is clearly in the cut, or out of it. */
function borderline({ place: { now }, cut }) {
  const within = cut && interval(cut, "threshold");
  if (!now.borderline || !within) return [];
  const words = `: the value is inside the interval of θ, ${within}. Who happened to be active decides.`;
  return [el("p", { class: "rule" }, term("interval", "Borderline"), words)];
}

/** Facts, and no verdict: what they mean is for people to judge. */
function noticed({ now, role }) {
  if (!now.signals.length) return [];
  const left = now.trusted === null ? "" : ` Trusted: ${number(now.trusted)} of ${amount(now.value, role)}.`;
  const words = `: ${allSaid(now.signals)}, in 24 hours, whatever the topic.${left}`;
  return [el("p", { class: "rule" }, term("signal", "Noticed"), words)];
}

function chance({ flag }) {
  const words = flag ? evidenceOf(flag) : "";
  return words ? [el("p", { class: "note" }, words)] : [];
}

function panes(why, about) {
  const { now, role, flag } = why.place;
  const host = el("div", { class: "chart" });
  const sum = now.panes.reduce((total, value) => total + value, 0);
  chart(
    host,
    drawPanes,
  )({
    panes: now.panes,
    pane_ms: why.pane_ms,
    first_pane: why.first_pane,
    recentCount: recentPanes(about, why.pane_ms),
    role,
    flagged_at: flag?.event_time ?? null,
  });
  const words = `${number(now.panes.length)} panes of ${duration(why.pane_ms / 1000)} add up to ${amount(sum, role)}.`;
  return el("figure", {}, host, el("figcaption", { class: "note" }, words));
}

/** Two columns where there is a flag: what it said, and what has become of it. */
function numbers({ flag, now, role, threshold }, about) {
  const unit = UNIT[role];
  const short = duration(about.short_s);
  const rows = [
    [unit, (at) => number(at.value)],
    [[term("theta", "θ"), ", what it takes"], (at) => number(at.threshold)],
    ...amplifiedOf(now),
    ["share of all", (at) => percent(at.share * 100)],
    ["rank", (at) => number(at.rank)],
    [[`last ${short}, `, term("error", "per hour")], (at) => `${rate(at.short_rate)} ± ${rate(at.rate_error)}`],
    ["before that, per hour", (at) => rate(at.long_rate)],
    [[term("z", "z"), ", how unusual"], (at) => rate(at.z)],
    [[term("events", "events"), " that carry it"], (at) => rate(at.events)],
    [[term("chance", "chance"), " to enter"], (at) => (typeof at.chance === "number" ? odds(at) : "–")],
    ["standing", (at) => STANDING[at.type ?? at.standing]],
  ];
  const columns = [
    ["when flagged", flag],
    ["now", { ...now, threshold }],
  ].filter(([, at]) => at);
  return el(
    "table",
    { class: "numbers" },
    el("thead", {}, el("tr", {}, el("td"), ...columns.map(([name]) => el("th", { scope: "col" }, name)))),
    el(
      "tbody",
      {},
      ...rows.map(([name, read]) =>
        numbersRow(
          name,
          columns.map(([, at]) => read(at)),
        ),
      ),
    ),
  );
}

/** What others' shares added, of who has any. */
function amplifiedOf({ amplified, multiplier }) {
  if (!amplified) return [];
  const words = multiplier ? `${number(amplified)} (${rate(multiplier)} ×)` : number(amplified);
  return [[[term("amplified", "amplified"), " by others"], (at) => ("amplified" in at ? words : "–")]];
}

function numbersRow(name, values) {
  return el("tr", {}, el("th", { scope: "row" }, ...[name].flat()), ...values.map((value) => el("td", {}, value)));
}

function foundNote(evidence) {
  const events = `${number(evidence.found)} events of this user`;
  const found = `${events} found in ${number(evidence.read_records)} records read back.`;
  const rest = evidence.is_complete ? "" : " Not all of the window could be read back.";
  return `${found}${rest}${evidence.note ? ` ${evidence.note}` : ""}`;
}

/** Where the numbers come from, so that somebody can check them. */
function origin(place, about) {
  const { flag } = place;
  const facts = [["Settings", flag?.settings_version ?? about.settings_version]];
  if (flag) {
    facts.push(
      [term("eventTime", "Event time"), exactly(flag.event_time)],
      ["Detected", `${exactly(flag.detected_at)}, ${ago(flag.detected_at, Date.now())}`],
      ["Window", `${moment(flag.window_start)} – ${moment(flag.window_end)}`],
      ["Flag", flag.flag_id],
    );
  }
  const list = el(
    "dl",
    { class: "origin" },
    ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
  );
  return [
    list,
    el(
      "p",
      {},
      el("a", { class: "clamp", href: placeHref(place) }, `See all ${place.role}s: ${topicName(place.topic)}`),
    ),
  ];
}
