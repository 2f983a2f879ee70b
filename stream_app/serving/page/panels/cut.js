// The sentence, the figures and the two charts about the chosen topic, population and role.

import { chart } from "../charts/drawing.js";
import { byId, el, setChildren, setText } from "../dom.js";
import { duration, exactly, fraction, moment, number, percent, wholePercent, zone } from "../text/format.js";
import { interval, percentOfUsers } from "../text/interval.js";
import { drawLorenz, madeBy } from "../charts/lorenz.js";
import { drawTimeline } from "../charts/timeline.js";
import { readable } from "../text/readable.js";
import { term } from "../text/terms.js";
import { amount, leastOf, MADE, topicName, UNIT } from "../text/words.js";

const drawCurve = chart(byId("curve"), drawLorenz);
const drawHistory = chart(byId("history"), drawTimeline);

/** The place is another one: nothing is known of it yet. */
export function clearCut(place) {
  setText(byId("scope"), topicName(place.topic));
  byId("scope").title = readable(place.topic);
  for (const id of ["sentence", "lead", "figures"]) byId(id).replaceChildren();
  for (const id of ["curve-note", "history-note", "warming"]) byId(id).replaceChildren();
  byId("warming").hidden = true;
  drawCurve(null);
  drawHistory(null);
}

export function showCut({ cut, points, role, topic, with_evidence }, about, began_ms) {
  setChildren(byId("sentence"), sentence(cut, role, topic, about));
  setChildren(byId("lead"), cut ? lead(cut, about, with_evidence) : []);
  setChildren(byId("figures"), cut ? figures(cut) : []);
  const isWarming = cut !== null && began_ms !== null && cut.window_start < began_ms;
  setChildren(byId("warming"), isWarming ? warming(cut, began_ms, about) : []);
  byId("warming").hidden = !isWarming;
  drawCurve(cut ? { cut, points } : null);
  setText(byId("curve-note"), cut ? topOnePercent(points, role) : "");
  document.title = cut
    ? `${topicName(topic)}: ${percentOfUsers(cut)} make ${wholePercent(cut.share)}`
    : "Influence";
}

export function showHistory({ moments }, about, began_ms) {
  const full_ms = (began_ms ?? 0) + about.window_s * 1000;
  drawHistory(moments.length > 1 ? { moments, full_ms } : null);
  setChildren(byId("history-note"), change(moments, full_ms));
}

/** What the line says, from its first full window to its end. */
function change(moments, full_ms) {
  const [last, first] = [moments.at(-1), moments.find((each) => each.window_end >= full_ms)];
  if (!first || first === last) return ["No other full window to compare with yet."];
  const time = ["In ", term("eventTime", "event time"), `, ${zone(last.window_end)}: `];
  const then = `${percentOfUsers(first)} of users on ${moment(first.window_end)}`;
  return [...time, `${then}, ${percentOfUsers(last)} now.`];
}

/** How much of the first window has been seen. */
function warming(cut, began_ms, about) {
  const seen_s = Math.max(0, (cut.window_end - began_ms) / 1000);
  const of = `${duration(seen_s)} of ${duration(about.window_s)}`;
  return [term("warming", "Warming up"), `: the window holds ${of}. All numbers still grow because of that.`];
}

const strong = (words) => el("strong", {}, words);

/** What matters, in words. */
function sentence(cut, role, topic, about) {
  if (!cut) return [`Nobody has ${MADE[role]} ${UNIT[role]} ${topic === "*" ? "" : "here "}within the window.`];
  const part = [strong(percentOfUsers(cut)), " of users", ...within(cut, "percent_of_users")];
  const whole = `${wholePercent(cut.share)} of ${UNIT[role]}`;
  if (cut.users < about.min_users) return ["Only ", strong(amountOfUsers(cut.users)), ": too few to single anyone out"];
  if (cut.diffuse) return ["Nobody stands out: it takes ", ...part, ` to make ${whole}`];
  return [...part, " make ", whole];
}

/** From where to where it is with other people like these; nothing where that is not known. */
function within(cut, name) {
  const words = interval(cut, name);
  return words ? [" ", el("span", { class: "interval" }, term("interval", `[${words}]`))] : [];
}

const amountOfUsers = (users) => `${number(users)} ${users === 1 ? "user" : "users"}`;

/** Who that is, in the terms that everything else here uses; `enough` users have the least evidence. */
function lead(cut, about, enough) {
  const each = amount(cut.threshold, cut.role);
  const whom = [`${number(cut.k)} of ${amountOfUsers(cut.users)}`];
  if (cut.users < about.min_users)
    return [...whom, ` make ${wholePercent(cut.share)}, which is `, term("few", "too few to say"), "."];
  if (cut.diffuse) return [...whom, ", each with at least ", `${each}. That is `, term("diffuse", "diffuse"), "."];
  const people = cut.percent_of_population == null ? "" : ` (${percent(cut.percent_of_population)} of people)`;
  if (enough < cut.k) return [...whom, ...withoutEvidence(cut, about, enough, each)];
  const are = [" are the ", term(cut.role, `mass ${cut.role}s`), "."];
  return [...whom, people, ...are, ` Each ${MADE[cut.role]} at least ${each} in ${duration(about.window_s)}.`];
}

/** Of the cut only some, or none, have the least evidence. */
function withoutEvidence(cut, about, enough, each) {
  const make = ` make that much, each at least ${each} in ${duration(about.window_s)}.`;
  const least = [term("evidence", "least evidence"), `, ${amount(leastOf(cut.role, about), cut.role)}`];
  if (!enough) return [make, " None has the ", ...least, ", so nobody is flagged."];
  const are = enough === 1 ? `is a mass ${cut.role}` : `are mass ${cut.role}s`;
  const rest = `; the other ${number(cut.k - enough)} cannot be flagged.`;
  return [make, ` Only ${number(enough)} with the `, ...least, `, ${are}${rest}`];
}

function figures(cut) {
  const made = `k = ${number(cut.k)} of ${number(cut.users)}, who make ${percent(cut.coverage * 100)}`;
  return [
    figure([term("k", "Users in the cut")], [number(cut.k), ...within(cut, "k")], made),
    figure(
      [term("theta", "θ"), ` in ${UNIT[cut.role]}`],
      [(cut.exact ? "" : "≈ ") + number(cut.threshold), ...within(cut, "threshold")],
      thresholdTitle(cut),
    ),
    figure([term("gini", "Gini")], [fraction(cut.gini)], String(cut.gini)),
    figure(
      [term("flagged", "Flagged")],
      [number(cut.flagged)],
      `entered or fading; ${number(cut.emerging)} more emerge`,
    ),
  ];
}

function thresholdTitle(cut) {
  const when = `at ${exactly(cut.window_end)}`;
  return cut.exact ? `${number(cut.ties)} with exactly this value, ${when}` : `Known to 4 % for a moment, ${when}`;
}

function figure(name, value, title) {
  return el("div", { title }, el("dt", {}, ...name), el("dd", {}, ...value));
}

function topOnePercent(points, role) {
  return points.length ? `The top 1\u00a0% alone make ${percent(madeBy(points, 0.01) * 100)} of ${UNIT[role]}.` : "";
}
