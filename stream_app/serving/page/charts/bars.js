// Panes as bars: small ones in the leaderboard, large ones where somebody asks why.

import { canvas, line, round, text } from "./drawing.js";
import { setAttribute, svg } from "../dom.js";
import { amount, UNIT } from "../text/words.js";
import { moment, number, span } from "../text/format.js";

const SPARK_WIDTH = 120;
const SPARK_HEIGHT = 22;
const SPARK_BARS = 48;
const HEIGHT = 150;
const TOP = 22;
const BOTTOM = 24;

/** Panes in the short window; none where a pane is longer. */
export const recentPanes = (about, pane_ms) => Math.floor((about.short_s * 1000) / pane_ms);

/** Sums of neighbours, so that no more than `most` remain; the newest group is always full. */
function grouped(panes, most) {
  const size = Math.ceil(panes.length / most);
  const groups = [];
  for (let end = panes.length; end > 0; end -= size) {
    groups.unshift(panes.slice(Math.max(0, end - size), end).reduce((sum, value) => sum + value, 0));
  }
  return { groups, size };
}

/** A sparkline of bars, of which the last ones, the short window, are marked. */
export function sparkline() {
  const past = svg("path", { class: "past" });
  const recent = svg("path", { class: "recent" });
  const node = svg(
    "svg",
    {
      class: "spark",
      viewBox: `0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`,
      "aria-hidden": "true",
      preserveAspectRatio: "none",
    },
    past,
    recent,
  );
  const update = (panes, recentCount) => {
    const { groups, size } = grouped(panes, SPARK_BARS);
    const most = Math.max(1, ...groups);
    const step = SPARK_WIDTH / groups.length;
    const bars = groups.map((value, i) => {
      const height = value ? Math.max(1.5, (value / most) * SPARK_HEIGHT) : 0;
      return height
        ? `M${round(i * step)} ${SPARK_HEIGHT}v${-round(height)}h${round(step * 0.7)}v${round(height)}z`
        : "";
    });
    const first = groups.length - (recentCount ? Math.max(1, Math.round(recentCount / size)) : 0);
    setAttribute(past, "d", bars.slice(0, first).join(""));
    setAttribute(recent, "d", bars.slice(first).join(""));
  };
  return { node, update };
}

/** The panes of a user, with the moment of the flag. @param {number} width */
export function drawPanes(width, { panes, pane_ms, first_pane, recentCount, role, flagged_at }) {
  const node = canvas(width, HEIGHT);
  const most = Math.max(1, ...panes);
  const floor = HEIGHT - BOTTOM;
  const step = width / panes.length;
  const highest = panes.indexOf(Math.max(...panes));
  const from = (i) => first_pane + i * pane_ms;
  panes.forEach((value, i) => {
    const height = value ? Math.max(2, (value / most) * (floor - TOP)) : 0;
    const className = i >= panes.length - recentCount ? "bar recent" : "bar past";
    const place = { x: round(i * step), y: round(floor - height), width: round(step * 0.72), height: round(height) };
    const title = svg("title", {}, `${span(from(i), from(i + 1))}: ${amount(value, role)}`);
    node.append(svg("rect", { class: className, ...place }, title));
  });
  const end = from(panes.length);
  node.append(
    line(0, floor, width, floor, "hair"),
    text(0, HEIGHT - 6, moment(first_pane), "label"),
    text(width, HEIGHT - 6, moment(end), "label", "end"),
    text(0, 11, `highest ${number(most)}`, "label"),
  );
  if (flagged_at !== null && flagged_at >= first_pane && flagged_at <= end) {
    const x = ((flagged_at - first_pane) / (end - first_pane)) * width;
    node.append(
      line(x, 18, x, floor, "mark"),
      text(x, 11, `flagged ${moment(flagged_at)}`, "label strong", x > width / 2 ? "end" : "start"),
    );
  }
  const peak = `the highest, ${number(panes[highest])}, from ${moment(from(highest))}`;
  return { node, label: `${panes.length} panes of ${UNIT[role]}; ${peak}.` };
}
