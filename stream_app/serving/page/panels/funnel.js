// The funnel of the topic: stages, entries in two sums that are equal, K, R by cohort; and what that does not say.

import { drawCohorts } from "../charts/cohorts.js";
import { chart } from "../charts/drawing.js";
import { byId, el, setChildren, setText, svg } from "../dom.js";
import { compact, duration, fraction, number, percent } from "../text/format.js";
import { term } from "../text/terms.js";

const drawR = chart(byId("cohorts"), drawCohorts);

/** The place is another one: nothing is known of it yet. */
export function clearFunnel() {
  byId("funnel").hidden = true;
  drawR(null);
}

export function showFunnel(data, about) {
  const { stages } = data;
  byId("funnel").hidden = false;
  byId("funnel-parts").hidden = stages === null;
  setChildren(byId("funnel-note"), [noteOf(data, about)]);
  if (stages === null) return drawR(null);
  setChildren(byId("stages"), stageRows(data));
  setChildren(byId("sums"), sums(stages));
  setText(byId("identity"), identity(stages, about));
  setChildren(byId("k-name"), [term("bigK", "K")]);
  setChildren(byId("r-name"), [term("bigR", "R"), " by the day on which they first came"]);
  setChildren(byId("k-value"), [stages.k === null ? "–" : fraction(stages.k)]);
  setText(byId("k-note"), `${number(stages.recruited)} recruited entries, ${people(stages.participants)}.`);
  setText(byId("r-note"), cohortNote(data));
  return drawR(stages.cohorts.length ? stages : null);
}

const people = (count) => `${number(count)} ${count === 1 ? "participant" : "participants"}`;

function noteOf({ stages, gap_s, missing_partitions }, about) {
  const missing = missing_partitions.length;
  const lost = missing ? ` People of ${number(missing)} partitions are missing: their worker did not answer.` : "";
  if (stages === null) return missing ? lost.trim() : "Nobody came here within the window.";
  const entry = `An entry is an event of somebody with none in the ${duration(gap_s)} before.`;
  return `The last ${duration(about.window_s)}, in panes that have ended. ${entry}${lost}`;
}

function cohortNote({ stages, horizon_s }) {
  const open = stages.cohorts.filter(({ r }) => r === null).length;
  const notYet = open ? ` Outlined: not yet, ${duration(horizon_s)} are not over.` : "";
  return `Recruits within ${duration(horizon_s)} after somebody came, by day (UTC).${notYet}`;
}

/** A bar for each stage, as a part of the participants. */
function stageRows({ stages, reached }) {
  const { participants } = stages;
  const part = (count) => (participants ? Math.min(count / participants, 1) : 0);
  const of = (count) => `${number(count)}\u2002${percent(100 * part(count))}`;
  const came = `${number(stages.re_entered)} ${stages.re_entered === 1 ? "entry" : "entries"}`;
  const impressions = reached === null ? "not known now" : `${compact(reached)} impressions`;
  return [
    stage("reached", "Reached", impressions, 1, "reach"),
    stage("participants", "Participated", number(participants), 1, ""),
    stage("advocates", "Advocates", of(stages.advocates), part(stages.advocates), ""),
    stage("recruiters", "Recruiters", of(stages.recruiters), part(stages.recruiters), ""),
    stage("reEntered", "Re-entered", came, part(stages.re_entered), "again"),
  ];
}

function stage(name, label, value, part, kind) {
  const words = [el("span", { class: "name" }, term(name, label)), el("span", { class: "value" }, value)];
  return el("li", { class: `stage ${kind}` }, ...words, bar([[kind || "fill", part]]));
}

/** Parts of a whole beside each other; the words say the same. @param {[string, number][]} parts */
function bar(parts) {
  let x = 0;
  const rects = parts.map(([kind, part]) => {
    const rect = svg("rect", { class: kind, x: share(x), width: share(part), height: "100%" });
    x += part;
    return rect;
  });
  const ground = svg("rect", { class: "ground", width: "100%", height: "100%" });
  return svg("svg", { class: "parts", width: "100%", height: "10", "aria-hidden": "true" }, ground, ...rects);
}

const share = (part) => `${Math.round(part * 10_000) / 100}%`;

/** All entries twice: by whether they are new, and by how they came. */
function sums({ entries, new: fresh, re_entered, recruited, self_started, unknown }) {
  const row = (...parts) => {
    const keys = parts.map(([kind, name, count]) =>
      el("span", { class: `part ${kind}` }, `${number(count)} `, kind === "first" ? term(name.id, name.label) : name),
    );
    const shares = parts.map(([kind, , count]) => [kind, entries ? count / entries : 0]);
    return el("div", {}, bar(shares), el("p", {}, ...keys));
  };
  return [
    row(["first", { id: "entry", label: "new" }, fresh], ["second", "re-entered", re_entered]),
    row(
      ["first", { id: "recruited", label: "recruited" }, recruited],
      ["second", "self-started", self_started],
      ["third", "unknown", unknown],
    ),
  ];
}

function identity({ entries, new: fresh, re_entered, recruited, self_started, unknown }, about) {
  const all = `${number(entries)} ${entries === 1 ? "entry" : "entries"}`;
  if (about.min_group) return `${all}; numbers in steps of ${number(about.min_group)} need not add up.`;
  const how = `${number(recruited)} recruited + ${number(self_started)} self-started + ${number(unknown)} unknown`;
  return `${all} = ${number(fresh)} new + ${number(re_entered)} re-entered = ${how}.`;
}
