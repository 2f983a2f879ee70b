// What all charts have in common: they fit the width they have, and are described in words.

import { svg } from "../dom.js";

/**
 * A chart that is drawn anew when its data or its width changes.
 * @param {HTMLElement} host
 * @param {(width: number, data: any) => {node: SVGElement, label: string}} draw
 * @returns {(data: any) => void} shows other data; null empties it
 */
export function chart(host, draw) {
  let data = null;
  let width = 0;
  const redraw = () => {
    if (data === null || width === 0) return host.replaceChildren();
    const { node, label } = draw(width, data);
    node.setAttribute("role", "img");
    node.setAttribute("aria-label", label);
    return host.replaceChildren(node);
  };
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now === width) return;
    width = now;
    redraw();
  }).observe(host);
  return (next) => {
    data = next;
    redraw();
  };
}

export const canvas = (width, height) => svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height });

export function text(x, y, words, className, anchor = "start") {
  return svg("text", { x: round(x), y: round(y), class: className, "text-anchor": anchor }, words);
}

export function line(x1, y1, x2, y2, className) {
  return svg("line", { x1: round(x1), y1: round(y1), x2: round(x2), y2: round(y2), class: className });
}

/** The path through some points. @param {[number, number][]} points */
export function path(points) {
  return points.map(([x, y], i) => `${i ? "L" : "M"}${round(x)} ${round(y)}`).join("");
}

export const round = (value) => Math.round(value * 10) / 10;

/**
 * Shows what is under the pointer.
 * @param {SVGElement} node
 * @param {{top: number, bottom: number, width: number, words: number}} area `words` is the line they stand on
 * @param {(x: number) => {x: number, ys: number[], words: string} | null} at
 */
export function probe(node, area, at) {
  const group = svg("g", { class: "probe", "aria-hidden": "true" });
  node.append(group);
  node.addEventListener("pointermove", (event) => {
    const found = at(event.clientX - node.getBoundingClientRect().left);
    if (!found) return group.replaceChildren();
    const toLeft = found.x > area.width / 2;
    return group.replaceChildren(
      line(found.x, area.top, found.x, area.bottom, "hair"),
      ...found.ys.map((y) => svg("circle", { cx: round(found.x), cy: round(y), r: 3.5 })),
      text(found.x + (toLeft ? -8 : 8), area.words, found.words, "label", toLeft ? "end" : "start"),
    );
  });
  node.addEventListener("pointerleave", () => group.replaceChildren());
}
