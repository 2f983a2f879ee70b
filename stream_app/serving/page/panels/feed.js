// The flags of what is looked at, or all, as they are raised, newest first; they wait while somebody reads.

import { ask, NoAnswer } from "../api/requests.js";
import { byId, el, icon, keyedRows, setText } from "../dom.js";
import { ago, exactly, moment, number } from "../text/format.js";
import { whyHref } from "../selection.js";
import { named, readable } from "../text/readable.js";
import { ALL_TOPICS, news, numbersOf, populationOf, topicName } from "../text/words.js";

const SHOWN = 40;
/** So many are kept and asked for: some fold into others. */
const KEPT = 2 * SHOWN;
const DRAW_MS = 250;
const SPEAK_MS = 5000;
const DAY_MS = 86_400_000;

const list = byId("flags");
const held = byId("held");
const type = byId("feed-type");
const reach = byId("feed-place");
const show = keyedRows(list, (flag) => flag.flag_id, makeFlag);

/** The flags that fit the choice, in no order. */
let kept = [];
let place = null;
let pane_ms = 0;
/** Flags detected up to then may be missing; null: none is. */
let since = null;
let isKnown = false;
let pending = null;
let arrived = 0;
let shown = [];
let isRead = false;
let drawing = 0;
let speaking = 0;
let unspoken = [];

/** Another place is looked at. */
export function chooseFeed(next) {
  place = next;
  setText(reach.options[0], `${topicName(place.topic)}, ${place.role}s${populationOf(place)}`);
  if (!reach.value) forget();
}

export function addFlag(flag) {
  if (!fits(flag) || kept.some((other) => other.flag_id === flag.flag_id)) return; // sent again
  keep([flag]);
  if (isKnown) unspoken.push(flag);
  drawing ||= setTimeout(draw, DRAW_MS);
  speaking ||= setTimeout(speak, SPEAK_MS);
}

/** The connection has begun: asks for the flags before it. */
export function beginFeed(settings) {
  pane_ms = settings.pane_s * 1000;
  load();
}

export function watchFeed() {
  type.addEventListener("change", choose);
  reach.addEventListener("change", choose);
  held.addEventListener("click", reveal);
  const feed = list.parentElement;
  feed.addEventListener("pointerenter", (event) => reading(event.pointerType === "mouse" || isRead));
  feed.addEventListener("pointerleave", () => reading(list.contains(document.activeElement)));
  list.addEventListener("focusin", () => reading(true));
  list.addEventListener("focusout", () => reading(feed.matches(":hover")));
}

function reading(now) {
  isRead = now;
  if (!isRead && isKnown) draw();
}

/** What flags must have in common to be shown. In all topics together are those of every topic. */
function filter() {
  const { topic, population, role } = place;
  const chosen = reach.value ? {} : { population, role, ...(topic === ALL_TOPICS ? {} : { topic }) };
  return type.value ? { ...chosen, type: type.value } : chosen;
}

const fits = (flag) => Object.entries(filter()).every(([name, value]) => flag[name] === value);

function choose() {
  forget();
  if (pane_ms) load();
}

function forget() {
  pending?.abort();
  kept = [];
  isKnown = false;
  unspoken = [];
  reveal();
}

async function load() {
  pending?.abort();
  pending = new AbortController();
  try {
    const answer = await ask("/flags", { ...filter(), limit: KEPT }, pending.signal);
    since = answer.since;
    isKnown = true;
    const later = kept.reverse(); // in the order in which they came
    kept = [];
    keep(answer.flags.reverse());
    keep(later);
    draw();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof NoAnswer)) throw error;
    note(error.message);
  }
}

function keep(flags) {
  const known = new Set(kept.map((flag) => flag.flag_id));
  const fresh = flags.filter((flag) => !known.has(flag.flag_id));
  kept.push(...fresh.map((flag) => ({ ...flag, arrived: (arrived += 1) })));
  kept.sort((a, b) => b.detected_at - a.detected_at || b.arrived - a.arrived);
  kept.length = Math.min(kept.length, KEPT);
}

/** The flags to be shown now; one about all topics together folds into that of a topic which says the same. */
function current() {
  const isAll = (flag) => flag.topic === ALL_TOPICS;
  const ofTopics = kept.filter((flag) => !isAll(flag)).map((flag) => ({ ...flag, isAlsoAll: false }));
  const folded = new Set();
  for (const flag of kept.filter(isAll)) {
    const other = ofTopics.find((each) => isSameNews(each, flag));
    if (!other) continue;
    other.isAlsoAll = true;
    folded.add(flag.flag_id);
  }
  const byFlag = new Map(ofTopics.map((flag) => [flag.flag_id, flag]));
  const left = kept.filter((flag) => !folded.has(flag.flag_id)).map((flag) => byFlag.get(flag.flag_id) ?? flag);
  return left.slice(0, SHOWN);
}

const SAME = ["user_id", "population", "role", "type"];

const isSameNews = (a, b) =>
  SAME.every((name) => a[name] === b[name]) && Math.abs(a.event_time - b.event_time) <= pane_ms;

function draw() {
  clearTimeout(drawing);
  drawing = 0;
  const before = new Set(shown.map((flag) => flag.flag_id));
  const fresh = current().filter((flag) => !before.has(flag.flag_id)).length;
  if (isRead && shown.length && fresh) {
    setText(held, `${number(fresh)} new`);
    held.hidden = false;
    return;
  }
  reveal();
}

function reveal() {
  shown = current();
  show(shown);
  held.hidden = true;
  note(shown.length || !isKnown ? "" : emptyNote());
}

function note(words) {
  setText(byId("feed-note"), words);
  byId("feed-note").hidden = !words;
}

/** Nobody was flagged, as far back as that is known. */
function emptyNote() {
  const where = reach.value ? "" : " here";
  if (since === null || since <= Date.now() - DAY_MS) return `None${where} in the last 24 h.`;
  return `None${where} since ${moment(since)}. Earlier ones are not kept here, Kafka has them.`;
}

/** One sentence for all that came: measure is what makes it bearable. */
function speak() {
  speaking = 0;
  if (!unspoken.length) return;
  const last = unspoken.at(-1);
  const before = unspoken.length > 1 ? `${unspoken.length} new flags, the last one: ` : "";
  setText(byId("spoken"), `${before}${named(last.user_id)} ${news(last)}.`);
  unspoken = [];
}

function makeFlag(flag) {
  const name = readable(flag.user_id);
  const user = el("span", { class: "user", title: name }, name);
  const time = el("time", { datetime: new Date(flag.event_time).toISOString() }, moment(flag.event_time));
  const detected = `detected ${exactly(flag.detected_at)}, ${ago(flag.detected_at, Date.now())}`;
  time.title = `Event time ${exactly(flag.event_time)}; ${detected}`;
  const what = el("span", { class: "what clamp", title: readable(flag.topic) });
  const numbers = el("span", { class: "numbers" }, numbersOf(flag));
  const link = el("a", { class: `flag ${flag.type}`, "data-role": flag.role, href: whyHref(flag.user_id, flag) });
  link.append(icon(flag.type), user, time, what, numbers);
  const update = ({ isAlsoAll }) => {
    setText(what, news(flag) + (isAlsoAll ? " and across all topics" : "") + populationOf(flag));
  };
  return { node: el("li", {}, link), update };
}
