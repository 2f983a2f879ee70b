// What the words of the page mean: a short text that a click, a tap, Enter or the mouse brings up.

import { byId, el } from "../dom.js";
import { duration, number, wholePercent } from "./format.js";

const MARGIN_PX = 12;
const GAP_PX = 6;

/** Settings that the texts quote; the defaults until /about has come. */
let about = {
  share: 0.8,
  short_s: 3600,
  min_users: 20,
  min_posts: 5,
  min_impressions: 1000,
  min_recruits: 3,
  diffuse_fraction: 1 / 3,
  emerging_z: 3,
  emerging_horizon_s: 14_400,
  leave_ratio: 0.8,
};

const TEXTS = {
  connector: () => `Mass connectors: the few users who make ${wholePercent(about.share)} of all impressions.`,
  maven: () => `Mass mavens: the few users who write ${wholePercent(about.share)} of all posts.`,
  recruiter: () => `Mass recruiters: the few users who brought in ${wholePercent(about.share)} of all recruits.`,
  recruits: () =>
    "A recruit came in, or came back after a long absence, with a share that names this user: as the one it came " +
    "through, or else as the author. Credit goes to who is named, not to the cause.",
  impressions: () => "An impression is one person reached once, by a post or by a share.",
  k: () => `How many users it takes, from the highest value down, to make ${wholePercent(about.share)}.`,
  theta: () => "θ (theta) is the value of the last user who belongs. Anyone with more belongs, too.",
  gini: () => "How unequal users are: 0 when all make the same, 1 when one makes everything.",
  flagged: () => "Users who came over θ and have not left: their standing is entered or fading.",
  evidence: () =>
    `Below ${number(about.min_impressions)} impressions, ${number(about.min_posts)} posts or ` +
    `${number(about.min_recruits)} recruits in the window a value is mostly chance, so nobody is flagged for it.`,
  warming: () =>
    "Until a whole window has been seen, values grow because they are counted for the first time. " +
    "Flags of that time say so, and alerts leave them out.",
  diffuse: () =>
    `It takes more than ${wholePercent(about.diffuse_fraction)} of the users: ` +
    "no small group stands out, so nobody is flagged.",
  few: () => `With fewer than ${number(about.min_users)} users chance decides, so nobody is flagged.`,
  z: () =>
    `How far the last ${duration(about.short_s)} lie above the user's own past, in standard deviations. ` +
    `${number(about.emerging_z)} or more is hardly chance.`,
  chance: () => "Which part of the emerging flags like this one was followed by entering within 12 h.",
  standing: () =>
    `Emerging: speeding up, and on course to θ within ${duration(about.emerging_horizon_s)}. ` +
    `Entered: belongs. Fading: fell below ${wholePercent(about.leave_ratio)} of θ.`,
  eventTime: () => "When it happened, as the events say; not when it was read here.",
  events: () => "How many posts or shares carry the last rate, counted so that one giant among them weighs as one.",
  amplified: () =>
    "Impressions of others who shared this user's posts, the first share of each. They are not among the user's own: " +
    "the sharers have them.",
  interval: () =>
    "Users are those who happened to be active, of many who could have been. " +
    "If all of these were counted, the number would be inside, 95 times in 100.",
  reached: () => "Impressions in the window: a sum, not people.",
  participants: () => "People with any post or share in the window.",
  advocates: () => "People whose posts others shared.",
  recruiters: () => "People whom somebody else named when coming: the one it came through, or else the author.",
  reEntered: () => "Entries of people who had been here before: the funnel does not end, it begins again.",
  entry: () => "Entries of people who were not known before.",
  recruited: () =>
    "Entries by a share that names somebody else. Self-started: all others, but for unknown, shares that name nobody.",
  bigK: () => "Recruited entries for each participant.",
  bigR: () =>
    "Whom the people of a day brought, within the horizon after they came, for each of them. " +
    "Not yet (outlined): the horizon of some is not over.",
  signal: () =>
    "What can be noticed about a user from outside, with its numbers. It is no verdict: a shift worker is always on, " +
    "and a reminder is regular.",
  error: () => "How fast the value grows; ± is one standard deviation.",
};

/** The word whose definition is shown. */
let owner = null;

/** The settings have come, or changed. */
export function setTerms(settings) {
  about = settings;
}

/** A word with its definition behind it. @param {keyof TEXTS} name */
export function term(name, text) {
  return el("button", { class: "term", type: "button", "data-term": name, "aria-describedby": "definition" }, text);
}

/** Listens for everything that may bring a definition up or take it away. */
export function watchTerms() {
  const termAt = (event) => event.target.closest?.("[data-term]");
  document.addEventListener("click", (event) => (termAt(event) ? show(termAt(event)) : hide()));
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "mouse") return;
    if (termAt(event)) show(termAt(event));
    else if (!owner?.matches(":focus")) hide();
  });
  document.addEventListener("focusout", (event) => event.target === owner && hide());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !owner) return;
    event.preventDefault(); // Escape takes the definition away, and not the dialog that it is in, too
    hide();
  });
  document.addEventListener("close", hide, { capture: true }); // of the dialog that it is in
  addEventListener("scroll", () => owner && beside(owner), { passive: true, capture: true });
}

function hide() {
  const box = byId("definition");
  if (box.matches(":popover-open")) box.hidePopover();
  owner = null;
}

function show(button) {
  if (button !== owner) hide();
  const box = byId("definition");
  box.textContent = TEXTS[button.dataset.term]();
  // An open dialog makes everything outside of it inert.
  const home = button.closest("dialog") ?? document.body;
  if (box.parentElement !== home) home.append(box);
  if (!box.matches(":popover-open")) box.showPopover();
  owner = button;
  beside(button);
}

/** Below what it explains, or above where there is no room. */
function beside(button) {
  const box = byId("definition");
  const at = button.getBoundingClientRect();
  const left = Math.min(at.left, document.documentElement.clientWidth - box.offsetWidth - MARGIN_PX);
  const isRoom = at.bottom + box.offsetHeight + MARGIN_PX < innerHeight;
  box.style.left = `${Math.max(MARGIN_PX, left)}px`;
  box.style.top = `${isRoom ? at.bottom + GAP_PX : at.top - box.offsetHeight - GAP_PX}px`;
}
