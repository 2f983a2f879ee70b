// The panel that says why: opened and closed by the address, a click, Enter and Escape.

import { ask, NoAnswer } from "../api/requests.js";
import { byId, el, icon, isForAnotherTab } from "../dom.js";
import { reasons } from "./reasons.js";
import { broughtIn } from "./recruits.js";
import { askedWhy } from "../selection.js";
import { readable } from "../text/readable.js";
import { populationOf, topicName } from "../text/words.js";

const dialog = byId("why");
const box = byId("why-content");

let opener = null;
/** The address got its #why= here, so that going back takes it away. */
let isOurs = false;
let pending = null;

export function watchWhy(settings) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#why="]');
    if (!link || isForAnotherTab(event)) return;
    opener = link;
    isOurs = true;
  });
  addEventListener("hashchange", () => follow(settings));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", closed);
}

/** Does what the address says: opens, shows another user, or closes; nothing before the settings have come. */
export function follow(settings) {
  const wanted = askedWhy();
  if (wanted && settings()) open(wanted, settings());
  else if (dialog.open) dialog.close();
}

/** The link itself, or the one that has taken its place since. */
function sameLink(link) {
  if (!link || link.isConnected) return link;
  return [...document.links].find((other) => other.getAttribute("href") === link.getAttribute("href"));
}

function closed() {
  pending?.abort();
  box.replaceChildren();
  if (askedWhy() && isOurs) history.back();
  else if (askedWhy()) history.replaceState(null, "", location.pathname + location.search);
  isOurs = false;
  sameLink(opener)?.focus();
}

async function open({ user, place }, about) {
  pending?.abort();
  pending = new AbortController();
  const { signal } = pending;
  show(user, place, el("p", { class: "loading", role: "status" }, "Reading the posts and shares back"));
  if (!dialog.open) dialog.showModal();
  try {
    const why = await ask("/users/why", { id: user, ...place }, signal);
    show(user, place, ...reasons(why, about, broughtIn(user, place, signal)));
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof NoAnswer)) throw error;
    show(user, place, el("p", { class: "error", role: "alert" }, error.message));
  }
}

/** The head stays the same element, so that the focus in it stays. */
function show(user, place, ...body) {
  const head = box.querySelector(".head");
  if (head?.dataset.user === user) {
    box.querySelector(".body").replaceChildren(...body);
    return;
  }
  const close = el("button", { class: "quiet", type: "button", "aria-label": "Close" }, icon("close"));
  close.addEventListener("click", () => dialog.close());
  const where = `${place.role} · ${topicName(place.topic)}${populationOf(place)}`;
  const title = el(
    "div",
    {},
    el("p", { class: "where clamp" }, where),
    el("h2", { class: "clamp", id: "why-user", title: readable(user) }, readable(user)),
  );
  dialog.dataset.role = place.role;
  box.replaceChildren(
    el("div", { class: "head", "data-user": user }, title, close),
    el("div", { class: "body" }, ...body),
  );
}
