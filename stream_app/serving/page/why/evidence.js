// The posts and shares that a value is made of, the largest first.

import { el } from "../dom.js";
import { exactly, moment, number } from "../text/format.js";
import { named, readable } from "../text/readable.js";

/** @returns {HTMLElement[]} */
export function contributions(items, role, kind) {
  if (!items.length) return [el("p", { class: "note" }, `No ${kind}s in the window.`)];
  const rows = items.map((item) => el("li", {}, reach(item), what(item)));
  return [el("ol", { class: "contributions" }, ...rows)];
}

function reach({ impressions }) {
  const known = impressions !== null;
  return el(
    "span",
    { class: "reach", title: known ? "impressions" : "The audience is unknown." },
    known ? number(impressions) : "–",
  );
}

function what(item) {
  const time = el("time", { datetime: new Date(item.ts).toISOString(), title: exactly(item.ts) }, moment(item.ts));
  const id = readable(item.post_id ?? "");
  const details = [
    item.author_id && `by ${named(item.author_id)}`,
    item.channel && `on ${named(item.channel)}`,
    item.topics.map(named).join(", "),
  ];
  return el(
    "span",
    {},
    el("span", { class: "clamp", title: id }, `${item.kind} ${id}`),
    el("span", { class: "details clamp" }, time, ...details.filter(Boolean).map((detail) => ` · ${detail}`)),
  );
}
