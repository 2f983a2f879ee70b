// The sentence, the figures and the two charts about the chosen topic, population and role.

import { chart } from "../charts/drawing.js";
import { byId, el, setChildren, setText } from "../dom.js";
import { duration, exactly, fraction, number, percent, wholePercent } from "../text/format.js";
import { interval, percentOfUsers } from "../text/interval.js";
import { drawLorenz, madeBy } from "../charts/lorenz.js";
import { drawTimeline } from "../charts/timeline.js";
import { readable } from "../text/readable.js";
import { term } from "../text/terms.js";
import { amount, topicName, UNIT } from "../text/words.js";

const drawCurve = chart(byId("curve"), drawLorenz);
const drawHistory = chart(byId("history"), drawTimeline);

/** The place is another one: nothing is known of it yet. */
export function clearCut(place) {
  setText(byId("scope"), topicName(place.topic));
  byId("scope").title = readable(place.topic);
  for (const id of ["sentence", "lead", "figures"]) byId(id).replaceChildren();
  for (const id of ["curve-note", "history-note"]) byId(id).replaceChildren();
  drawCurve(null);
  drawHistory(null);
}

export function showCut({ cut, points, role, topic }, about) {
  setChildren(byId("sentence"), sentence(cut, role, topic, about));
  setChildren(byId("lead"), cut ? lead(cut, about) : []);
  setChildren(byId("figures"), cut ? figures(cut) : []);
  drawCurve(cut ? { cut, points } : null);
  setText(byId("curve-note"), cut ? topOnePercent(points, role) : "");
  document.title = cut
    ? `${topicName(topic)}: ${percentOfUsers(cut)} make ${wholePercent(cut.share)}`
    : "Influence";
}

export function showHistory({ moments }) {
  const isEnough = moments.length > 1;
  drawHistory(isEnough ? { moments } : null);
  const note = isEnough ? change(moments[0], moments.at(-1)) : ["Nothing to compare with yet."];
  setChildren(byId("history-note"), note);
}

/** What the line says, from its beginning to its end. */
function change(first, last) {
  const words = `: ${percentOfUsers(first)} of users at first, ${percentOfUsers(last)} now.`;
  return ["In ", term("eventTime", "event time"), words];
}

const strong = (words) => el("strong", {}, words);

/** What matters, in words. */
function sentence(cut, role, topic, about) {
  if (!cut) return [`Nobody has made ${UNIT[role]} ${topic === "*" ? "" : "here "}within the window.`];
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

/** Who that is, in the terms that everything else here uses. */
function lead(cut, about) {
  const enough = amount(cut.threshold, cut.role);
  const whom = [`${number(cut.k)} of ${amountOfUsers(cut.users)}`];
  if (cut.users < about.min_users)
    return [...whom, ` make ${wholePercent(cut.share)}, which is `, term("few", "too few to say"), "."];
  if (cut.diffuse) return [...whom, ", each with at least ", `${enough}. That is `, term("diffuse", "diffuse"), "."];
  const people = cut.percent_of_population == null ? "" : ` (${percent(cut.percent_of_population)} of people)`;
  const are = [" are the ", term(cut.role, `mass ${cut.role}s`), "."];
  return [...whom, people, ...are, ` Each made at least ${enough} in ${duration(about.window_s)}.`];
}

function figures(cut) {
  return [
    figure(
      [term("k", "Users in the cut")],
      [number(cut.k), ...within(cut, "k")],
      `k = ${number(cut.k)} of ${number(cut.users)}`,
    ),
    figure(
      [term("theta", "θ"), ` in ${UNIT[cut.role]}`],
      [(cut.exact ? "" : "≈ ") + number(cut.threshold), ...within(cut, "threshold")],
      thresholdTitle(cut),
    ),
    figure([term("gini", "Gini")], [fraction(cut.gini)], String(cut.gini)),
    figure([term("coverage", "Coverage")], [percent(cut.coverage * 100)], `${number(cut.total)} in all`),
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
