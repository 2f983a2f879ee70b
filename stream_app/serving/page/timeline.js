// How a cut moved over the window: the percent of users, and θ, above one axis of event time.

import { canvas, line, path, probe, round, text } from "./drawing.js";
import { svg } from "./dom.js";
import { moment, number, percent } from "./format.js";

const BAND = 64;
const TITLE = 26;
const GAP = 18;
const BOTTOM = 26;
const RIGHT = 6;

const SERIES = [
  { name: "% of users", className: "curve", value: (m) => m.percent_of_users, words: percent },
  { name: "θ", className: "curve second", value: (m) => m.threshold, words: number },
];

/** @param {number} width */
export function drawTimeline(width, { moments }) {
  const height = 2 * (TITLE + BAND) + GAP + BOTTOM;
  const node = canvas(width, height);
  const from = moments[0].window_end;
  const length = moments.at(-1).window_end - from || 1;
  const x = (at) => ((at - from) / length) * (width - RIGHT);
  SERIES.forEach((series, i) => band(node, width, moments, x, i * (TITLE + BAND + GAP), series));
  node.append(
    text(0, height - 6, moment(from), "label"),
    text(width, height - 6, moment(moments.at(-1).window_end), "label", "end"),
  );
  probe(node, { top: TITLE, bottom: height - BOTTOM, width }, (at) => nearest(moments, x, at, height));
  const last = moments.at(-1);
  return {
    node,
    label:
      `Over the window: percent of users from ${percent(moments[0].percent_of_users)} to ` +
      `${percent(last.percent_of_users)}, θ from ${number(moments[0].threshold)} to ${number(last.threshold)}.`,
  };
}

/** One series: its name and what it is now above, the line from its lowest to its highest value below. */
function band(node, width, moments, x, top, { name, className, value, words }) {
  const values = moments.map(value);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const floor = top + TITLE + BAND;
  const y = (v) => (high === low ? floor - BAND / 2 : floor - ((v - low) / (high - low)) * (BAND - 8) - 4);
  const points = moments.map((m) => [x(m.window_end), y(value(m))]);
  const [endX, endY] = points.at(-1);
  node.append(
    text(0, top + 12, name, "label"),
    text(width, top + 12, words(values.at(-1)), "label strong", "end"),
    line(0, floor, width, floor, "hair"),
    svg("path", { class: className, d: path(points) }),
    svg("circle", {
      class: className.includes("second") ? "dot second" : "dot",
      cx: round(endX),
      cy: round(endY),
      r: 3.5,
    }),
  );
  if (high > low) node.append(text(width / 2, top + 12, `${words(low)} to ${words(high)}`, "label faint", "middle"));
}

function nearest(moments, x, at, height) {
  const distance = (m) => Math.abs(x(m.window_end) - at);
  const found = moments.reduce((best, m) => (distance(m) < distance(best) ? m : best));
  const words = `${moment(found.window_end)}: ${percent(found.percent_of_users)}, θ ${number(found.threshold)}`;
  return { x: x(found.window_end), y: height - BOTTOM, words };
}
