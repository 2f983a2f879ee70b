// The Lorenz curve: which part of the users makes which part of the total, with the cut marked.

import { canvas, line, path, probe, round, text } from "./drawing.js";
import { svg } from "../dom.js";
import { number, percent, wholePercent } from "../text/format.js";
import { percentOfUsers } from "../text/interval.js";
import { UNIT } from "../text/words.js";

const TOP = 18;
const LEFT = 44;
const RIGHT = 12;
const BOTTOM = 26;
const LETTER = 6.8;
const GAP = 10;
const FOOT = 28;
const EQUAL = 0.72;

/** What the first `part` of the users make: the points joined by straight lines. */
export function madeBy(points, part) {
  const after = points.findIndex(([users]) => users >= part);
  if (after <= 0) return after === 0 ? points[0][1] : 1;
  const [u0, v0] = points[after - 1];
  const [u1, v1] = points[after];
  return u1 === u0 ? v1 : v0 + ((v1 - v0) * (part - u0)) / (u1 - u0);
}

/** Where the words about the cut stand, clear of the diagonal: beside its point or at the foot; as many as fit. */
function placed(words, x, y, users, coverage) {
  const part = (px) => px / (y(0) - y(1));
  const atFoot = x(part(FOOT + 12)) + GAP / 2;
  for (const some of [words, words.slice(0, 1)]) {
    const length = LETTER * Math.max(...some.map((each) => each.length));
    const beside = { words: some, x: x(users) + GAP, y: y(coverage) + 22, anchor: "start" };
    if (beside.x + length + GAP / 2 < x(coverage - part(10 + 16 * some.length))) return beside;
    if (beside.x > atFoot && beside.x + length < x(1)) return { ...beside, y: y(0) - FOOT };
    if (x(users) - GAP - length > atFoot) return { ...beside, x: x(users) - GAP, y: y(0) - FOOT, anchor: "end" };
  }
  return { words: [], x: 0, y: 0, anchor: "start" };
}

/** @param {number} width */
export function drawLorenz(width, { points, cut }) {
  const height = Math.round(Math.min(250, Math.max(220, width * 0.62)));
  const w = width - LEFT - RIGHT;
  const h = height - TOP - BOTTOM;
  const x = (part) => LEFT + part * w;
  const y = (part) => TOP + (1 - part) * h;
  const users = cut.k / cut.users;
  const inside = [...points.filter(([u]) => u <= users), [users, cut.coverage]];
  const share = wholePercent(cut.share);
  const unit = UNIT[cut.role];
  const words = [`${percentOfUsers(cut)} of users`, `make ${share} of ${unit}`];
  const label = placed(words, x, y, users, cut.coverage);
  const node = canvas(width, height);
  const parts = [
    svg("path", { class: "area", d: `${path(inside.map(([u, v]) => [x(u), y(v)]))}V${round(y(0))}H${round(x(0))}Z` }),
    line(x(0), y(0), x(1), y(1), "hair dashed"),
    line(x(0), y(0), x(1), y(0), "hair"),
    line(x(0), y(cut.share), x(users), y(cut.share), "mark"),
    line(x(users), y(cut.coverage), x(users), y(0), "mark"),
    svg("path", { class: "curve", d: path(points.map(([u, v]) => [x(u), y(v)])) }),
    svg("circle", { class: "dot", cx: round(x(users)), cy: round(y(cut.coverage)), r: 4.5 }),
    text(LEFT - 8, y(cut.share) + 4, share, "label strong", "end"),
    text(LEFT - 8, y(1) + 4, wholePercent(1), "label", "end"),
    users < EQUAL && text(x(EQUAL), y(EQUAL) + 24, "if all were equal", "label faint"),
    ...label.words.map((each, i) =>
      text(label.x, label.y + 16 * i, each, i ? "label over" : "label strong over", label.anchor),
    ),
    text(x(0), height - 6, "users, highest first", "label"),
    text(x(1), height - 6, wholePercent(1), "label", "end"),
  ];
  node.append(...parts.filter(Boolean));
  probe(node, { top: 0, bottom: y(0), width, words: TOP - 5 }, (at) => {
    const part = (at - LEFT) / w;
    if (part <= 0 || part > 1) return null;
    const made = madeBy(points, part);
    return { x: at, ys: [y(made)], words: `top ${percent(part * 100)} make ${percent(made * 100)}` };
  });
  return {
    node,
    label: `Lorenz curve: ${percentOfUsers(cut)} of ${number(cut.users)} users make ${share} of the ${unit}.`,
  };
}
