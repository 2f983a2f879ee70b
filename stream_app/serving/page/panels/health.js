// The pipeline in one line, and the banner that says when the page no longer knows.

import { byId, el, keyedRows, setText } from "../dom.js";
import { clock, compact, duration, exactly, fullDay, number } from "../text/format.js";

/** Events this old are recorded ones, or far behind: their time says more than their age. */
const OLD_S = 6 * 3600;

/** Events further from the clock than this are history, or their time is wrong. */
const DAY_S = 24 * 3600;
const AHEAD_S = 600;

const show = keyedRows(byId("health"), (item) => item.name, makeItem);

let lost_at = 0;
let latest = null;
let state = "connecting";
let reason = "";

function makeItem() {
  const name = el("dt");
  const value = el("dd");
  const node = el("div", {}, name, value);
  const update = (item) => {
    node.className = item.kind ?? "";
    node.title = item.title;
    setText(name, item.name);
    setText(value, item.value);
  };
  return { node, update };
}

/** @param {import("../api/updates.js").State} next @param {string} words what the tracker says of it */
export function showState(next, words) {
  if (next === "lost" && state !== "lost") lost_at = Date.now();
  if (next === state && words === reason) return;
  state = next;
  reason = words;
  document.documentElement.dataset.state = next;
  draw();
}

export function showHealth(health) {
  latest = health;
  draw();
}

function draw() {
  const { kind, words, banner } = verdict();
  show([{ name: "Status", value: words, kind: `status ${kind}`, title: banner || words }, ...figures()]);
  const box = byId("banner");
  setText(box, banner);
  box.hidden = !banner;
}

/** In one word, and where something is wrong in a sentence. */
function verdict() {
  if (state === "lost") {
    const when = clock(lost_at);
    const banner = latest
      ? `The connection was lost at ${when}. Reconnecting. Below is what was known then.`
      : "The tracker does not answer. Trying again.";
    return { kind: "bad", words: "Reconnecting", banner: reason ? `${banner} The tracker says: ${reason}` : banner };
  }
  if (state !== "live" || !latest) return { kind: "wait", words: "Connecting", banner: "" };
  if (!latest.ready) {
    const available = `${number(latest.partitions)} of ${number(latest.partitions_expected)} partitions`;
    return {
      kind: "wait",
      words: "Starting",
      banner: `This worker is not ready yet: ${available} are there. The numbers are incomplete.`,
    };
  }
  if (!latest.live) {
    return {
      kind: "bad",
      words: "Standing still",
      banner: "Counting stands still on this worker although there are events to count.",
    };
  }
  if (latest.settings_versions?.length > 1) {
    return {
      kind: "bad",
      words: "Settings differ",
      banner: "Workers run with different settings: nobody raises flags until all have the same.",
    };
  }
  return { kind: "good", words: "Live", banner: "" };
}

function figures() {
  if (!latest) return [];
  const figure = (name, value) => ({ name, value: compact(value), title: `${name}: ${number(value)}` });
  return [
    { ...figure("events/s", latest.events_per_s), value: number(Math.round(latest.events_per_s)) },
    figure("lag", latest.lag_records),
    delay(),
    figure("late", latest.late),
    figure("rejected", latest.rejected),
  ];
}

function delay() {
  const { delay_s, event_time } = latest;
  if (delay_s === null || event_time === null) return { name: "delay", value: "–", title: "There was no event yet." };
  const title = `Event time reached: ${exactly(event_time)}${distance(delay_s)}`;
  if (delay_s < -AHEAD_S) return { name: "events ahead", value: duration(-delay_s), title };
  if (delay_s > OLD_S) return { name: "events of", value: fullDay(event_time), title };
  return { name: "delay", value: duration(delay_s), title };
}

/** What it may mean that events are far from the present, and what to do. */
function distance(delay_s) {
  if (delay_s < -AHEAD_S) return ". That is ahead of the tracker's clock: set the clocks by NTP.";
  if (delay_s < DAY_S) return "";
  const days = number(Math.round(delay_s / DAY_S));
  return `. Events are ${days} days old: replaying history? If not, look at the ts that producers send.`;
}
