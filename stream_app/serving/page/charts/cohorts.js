// R by cohort as bars, a day each: what is not known yet is only outlined.

import { canvas, line, round, text } from "./drawing.js";
import { svg } from "../dom.js";
import { fraction, number, utcDay } from "../text/format.js";

const HEIGHT = 150;
const TOP = 20;
const BOTTOM = 24;
/** A label needs so much room. */
const LABEL_PX = 30;
const DAY_PX = 52;
const MOST = 21;

/** @param {number} width */
export function drawCohorts(width, { cohorts }) {
  const shown = cohorts.slice(-MOST);
  const node = canvas(width, HEIGHT);
  const floor = HEIGHT - BOTTOM;
  const most = Math.max(...shown.map((one) => one.recruits / Math.max(one.people, 1)), 0.01);
  const step = Math.min(width / shown.length, 64);
  const isRoom = step >= LABEL_PX;
  const every = Math.ceil(DAY_PX / step);
  shown.forEach((one, i) => {
    const r = one.r ?? one.recruits / Math.max(one.people, 1);
    const height = Math.max(2, (r / most) * (floor - TOP));
    const place = { x: round(i * step), y: round(floor - height), width: round(step * 0.72), height: round(height) };
    const title = svg("title", {}, words(one));
    node.append(svg("rect", { class: one.r === null ? "cohort open" : "cohort", ...place }, title));
    const middle = i * step + step * 0.36;
    const value = one.r === null ? "…" : fraction(one.r);
    if (isRoom) node.append(text(middle, floor - height - 6, value, "label", "middle"));
    if ((shown.length - 1 - i) % every === 0) node.append(dayLabel(one, i, step, width));
  });
  node.append(line(0, floor, width, floor, "hair"));
  return { node, label: `R by day: ${shown.map(words).join("; ")}` };
}

/** The day below its bar, or at the edge where it would be cut off. */
function dayLabel(one, i, step, width) {
  const middle = i * step + step * 0.36;
  const half = DAY_PX / 2;
  if (middle < half) return text(0, HEIGHT - 6, utcDay(one.day), "label");
  if (middle > width - half) return text(width, HEIGHT - 6, utcDay(one.day), "label", "end");
  return text(middle, HEIGHT - 6, utcDay(one.day), "label", "middle");
}

/** "8 Mar: R 0.44, 18 people, 8 recruits". */
export function words({ day, people, recruits, r }) {
  const value = r === null ? "not yet" : fraction(r);
  const who = `${number(people)} ${people === 1 ? "person" : "people"}`;
  const whom = `${number(recruits)} ${recruits === 1 ? "recruit" : "recruits"}${r === null ? " so far" : ""}`;
  return `${utcDay(day)}: R ${value}, ${who}, ${whom}`;
}
