// Who matters: a few who emerge, then the highest values, then who has slowed down; filtered, searched, more of them.

import { ask, NoAnswer } from "../api/requests.js";
import { byId, debounced, el, keyedRows, setText } from "../dom.js";
import { number } from "../text/format.js";
import { makeRow } from "./row.js";
import { term } from "../text/terms.js";
import { isSlow, MADE, ROLE_NAME, topicName, UNIT, WHY_NOBODY } from "../text/words.js";

const PAGE = 50;
/** As many as are looked at before somebody wants more. */
const FEW = 20;
/** So many of those who emerge stand before the leaders, and of those who have slowed down after them. */
const FEW_EMERGING = 10;
const SEARCH_MS = 250;
const REFRESH_MS = 1500;
const COLUMNS = 6;

const emerging = makeGroup("emerging-group");
const others = makeGroup("other-group");
const slowed = makeGroup("slowed-group");
const query = byId("query");
const standing = byId("standing");
const unmarked = byId("unmarked");
const more = byId("more");

let place = null;
let about = null;
/** What came by /live: the highest values, and who emerges. */
let pushed = null;
let pushedEmerging = null;
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
    heading("value", role === "maven" ? unit : term(UNIT[role], unit)),
    heading("share", "Share"),
    heading("standing", term("standing", "Standing")),
  );
}

/** The place is another one: nobody is known in it yet. */
export function clearLeaders(next) {
  place = next;
  pushed = null;
  pushedEmerging = null;
  asked = null;
  wanted = FEW;
  query.value = "";
  standing.value = "";
  unmarked.checked = false;
  pending?.abort();
  setText(byId("leaders-title"), `${ROLE_NAME[place.role]}s, by ${UNIT[place.role]}`);
  const head = el("thead", { role: "rowgroup" }, headings(place.role));
  byId("board").replaceChildren(head, ...[emerging, others, slowed].flatMap((group) => [group.head, group.body]));
  draw();
}

export function showLeaders(answer, settings) {
  pushed = answer;
  about = settings;
  // Who is missing then would be known to be marked.
  byId("unmarked-field").hidden = about.min_group > 0 || about.individuals !== "all";
  if (isPlain()) draw();
  else refresh();
}

export function showEmerging(answer) {
  pushedEmerging = answer;
  draw();
}

export function watchLeaders() {
  query.addEventListener("input", debounced(changed, SEARCH_MS));
  query.addEventListener("search", changed);
  standing.addEventListener("change", changed);
  unmarked.addEventListener("change", changed);
  more.addEventListener("click", () => {
    wanted = Math.floor(wanted / PAGE) * PAGE + PAGE;
    if (isPlain()) draw();
    else load();
  });
}

/** Some are looked for. */
const isFiltered = () => Boolean(query.value.trim() || standing.value || unmarked.checked);

/** The first page of everybody, which comes by itself. */
const isPlain = () => !isFiltered() && wanted <= PAGE;

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
    marked: unmarked.checked ? "without" : "",
    order: isFiltered() ? "emerging" : "rank",
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
  const users = answer ? distinct(answer.influencers) : [];
  const groups = isFiltered() ? filtered(users, answer) : everybody(users, answer);
  const rowsOf = (some) => some.map((user) => seenAgainst(user, answer));
  emerging.show(rowsOf(groups.onCourse));
  others.show(rowsOf(groups.others));
  slowed.show(rowsOf(groups.slowed));
  emerging.head.hidden = !groups.onCourse.length;
  slowed.head.hidden = !groups.slowed.length;
  others.head.hidden = !groups.others.length || (emerging.head.hidden && slowed.head.hidden);
  setText(emerging.title, `On their way to the cut: ${groups.onCourseCount}`);
  setText(others.title, `By ${UNIT[place.role]} in the window`);
  setText(slowed.title, `Slowed down on the way: ${groups.slowedCount}`);
  const shown = groups.onCourse.length + groups.others.length + groups.slowed.length;
  setText(byId("board-note"), answer ? noteOf(answer, shown) : "");
  byId("board").hidden = answer !== null && !shown;
  more.hidden = !answer || (answer.next === null && groups.left === 0);
}

const isEmerging = (user) => user.standing === "emerging";

/** Those who emerge, in two: who is on course to the cut, or at its door, and who has slowed down. */
function divided(users, { threshold }) {
  const isOnCourse = (user) => !isSlow(user, threshold, about);
  return [users.filter(isOnCourse), users.filter((user) => !isOnCourse(user))];
}

/** What was looked for, as much as is wanted of it. */
function filtered(users, answer) {
  const some = users.slice(0, wanted);
  const [onCourse, slow] = divided(some.filter(isEmerging), answer);
  return {
    ...{ onCourse, others: some.filter((user) => !isEmerging(user)), slowed: slow },
    ...{ onCourseCount: number(onCourse.length), slowedCount: number(slow.length) },
    left: users.length - some.length,
  };
}

/** A few of those who emerge, and as many of the others as are wanted. */
function everybody(users, answer) {
  const rising = answer && pushedEmerging ? pushedEmerging.influencers : [];
  const [onCourse, slow] = answer ? divided(rising, answer) : [[], []];
  const [first, slowest] = [onCourse.slice(0, FEW_EMERGING), slow.slice(0, FEW_EMERGING)];
  const apart = new Set([...first, ...slowest].map((user) => user.user_id));
  const rest = users.filter((user) => !apart.has(user.user_id));
  // Who is on course comes first: with somebody who is not, all who are have come.
  const isWhole = slow.length > 0 || !pushedEmerging?.next;
  const slowCount = isWhole ? (pushedEmerging?.total ?? 0) - onCourse.length : slow.length;
  return {
    ...{ onCourse: first, others: rest.slice(0, wanted), slowed: slowest },
    onCourseCount: outOf(first.length, onCourse.length, isWhole ? "" : "more than "),
    slowedCount: outOf(slowest.length, slowCount),
    left: Math.max(0, rest.length - wanted),
  };
}

const outOf = (some, all, how = "") => (some === all ? number(all) : `${number(some)} of ${how}${number(all)}`);

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
  const why = WHY_NOBODY[place.role] ? ` ${WHY_NOBODY[place.role]}` : "";
  return `Nobody has ${MADE[place.role]} ${UNIT[place.role]} within the window: ${where}.${why}${lost}`;
}
