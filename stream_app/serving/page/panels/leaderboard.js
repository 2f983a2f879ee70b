// Who matters: the emerging first, then the highest values; filtered, searched, more of them.

import { ask, NoAnswer } from "../api/requests.js";
import { byId, debounced, el, keyedRows, setText } from "../dom.js";
import { number } from "../text/format.js";
import { makeRow } from "./row.js";
import { term } from "../text/terms.js";
import { ROLE_NAME, topicName, UNIT } from "../text/words.js";

const PAGE = 50;
/** As many as are looked at before somebody wants more. */
const FEW = 20;
const SEARCH_MS = 250;
const REFRESH_MS = 1500;
const COLUMNS = 6;

const emerging = makeGroup("emerging-group");
const others = makeGroup("other-group");
const query = byId("query");
const standing = byId("standing");
const more = byId("more");

let place = null;
let about = null;
/** What came by /live: the first page, unfiltered. */
let pushed = null;
/** What was asked for instead, where something else is wanted. */
let asked = null;
let wanted = FEW;
let pending = null;

function makeGroup(id) {
  const title = el("th", { scope: "rowgroup", colspan: COLUMNS, role: "columnheader" });
  const heading = el("tr", { class: "group", role: "row" }, title);
  const head = el("tbody", { role: "rowgroup", hidden: "" }, heading);
  const body = el("tbody", { id, role: "rowgroup" });
  return { head, body, title, show: keyedRows(body, (row) => row.user.user_id, makeRow) };
}

function headings(role) {
  const heading = (className, ...content) =>
    el("th", { scope: "col", role: "columnheader", class: className }, ...content);
  const unit = UNIT[role][0].toUpperCase() + UNIT[role].slice(1);
  return el(
    "tr",
    { role: "row" },
    heading("rank", "Rank"),
    heading("who", "User"),
    heading("activity", "Activity"),
    heading("value", role === "connector" ? term("impressions", unit) : unit),
    heading("share", "Share"),
    heading("standing", el("span", { class: "course" }, term("standing", "Standing"), term("z", "z"))),
  );
}

/** The place is another one: nobody is known in it yet. */
export function clearLeaders(next) {
  place = next;
  pushed = null;
  asked = null;
  wanted = FEW;
  query.value = "";
  standing.value = "";
  pending?.abort();
  setText(byId("leaders-title"), `${ROLE_NAME[place.role]}s, by ${UNIT[place.role]}`);
  const head = el("thead", { role: "rowgroup" }, headings(place.role));
  byId("board").replaceChildren(head, emerging.head, emerging.body, others.head, others.body);
  draw();
}

export function showLeaders(answer, settings) {
  pushed = answer;
  about = settings;
  if (isPlain()) draw();
  else refresh();
}

export function watchLeaders() {
  query.addEventListener("input", debounced(changed, SEARCH_MS));
  query.addEventListener("search", changed);
  standing.addEventListener("change", changed);
  more.addEventListener("click", () => {
    wanted = Math.floor(wanted / PAGE) * PAGE + PAGE;
    if (isPlain()) draw();
    else load();
  });
}

/** The first page of everybody, which comes by itself. */
const isPlain = () => !query.value.trim() && !standing.value && wanted <= PAGE;

function changed() {
  wanted = FEW;
  if (!isPlain()) return load();
  pending?.abort();
  asked = null;
  return draw();
}

const refresh = debounced(() => isPlain() || load(), REFRESH_MS);

/** Asks page by page for as many as are wanted; a later question takes the place of an earlier one. */
async function load() {
  pending?.abort();
  pending = new AbortController();
  const { signal } = pending;
  const parameters = {
    ...place,
    standing: standing.value.split(" "),
    search: query.value.trim(),
    order: "emerging",
    limit: PAGE,
  };
  try {
    let answer = await ask("/influencers", { ...parameters, offset: 0 }, signal);
    const influencers = answer.influencers;
    while (answer.next !== null && influencers.length < wanted) {
      answer = await ask("/influencers", { ...parameters, offset: answer.next }, signal);
      influencers.push(...answer.influencers);
    }
    asked = { ...answer, influencers };
    draw();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof NoAnswer)) throw error;
    setText(byId("board-note"), error.message);
  }
}

function draw() {
  const answer = isPlain() ? pushed : (asked ?? pushed);
  const rows = answer ? distinct(answer.influencers).map((user) => seenAgainst(user, answer)) : [];
  const rising = rows.filter((row) => row.user.standing === "emerging");
  const rest = rows.filter((row) => row.user.standing !== "emerging").slice(0, wanted);
  const shown = rising.length + rest.length;
  emerging.show(rising);
  others.show(rest);
  emerging.head.hidden = !rising.length;
  others.head.hidden = !rising.length || !rest.length;
  setText(emerging.title, `On their way to the cut: ${number(rising.length)}`);
  setText(others.title, `By ${UNIT[place.role]} in the window`);
  setText(byId("board-note"), answer ? noteOf(answer, shown) : "");
  byId("board").hidden = answer !== null && !rows.length;
  more.hidden = !answer || (answer.next === null && shown === rows.length);
}

const seenAgainst = (user, { pane_ms, threshold }) => ({ user, place, about, pane_ms, threshold });

/** Somebody may have moved from one page to the next between two questions. */
const distinct = (users) => [...new Map(users.map((user) => [user.user_id, user])).values()];

function noteOf(answer, shown) {
  const missing = answer.missing_partitions.length;
  const lost = missing ? ` Users of ${number(missing)} partitions are missing: their worker did not answer.` : "";
  if (shown) return `${number(shown)} of ${number(answer.total)} users.${lost}`;
  const words = query.value.trim();
  const where = topicName(place.topic);
  if (words) return `No user with “${words}” in the name: ${where}.${lost}`;
  if (standing.value) return `Nobody has this standing now: ${where}.${lost}`;
  return `Nobody has made ${UNIT[place.role]} within the window: ${where}.${lost}`;
}
