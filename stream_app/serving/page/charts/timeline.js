// How a cut moved over the window: the percent of users, and θ, above one axis of event time.

import { canvas, line, path, probe, round, text } from "./drawing.js";
import { svg } from "../dom.js";
import { moment, number, percent } from "../text/format.js";

const BAND = 64;
const TITLE = 26;
const GAP = 18;
const BOTTOM = 26;
const RIGHT = 6;

const SERIES = [
  { name: "% of users", kind: "first", value: (m) => m.percent_of_users, words: percent },
  { name: "θ", kind: "second", value: (m) => m.threshold, words: number },
];

/** @param {number} width; up to `full_ms` the window was filling */
export function drawTimeline(width, { moments, full_ms }) {
  const height = 2 * (TITLE + BAND) + GAP + BOTTOM;
  const node = canvas(width, height);
  const [first, last] = [moments[0], moments.at(-1)];
  const length = last.window_end - first.window_end || 1;
  const x = (m) => ((m.window_end - first.window_end) / length) * (width - RIGHT);
  const filling = moments.filter((m) => m.window_end < full_ms);
  if (filling.length) {
    const end = x(moments[filling.length] ?? last);
    node.append(
      svg("rect", { class: "filling", x: 0, y: TITLE, width: round(end), height: height - BOTTOM - TITLE }),
      text(4, TITLE + BAND - 8, "the window was filling", "label faint over"),
    );
  }
  const heights = SERIES.map((series, i) => band(node, width, moments, x, i * (TITLE + BAND + GAP), series));
  node.append(
    text(0, height - 6, moment(first.window_end), "label"),
    text(width, height - 6, moment(last.window_end), "label", "end"),
  );
  probe(node, { top: TITLE, bottom: height - BOTTOM, width, words: TITLE + 10 }, (at) => {
    const found = nearest(moments, x, at);
    const words = `${moment(found.window_end)}: ${percent(found.percent_of_users)}, θ ${number(found.threshold)}`;
    return { x: x(found), ys: heights.map((heightOf) => heightOf(found)), words };
  });
  return {
    node,
    label:
      `Over the window: percent of users from ${percent(first.percent_of_users)} to ` +
      `${percent(last.percent_of_users)}, θ from ${number(first.threshold)} to ${number(last.threshold)}.`,
  };
}

/** One series: its name and what it is now above, its line below; returns where a moment stands in it. */
function band(node, width, moments, x, top, { name, kind, value, words }) {
  const values = moments.map(value);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const floor = top + TITLE + BAND;
  const part = (m) => (high === low ? 0.5 : (value(m) - low) / (high - low));
  const y = (m) => floor - 4 - part(m) * (BAND - 8);
  const last = moments.at(-1);
  node.append(
    text(0, top + 12, name, "label"),
    text(width, top + 12, words(value(last)), "label strong", "end"),
    line(0, floor, width, floor, "hair"),
    svg("path", { class: `curve ${kind}`, d: path(moments.map((m) => [x(m), y(m)])) }),
    svg("circle", { class: `dot ${kind}`, cx: round(x(last)), cy: round(y(last)), r: 3.5 }),
  );
  if (high > low) node.append(text(width / 2, top + 12, `${words(low)} to ${words(high)}`, "label faint", "middle"));
  return y;
}

function nearest(moments, x, at) {
  const distance = (m) => Math.abs(x(m) - at);
  return moments.reduce((best, m) => (distance(m) < distance(best) ? m : best));
}
