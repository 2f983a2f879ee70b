// The flags as they are raised, newest first; they wait while somebody reads.

import { byId, el, icon, keyedRows, setText } from "../dom.js";
import { ago, exactly, moment, number } from "../text/format.js";
import { whyHref } from "../selection.js";
import { named, readable } from "../text/readable.js";
import { news, numbersOf, populationOf } from "../text/words.js";

const KEPT = 40;
const DRAW_MS = 250;
const SPEAK_MS = 5000;
const TYPES = ["emerging", "entered", "fading", "left"];

/** The last flags of each type: the few who emerge are not swept away by the many who enter. */
const kept = new Map(TYPES.map((type) => [type, []]));
const list = byId("flags");
const held = byId("held");
const choice = byId("feed-type");
const show = keyedRows(list, (flag) => flag.flag_id, makeFlag);

let arrived = 0;
let shown = [];
let isRead = false;
let drawing = 0;
let speaking = 0;
let unspoken = [];
/** A screen reader speaks only the flags that came after those that were there already. */
let isSpeaking = false;

export function addFlag(flag) {
  const flags = kept.get(flag.type);
  if (flags.some((other) => other.flag_id === flag.flag_id)) return; // sent again after the connection was lost
  arrived += 1;
  flags.unshift({ ...flag, arrived });
  if (flags.length > KEPT) flags.pop();
  if (isSpeaking) unspoken.push(flag);
  drawing ||= setTimeout(draw, DRAW_MS);
  speaking ||= setTimeout(speak, SPEAK_MS);
}

/** The flags that were there already are about to come: whatever follows them is news. */
export function beginFeed() {
  drawing ||= setTimeout(draw, DRAW_MS);
}

export function watchFeed() {
  choice.addEventListener("change", reveal);
  held.addEventListener("click", reveal);
  const feed = list.parentElement;
  feed.addEventListener("pointerenter", (event) => reading(event.pointerType === "mouse" || isRead));
  feed.addEventListener("pointerleave", () => reading(list.contains(document.activeElement)));
  list.addEventListener("focusin", () => reading(true));
  list.addEventListener("focusout", () => reading(feed.matches(":hover")));
}

function reading(now) {
  isRead = now;
  if (!isRead) draw();
}

/** The flags to be shown now, newest first. */
function current() {
  const wanted = choice.value ? kept.get(choice.value) : TYPES.flatMap((type) => kept.get(type));
  return [...wanted].sort((a, b) => b.arrived - a.arrived).slice(0, KEPT);
}

function draw() {
  clearTimeout(drawing);
  drawing = 0;
  const now = current();
  const fresh = now.filter((flag) => !shown.includes(flag)).length;
  if (isRead && shown.length && fresh) {
    setText(held, `${number(fresh)} new`);
    held.hidden = false;
    return;
  }
  reveal();
}

function reveal() {
  isSpeaking = true;
  shown = current();
  show(shown);
  held.hidden = true;
  byId("feed-note").hidden = shown.length > 0;
  setText(byId("feed-note"), choice.value ? "None of these yet." : "Nobody has been flagged yet.");
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
  const what = el("span", { class: "what clamp", title: readable(flag.topic) }, news(flag) + populationOf(flag));
  const numbers = el("span", { class: "numbers" }, numbersOf(flag));
  const link = el("a", { class: `flag ${flag.type}`, "data-role": flag.role, href: whyHref(flag.user_id, flag) });
  link.append(icon(flag.type), user, time, what, numbers);
  return { node: el("li", {}, link), update: () => {} };
}
