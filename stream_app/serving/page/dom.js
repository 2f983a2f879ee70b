// Making and changing elements. Whatever comes from outside is only ever set as text or as an attribute.

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {Element} node
 * @param {Record<string, string | number | null>} attributes null leaves one out
 * @param {(Node | string)[]} children
 */
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null) node.setAttribute(name, String(value));
  }
  node.append(...children);
  return node;
}

/** @returns {HTMLElement} */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** @returns {SVGElement} */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** @returns {HTMLElement} The element of index.html with this id. */
export const byId = (id) => document.getElementById(id);

/** One of the symbols at the end of index.html; it says nothing to screen readers. */
export function icon(name) {
  return svg("svg", { class: `icon ${name}`, "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

/** Text for screen readers only. */
export const unseen = (text) => el("span", { class: "unseen" }, text);

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/**
 * Gives `parent` these children, but keeps the ones it has where they are of the same kind, so that a focus in them and
 * what is shown beside them stays.
 * @param {Element} parent
 * @param {(Node | string)[]} children
 */
export function setChildren(parent, children) {
  const wanted = children.map((child) => (typeof child === "string" ? document.createTextNode(child) : child));
  wanted.forEach((child, i) => {
    const old = parent.childNodes[i];
    if (!old) parent.append(child);
    else if (!isSameKind(old, child)) old.replaceWith(child);
    else if (child.nodeType === Node.TEXT_NODE) setText(old, child.data);
    else become(old, child);
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild.remove();
}

const isSameKind = (a, b) => a.nodeName === b.nodeName && a.dataset?.term === b.dataset?.term;

/** @param {Element} old @param {Element} wanted */
function become(old, wanted) {
  for (const { name, value } of wanted.attributes) setAttribute(old, name, value);
  setChildren(old, [...wanted.childNodes]);
}

/**
 * Rows with keys: what stays is kept in the document, and only what has changed is touched.
 * @template T
 * @param {Element} parent
 * @param {(item: T) => string} keyOf
 * @param {(item: T) => {node: HTMLElement, update: (item: T) => void}} make
 * @returns {(items: T[]) => void}
 */
export function keyedRows(parent, keyOf, make) {
  let rows = new Map();
  return (items) => {
    const focused = document.activeElement;
    const next = new Map();
    for (const item of items) {
      const key = keyOf(item);
      const row = rows.get(key) ?? { ...make(item), seen: "" };
      const seen = JSON.stringify(item);
      if (row.seen !== seen) {
        row.update(item);
        row.seen = seen;
      }
      next.set(key, row);
    }
    for (const [key, row] of rows) if (!next.has(key)) row.node.remove();
    inOrder(
      parent,
      [...next.values()].map((row) => row.node),
    );
    rows = next;
    if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
  };
}

/** Moves only what is not where it should be. */
function inOrder(parent, nodes) {
  let place = parent.firstElementChild;
  for (const node of nodes) {
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
}

/** Whether a click on a link asks for another tab or window. @param {MouseEvent} event */
export const isForAnotherTab = (event) =>
  event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;

/** Calls `run` once it has not been asked for during `wait_ms`. */
export function debounced(run, wait_ms) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(run, wait_ms);
  };
}
